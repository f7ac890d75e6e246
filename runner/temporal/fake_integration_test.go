//go:build integration

package temporal

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/runner/temporal/temporaltest"
	"nightshift/spec"
)

// bench is a backend with all that it needs, and a worker that pretends to run items.
type bench struct {
	*Backend
	t      *testing.T
	server *temporaltest.Server
	store  *store.Store
	plan   *runner.Plan
	said   heard

	item func(ctx context.Context, shard, n int) error // of the worker: before the n-th result of a shard, from 1; nil: nothing
	run  func(ctx context.Context) (store.RunEnd, error)

	ran sync.Map // id to *atomic.Int64: how often the worker ran it
}

var queues atomic.Int64

func newBench(t *testing.T, server *temporaltest.Server, shardSize int) *bench {
	t.Helper()
	file := batchFileOf(t, "")
	file.Run.Temporal.ShardSize = shardSize
	b := &bench{t: t, server: server}
	b.Backend = b.another(&b.said, BackendOptions{
		File: file, Store: t.TempDir(), TaskQueue: fmt.Sprint(t.Name(), queues.Add(1)),
	})
	var err error
	b.store, err = store.Open(t.Context(), b.Store)
	fine(t, err)
	saved, err := b.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
	fine(t, err)
	b.plan = &runner.Plan{
		Batch: file.Batches[0], PipelineID: saved.PipelineID, Generation: runner.NewGeneration(time.Now()),
		Concurrency: 16, Rows: -1,
	}
	return b
}

// another is a backend as another process has it.
func (b *bench) another(said *heard, o BackendOptions) *Backend {
	c := dial(b.t, b.server, said.say)
	other := c.Backend(o)
	b.t.Cleanup(func() { fine(b.t, other.Close()) })
	return other
}

// works starts a worker, and gives a function that stops it.
func (b *bench) works() (stop func()) {
	b.t.Helper()
	c, err := client.Dial(client.Options{HostPort: b.server.Address, Logger: newLogger(nil)})
	fine(b.t, err)
	w := worker.New(c, b.TaskQueue, worker.Options{MaxHeartbeatThrottleInterval: 200 * time.Millisecond, WorkerStopTimeout: time.Second})
	flow.Register(w)
	w.RegisterActivityWithOptions(b.runShard, activity.RegisterOptions{Name: flow.ShardActivity})
	w.RegisterActivityWithOptions(b.runOne, activity.RegisterOptions{Name: flow.RunActivity})
	fine(b.t, w.Start())
	stop = sync.OnceFunc(func() {
		w.Stop()
		c.Close()
	})
	b.t.Cleanup(stop)
	return stop
}

// runShard writes a result for each item of a shard.
func (b *bench) runShard(ctx context.Context, in flow.Shard) (flow.ShardEnd, error) {
	sink, err := b.store.ShardSink(ctx, in.Pass, in.Number, int(activity.GetInfo(ctx).Attempt))
	if err != nil {
		return flow.ShardEnd{}, err
	}
	if !sink.Finished() {
		if err := b.runItems(ctx, in, sink); err != nil {
			_ = sink.Flush(context.WithoutCancel(ctx))
			return flow.ShardEnd{}, err
		}
	}
	tally, err := sink.Finish(context.WithoutCancel(ctx))
	if err != nil {
		return flow.ShardEnd{}, err
	}
	return flow.ShardEnd{Sum: flow.Sum{Items: tally.Items, Succeeded: tally.Statuses[runner.Succeeded]}}, nil
}

func (b *bench) runItems(ctx context.Context, in flow.Shard, sink *store.ShardSink) error {
	items, err := b.store.Items(ctx, in.Pass, in.Number)
	if err != nil {
		return err
	}
	for i, it := range items {
		activity.RecordHeartbeat(ctx)
		if sink.Done(it.ID) {
			continue
		}
		if b.item != nil {
			if err := b.item(ctx, in.Number, i+1); err != nil {
				return err
			}
		}
		count, _ := b.ran.LoadOrStore(it.ID, new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
		sink.Record(&runner.Result{
			ID: it.ID, Batch: "b", Index: it.Index, Generation: "g", Status: runner.Succeeded,
			Inputs: it.Inputs, Digest: it.Digest, Outputs: map[string]any{"out": "<&>\u2028 made of " + it.ID}, Attempts: 1,
		})
	}
	_, err = sink.Commit()
	return err
}

// runOne runs a single run.
func (b *bench) runOne(ctx context.Context, in flow.Run) (flow.RunEnd, error) {
	beating, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for runner.Sleep(beating, 100*time.Millisecond) == nil {
			activity.RecordHeartbeat(ctx)
		}
	}()
	activity.RecordHeartbeat(ctx)
	count, _ := b.ran.LoadOrStore(in.Key, new(atomic.Int64))
	count.(*atomic.Int64).Add(1)
	start, err := b.store.Run(ctx, in.Key)
	if err != nil {
		return flow.RunEnd{}, err
	}
	end := store.RunEnd{State: runner.Succeeded, Outputs: map[string]any{"out": start.Inputs["in"]}, Usage: &runner.Usage{InputTokens: 3}}
	if b.run != nil {
		if end, err = b.run(ctx); err != nil {
			return flow.RunEnd{}, err
		}
	}
	if err := b.store.PutRunEnd(context.WithoutCancel(ctx), in.Key, &end); err != nil {
		return flow.RunEnd{}, err
	}
	return flow.RunEnd{State: string(end.State)}, nil
}

// items makes some.
func items(n int) iter.Seq2[runner.HandedItem, error] {
	return func(yield func(runner.HandedItem, error) bool) {
		for i := range n {
			id := fmt.Sprintf("item-%06d", i)
			it := runner.HandedItem{Item: spec.Item{ID: id, Index: i, Inputs: map[string]any{"in": id}, Digest: "d" + id}}
			if !yield(it, nil) {
				return
			}
		}
	}
}

// hand hands over some items, and begins the pass.
func (b *bench) hand(n int) runner.Handle {
	b.t.Helper()
	h, total, err := b.Hand(b.t.Context(), b.plan, items(n))
	fine(b.t, err)
	want(b.t, "items", total, n)
	fine(b.t, b.Begin(b.t.Context(), h))
	return h
}

// collected is what a Follow gave: how often each line.
type collected struct {
	mu    sync.Mutex
	lines map[string]int
	order []string
}

func (c *collected) add(r *runner.Result) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lines == nil {
		c.lines = map[string]int{}
	}
	c.lines[string(r.AppendJSON(nil))]++
	c.order = append(c.order, r.ID)
	return nil
}

func (c *collected) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.order)
}

// stored are the lines that the store has of a pass, each once.
func (b *bench) stored(h runner.Handle) map[string]int {
	b.t.Helper()
	p, err := b.store.Pass(b.t.Context(), passKey(h.TaskID))
	fine(b.t, err)
	lines := map[string]int{}
	for n := 1; n <= p.Shards; n++ {
		text, _, err := b.store.Results(b.t.Context(), passKey(h.TaskID), n)
		fine(b.t, err)
		for line := range lineSeq(text) {
			lines[line]++
		}
	}
	return lines
}

// ranMost is how often the item was run that was run most often.
func (b *bench) ranMost() (most int64) {
	b.ran.Range(func(_, n any) bool {
		most = max(most, n.(*atomic.Int64).Load())
		return true
	})
	return most
}

func lineSeq(text []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(text) {
			if !yield(string(line)) {
				return
			}
		}
	}
}

var recordHeartbeat = func(ctx context.Context) { activity.RecordHeartbeat(ctx) }
