//go:build integration

package temporal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
)

// TestTerminatedWhileWriting: a pass that does not end in time is terminated, and what
// its workers write until they hear of that is joined.
func TestTerminatedWhileWriting(t *testing.T) {
	t.Parallel()
	b := newBench(t, shared, 3)
	reached := make(chan struct{})
	b.item = func(ctx context.Context, _, n int) error {
		if n < 3 {
			return nil
		}
		close(reached)
		beat(ctx) // until the cancel
		time.Sleep(passEndsWithin + hearWithin/2)
		return ctx.Err()
	}
	b.works()
	h := b.hand(3)
	<-reached
	fine(t, b.Terminate(t.Context(), h))
	var got collected
	end, err := b.Follow(t.Context(), h, got.add)
	fine(t, err)
	says(t, "cause", end.Cause, "it was terminated")
	want(t, "results", got.len(), 2)
}

// TestDeadlineWithoutWorker: the deadline is over, and nobody is there to see to that
// but who follows. What there is is joined, by him and by others.
func TestDeadlineWithoutWorker(t *testing.T) {
	t.Parallel()
	b := newBench(t, shared, 5)
	b.plan.Deadline = time.Now().Add(-lateAfter + 3*time.Second)
	h := b.hand(10)
	sink, err := b.store.ShardSink(t.Context(), passKey(h.TaskID), 1, 1)
	fine(t, err)
	sink.Record(&runner.Result{ID: "item-000001", Status: runner.Succeeded})
	fine(t, sink.Flush(t.Context()))
	for _, backend := range []*Backend{b.Backend, b.another(new(heard), b.BackendOptions)} {
		var got collected
		end, err := backend.Follow(t.Context(), h, got.add)
		fine(t, err)
		want(t, "end", end, runner.PassEnd{Left: true, Stopped: runner.AtDeadline})
		want(t, "results", got.len(), 1)
	}
	want(t, "said", b.said.count("the deadline is over, and no worker polls task queue "+b.TaskQueue), 1)
	status, err := b.Status(t.Context(), h)
	fine(t, err)
	want(t, "status", status, runner.Status{State: runner.Cancelled})
}

// TestDeadline: where workers are the pass ends itself at its deadline, with what is
// under way.
func TestDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t, shared, 1)
	b.plan.Concurrency = 1
	b.plan.Deadline = time.Now().Add(3 * time.Second)
	b.item = func(context.Context, int, int) error { time.Sleep(time.Second); return nil }
	b.works()
	h := b.hand(30)
	var got collected
	end, err := b.Follow(t.Context(), h, got.add)
	fine(t, err)
	want(t, "end", end, runner.PassEnd{Left: true, Stopped: runner.AtDeadline})
	if n := got.len(); n < 1 || n > 5 {
		t.Errorf("%d results", n)
	}
}

// TestShardFailsAgainAndAgain: it is said once while it is tried on.
func TestShardFailsAgainAndAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, shared, 5)
	var tries atomic.Int64
	b.item = func(_ context.Context, shard, _ int) error {
		if shard == 2 && tries.Add(1) < 6 { // the sixth is 31 s after the first
			return errors.New("store s: disk full")
		}
		return nil
	}
	b.works()
	h := b.hand(15)
	var got collected
	end, err := b.Follow(t.Context(), h, got.add)
	fine(t, err)
	want(t, "end", end, runner.PassEnd{})
	want(t, "results", got.len(), 15)
	want(t, "said", b.said.count("nightshift: shard 2 fails again and again: store s: disk full; it is tried on"), 1)
	want(t, "said in all", b.said.count("again and again"), 1)
}

