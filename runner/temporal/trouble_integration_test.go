//go:build integration

package temporal

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/temporaltest"
)

// TestFollowAfterRetention: the cluster has forgotten a pass that has ended. It is begun
// again, and ends at once.
func TestFollowAfterRetention(t *testing.T) {
	s := temporaltest.Own(t)
	b := newBench(t, s, 5)
	stop := b.works()
	h := b.hand(40)
	var first, again collected
	_, err := b.Follow(t.Context(), h, first.add)
	fine(t, err)
	stop()
	s.Kill()
	s.Home = t.TempDir() // a new memory
	fine(t, s.Start())
	b.works()
	other := b.another(new(heard), b.BackendOptions)
	end, err := other.Follow(t.Context(), h, again.add)
	fine(t, err)
	want(t, "end", end, runner.PassEnd{})
	want(t, "results", again.lines, first.lines)
	want(t, "number of results", again.len(), 40)
	want(t, "runs of an item", b.ranMost(), int64(1))
}

// TestForget: nothing is left, and who follows what was forgotten has nothing to do.
func TestForget(t *testing.T) {
	b := newBench(t, shared, 5)
	h, total, err := b.Hand(t.Context(), b.plan, items(12))
	fine(t, err)
	want(t, "items", total, 12)
	fine(t, b.Forget(t.Context(), h))
	fine(t, b.Begin(t.Context(), h))
	var got collected
	end, err := b.Follow(t.Context(), h, got.add)
	fine(t, err)
	want(t, "end", end, runner.PassEnd{Left: true})
	want(t, "results", got.len(), 0)
	passes, err := b.store.Passes(t.Context(), b.plan.Generation, "b")
	fine(t, err)
	want(t, "passes", len(passes), 0)
}

// TestFollowElsewhere: the pass is going on, but its store is another one.
func TestFollowElsewhere(t *testing.T) {
	b := newBench(t, shared, 5)
	h := b.hand(5)
	other := b.another(new(heard), BackendOptions{File: b.File, Store: t.TempDir()})
	_, err := other.Follow(t.Context(), h, new(collected).add)
	says(t, "follow", err, h.TaskID, b.Store, other.Store, "--store")
	fine(t, b.client.sdk.TerminateWorkflow(t.Context(), h.TaskID, "", ""))
}

// TestPassTimesOut: somebody has begun it with a limit.
func TestPassTimesOut(t *testing.T) {
	b := newBench(t, shared, 5)
	h, _, err := b.Hand(t.Context(), b.plan, items(5))
	fine(t, err)
	_, err = b.client.sdk.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: h.TaskID, TaskQueue: b.TaskQueue, WorkflowExecutionTimeout: time.Second},
		flow.BatchWorkflow, flow.Batch{Store: b.Store, Pass: passKey(h.TaskID), Shards: 1, Window: 1})
	fine(t, err)
	end, err := b.Follow(t.Context(), h, new(collected).add)
	fine(t, err)
	says(t, "cause", end.Cause, "timed out", "run again goes on")
	end.Cause = nil
	want(t, "end", end, runner.PassEnd{Left: true, Stopped: runner.Broken})
}

// TestServerGoesAway: it is killed in the middle and comes back.
func TestServerGoesAway(t *testing.T) {
	s := temporaltest.Own(t)
	b := newBench(t, s, 5)
	var once sync.Once
	half := make(chan struct{})
	b.item = func(ctx context.Context, shard, n int) error {
		if shard == 20 {
			once.Do(func() { close(half) })
		}
		time.Sleep(20 * time.Millisecond)
		return nil // it does not hear of the server
	}
	b.works()
	h := b.hand(200)
	leaksNothing(t)
	var away sync.WaitGroup
	away.Go(func() {
		<-half
		s.Kill()
		time.Sleep(2 * time.Second)
		if err := s.Start(); err != nil {
			t.Error(err)
		}
	})
	var got collected
	end, err := b.Follow(t.Context(), h, got.add)
	away.Wait()
	fine(t, err)
	want(t, "end", end, runner.PassEnd{})
	want(t, "results", got.lines, b.stored(h))
	want(t, "number of results", got.len(), 200)
	if said := b.said.count("does not answer"); said > 1 {
		t.Errorf("said %d times that the server is away", said)
	}
}

// TestServerStaysAway: it is given up after a time, and the error says that the pass goes on.
func TestServerStaysAway(t *testing.T) {
	s := temporaltest.Own(t)
	b := newBench(t, s, 5)
	h := b.hand(20)
	b.File.Run.Retry.MaxElapsed = 3 * time.Second
	leaksNothing(t)
	s.Kill()
	_, err := b.Follow(t.Context(), h, new(collected).add)
	says(t, "follow", err, "given up after", "goes on", s.Address)
	_, unreached := errors.AsType[*runner.ConnectionError](err)
	want(t, "a connection error", unreached, true)
	want(t, "said", b.said.count("does not answer"), 1)
	fine(t, s.Start())
}

