//go:build integration

package temporal

import (
	"context"
	"fmt"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// TestFollow: all results, each once, as the worker wrote them.
func TestFollow(t *testing.T) {
	b := newBench(t, shared, 7)
	b.works()
	h := b.hand(100)
	leaksNothing(t)
	var got collected
	end, err := b.Follow(t.Context(), h, got.add)
	fine(t, err)
	want(t, "end", end, runner.PassEnd{})
	want(t, "results", got.lines, b.stored(h))
	want(t, "number of results", got.len(), 100)
}

// TestFollowWhileItRuns: shards are joined as they end, in that order.
func TestFollowWhileItRuns(t *testing.T) {
	b := newBench(t, shared, 1)
	gates := map[int]chan struct{}{1: make(chan struct{}), 2: make(chan struct{}), 3: make(chan struct{})}
	b.item = func(ctx context.Context, shard, _ int) error {
		select {
		case <-gates[shard]:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.works()
	h := b.hand(3)
	var got collected
	open := []int{3, 1, 2}
	close(gates[open[0]])
	end, err := b.Follow(t.Context(), h, func(r *runner.Result) error {
		if open = open[1:]; len(open) > 0 {
			close(gates[open[0]])
		}
		return got.add(r)
	})
	fine(t, err)
	want(t, "end", end, runner.PassEnd{})
	want(t, "order", got.order, []string{"item-000002", "item-000000", "item-000001"})
}

// TestFollowAgain: whoever follows may be ended at any moment.
func TestFollowAgain(t *testing.T) {
	b := newBench(t, shared, 5)
	b.item = func(ctx context.Context, _, n int) error { return runner.Sleep(ctx, 30*time.Millisecond) }
	b.works()
	h := b.hand(200)
	for i := range 6 {
		ctx, cancel := context.WithCancelCause(t.Context())
		other := b.another(new(heard), b.BackendOptions)
		stop := time.AfterFunc(time.Duration(i)*100*time.Millisecond, func() { cancel(runner.ErrDetach) })
		var early collected
		began := time.Now()
		_, err := other.Follow(ctx, h, early.add)
		stop.Stop()
		want(t, "error", err, context.Canceled, equateErrors)
		if took := time.Since(began); took > time.Duration(i)*100*time.Millisecond+300*time.Millisecond {
			t.Errorf("it took %v to leave", took)
		}
		for line, n := range early.lines {
			want(t, "times of "+line, n, 1)
		}
	}
	for range 2 { // also of one that has ended
		var got collected
		end, err := b.another(new(heard), b.BackendOptions).Follow(t.Context(), h, got.add)
		fine(t, err)
		want(t, "end", end, runner.PassEnd{})
		want(t, "results", got.lines, b.stored(h))
		want(t, "number of results", got.len(), 200)
	}
	want(t, "runs of an item", b.ranMost(), int64(1))
}

// TestFollowMany: 500 shards with 100,000 items.
func TestFollowMany(t *testing.T) {
	b := newBench(t, shared, 200)
	b.works()
	h := b.hand(100_000)
	seen := make([]bool, 100_000) // of its own: of the lines nothing is kept
	got := 0
	began := time.Now()
	end, err := b.Follow(t.Context(), h, func(r *runner.Result) error {
		var n int
		_, err := fmt.Sscanf(r.ID, "item-%d", &n)
		if seen[n] {
			t.Errorf("%s is there twice", r.ID)
		}
		seen[n] = true
		got++
		return err
	})
	fine(t, err)
	want(t, "end", end, runner.PassEnd{})
	want(t, "results", got, 100_000)
	t.Logf("%.0f items a second", 100_000/time.Since(began).Seconds())
}

// TestDistributeCancelled: a batch that is cancelled in the middle ends its pass, and has
// each result once.
func TestDistributeCancelled(t *testing.T) {
	b := newBench(t, shared, 5)
	b.item = func(ctx context.Context, _, n int) error { return runner.Sleep(ctx, 20*time.Millisecond) }
	b.works()
	b.plan.Items = func(yield func(spec.Item) bool) error {
		for it := range items(200) {
			if !yield(it.Item) {
				break
			}
		}
		return nil
	}
	var results recorder
	ctx, cancel := context.WithCancel(t.Context())
	o, err := runner.Distribute(ctx, b.plan, b.Backend, &results, sinkFunc(func(e runner.Event) {
		if e.Kind == runner.Finished && e.Result.Index == 20 {
			cancel()
		}
	}))
	fine(t, err)
	want(t, "stopped", o.Stopped, runner.Interrupted)
	times := map[string]int{}
	for _, r := range results {
		if times[r.ID]++; times[r.ID] > 1 {
			t.Errorf("%s is there %d times", r.ID, times[r.ID])
		}
	}
	if n := len(results); n < 20 || n > 190 {
		t.Errorf("%d results", n)
	}
}

type sinkFunc func(runner.Event)

func (f sinkFunc) Handle(e runner.Event) { f(e) }