// TestWorkflowFailsAgainAndAgain: workers of another version cannot go on with it.
func TestWorkflowFailsAgainAndAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, shared, 5)
	c, err := client.Dial(client.Options{HostPort: b.server.Address, Logger: newLogger(nil)})
	fine(t, err)
	defer c.Close()
	w := worker.New(c, b.TaskQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(workflow.Context, flow.Batch) (flow.BatchEnd, error) {
		panic("of another version")
	}, workflow.RegisterOptions{Name: flow.BatchWorkflow})
	fine(t, w.Start())
	defer w.Stop()
	h := b.hand(5)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		for b.said.count("again and again") == 0 && runner.Sleep(ctx, 100*time.Millisecond) == nil {
		}
		_ = runner.Sleep(ctx, quietFor+5*time.Second) // and no second time
		cancel()
	}()
	_, err = b.Follow(ctx, h, new(collected).add)
	says(t, "follow", err, "canceled")
	want(t, "said", b.said.count(fmt.Sprintf("nightshift: the workflow %s fails again and again: of another version; nothing more is begun until a worker can go on with it", h.TaskID)), 1)
	fine(t, b.client.sdk.TerminateWorkflow(t.Context(), h.TaskID, "", ""))
}

// TestUploadsThatWereCutOff: who hands over removes what was handed over of the same
// generation and never begun, and nothing that the cluster knows of.
func TestUploadsThatWereCutOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, shared, 5)
	going := b.hand(5)
	_, cutOff := newPass(b.plan.Generation, "b")
	w := b.store.PassWriter(t.Context(), cutOff, 1)
	for it := range items(3) {
		fine(t, w.Add(t.Context(), store.ItemOf(it.Item, it.Standing)))
	}
	_, other := newPass(runner.NewGeneration(time.Now()), "b")
	whole := b.store.PassWriter(t.Context(), other, 1)
	for it := range items(3) {
		fine(t, whole.Add(t.Context(), store.ItemOf(it.Item, it.Standing)))
	}
	fine(t, whole.Close(t.Context(), store.Pass{}))
	fine(t, os.RemoveAll(filepath.Join(b.Store, other, "items"))) // no matter

	for name, hands := range map[string]func() runner.Handle{
		"handed over":         func() runner.Handle { return b.hand(5) },
		"handed over, no run": func() runner.Handle { h, _, err := b.Hand(t.Context(), b.plan, items(5)); fine(t, err); return h },
	} {
		h := hands()
		keys, err := b.store.Passes(t.Context(), b.plan.Generation, "b")
		fine(t, err)
		there := map[string]bool{}
		for _, key := range keys {
			there[passID(key)] = true
		}
		want(t, name, there[h.TaskID], true)
		want(t, "the pass that goes on is there", there[going.TaskID], true)
		want(t, "what was cut off is there", there[passID(cutOff)], false)
		fine(t, b.Begin(t.Context(), h))
	}
	_, err := b.store.Pass(t.Context(), other)
	fine(t, err)
}

// TestResultsThatAreGone: a pass whose results lack is not given up; once the cluster
// has forgotten it, what lacks is run again, and nothing else.
func TestResultsThatAreGone(t *testing.T) {
	t.Parallel()
	b := newBench(t, shared, 5)
	b.works()
	h := b.hand(15)
	_, err := b.Follow(t.Context(), h, new(collected).add)
	fine(t, err)
	fine(t, os.RemoveAll(filepath.Join(b.Store, passKey(h.TaskID), "results", "000002")))
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		var said heard
		var got collected
		_, err = b.another(&said, BackendOptions{File: b.File, Store: b.Store, TaskQueue: b.TaskQueue}).Follow(ctx, h, got.add)
		cancel()
		says(t, "follow", err, h.TaskID+" is not given up", "it has come to more results (15) than are in "+b.Store+" (10)", "run again", "temporal workflow delete -w "+h.TaskID)
		want(t, "results", got.len(), 10)
		want(t, "said", said.count("are waited for"), 1)
	}
	_, err = b.client.sdk.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: b.client.namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: h.TaskID},
	})
	fine(t, err)
	for !isMissing(func() error { _, err := b.describe(t.Context(), "look", h.TaskID); return err }()) {
		time.Sleep(50 * time.Millisecond)
	}
	var got collected
	end, err := b.another(new(heard), b.BackendOptions).Follow(t.Context(), h, got.add)
	fine(t, err)
	want(t, "end", end, runner.PassEnd{})
	want(t, "results", got.len(), 15)
	runs := int64(0)
	b.ran.Range(func(_, n any) bool { runs += n.(*atomic.Int64).Load(); return true })
	want(t, "runs", runs, int64(20))
}