// TestNoWorker: it is said once, and then waited.
func TestNoWorker(t *testing.T) {
	b := newBench(t, shared, 5)
	h := b.hand(10)
	time.AfterFunc(9*time.Second, func() { b.works() })
	end, err := b.Follow(t.Context(), h, new(collected).add)
	fine(t, err)
	want(t, "end", end, runner.PassEnd{})
	want(t, "said", b.said.count("no worker polls task queue "+b.TaskQueue+" of namespace default at"), 1)
}

// TestEndsOfPasses: what has ended in another way than by itself says how, and its
// results are joined as far as there are any.
func TestEndsOfPasses(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(b *bench, h runner.Handle) error
		fails  error // of the activity
		reason runner.StopReason
		says   []string
	}{
		{"terminated", func(b *bench, h runner.Handle) error {
			return b.client.sdk.TerminateWorkflow(t.Context(), h.TaskID, "", "by the night watch")
		}, nil, runner.Interrupted, []string{"terminated from outside", "by the night watch", "run again goes on"}},
		{"cancelled", func(b *bench, h runner.Handle) error { return b.cancel(t.Context(), h) }, nil,
			runner.Interrupted, []string{"it was cancelled", "run again goes on"}},
		{"cancelled by signal", func(b *bench, h runner.Handle) error { return b.signal(t.Context(), h, flow.CancelSignal) }, nil,
			runner.Interrupted, []string{"it was cancelled"}},
		{"terminated by us", func(b *bench, h runner.Handle) error { return b.Terminate(t.Context(), h) }, nil,
			runner.Interrupted, []string{"it was cancelled"}},
		{"drained", func(b *bench, h runner.Handle) error { return b.Drain(t.Context(), h) }, context.Canceled,
			runner.Broken, []string{"shard 2"}},
		{"broken", func(*bench, runner.Handle) error { return nil }, temporal.NewNonRetryableApplicationError("worker w: no variable KEY", flow.RefusedError, nil),
			runner.Broken, []string{"shard 2", "worker w: no variable KEY"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, shared, 3)
			b.plan.Concurrency = 1 // one shard after the other
			reached := make(chan struct{})
			var once sync.Once
			b.item = func(ctx context.Context, shard, n int) error {
				if shard < 2 || n < 2 {
					return nil
				}
				once.Do(func() { close(reached) })
				if c.fails != nil && c.name == "broken" {
					return c.fails
				}
				if c.fails != nil {
					return temporal.NewNonRetryableApplicationError("failed", "", nil)
				}
				beat(ctx)
				return ctx.Err()
			}
			b.works()
			h := b.hand(9)
			go func() {
				<-reached
				if err := c.end(b, h); err != nil {
					t.Error(err)
				}
			}()
			var got collected
			end, err := b.Follow(t.Context(), h, got.add)
			fine(t, err)
			says(t, "cause", end.Cause, c.says...)
			end.Cause = nil
			want(t, "end", end, runner.PassEnd{Left: true, Stopped: c.reason})
			if n := got.len(); n < 3 || n > 4 {
				t.Errorf("%d results", n)
			}
			for range 2 { // it stays as it is
				fine(t, b.Terminate(t.Context(), h))
				fine(t, b.cancel(t.Context(), h))
				fine(t, b.Drain(t.Context(), h))
				err := b.Pause(t.Context(), h)
				want(t, "a pause finds nothing", isMissing(err), true)
			}
		})
	}
}

// TestPause: nothing is begun until the pass is resumed, which is said.
func TestPause(t *testing.T) {
	b := newBench(t, shared, 1)
	b.plan.Concurrency = 1
	h := b.hand(5)
	fine(t, b.Pause(t.Context(), h))
	b.works()
	var got collected
	done := make(chan error, 1)
	go func() {
		_, err := b.Follow(t.Context(), h, got.add)
		done <- err
	}()
	for b.said.count("paused") == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	want(t, "results while it is paused", got.len(), 0)
	fine(t, b.Unpause(t.Context(), h))
	fine(t, <-done)
	want(t, "results", got.len(), 5)
}

// beat beats until the activity is cancelled.
func beat(ctx context.Context) {
	for ctx.Err() == nil {
		recordHeartbeat(ctx)
		_ = runner.Sleep(ctx, 50*time.Millisecond)
	}
}
