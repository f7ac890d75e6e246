package worker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"nightshift/runner/temporal/flow"
)

// TestShardEnds: whatever ends a try midway, runs under way are terminated at once or
// end by themselves, and what has ended is kept for the next.
func TestShardEnds(t *testing.T) {
	const outage = 5500 * time.Millisecond
	away := serviceerror.NewUnavailable("connection refused")
	for name, c := range map[string]struct {
		beat    func(age time.Duration) error                       // how the server answers a sign of life
		timeout time.Duration                                       // of the try
		why     func(age time.Duration) (cancelled bool, err error) // what the batch answers
		end     func(w *work)                                       // is called after 5.5 s
		kind    string
		again   bool
		left    bool
		done    int // items with a line
		seconds int // that it takes
	}{
		"cancelled":       {beat: after(outage, temporal.NewCanceledError()), kind: "cancelled", done: 8, seconds: 6},
		"recalled":        {beat: after(outage, temporal.NewCanceledError()), why: answer(false, nil), left: true, done: 12, seconds: 6},
		"no answer":       {beat: after(outage, temporal.NewCanceledError()), why: answer(false, away), left: true, done: 12, seconds: 6},
		"ended meanwhile": {beat: after(outage, temporal.NewCanceledError()), why: answer(false, serviceerror.NewNotFound("no such workflow")), kind: "cancelled", done: 8, seconds: 6},
		"gone":            {beat: after(outage, serviceerror.NewNotFound("no such activity")), kind: "cancelled", done: 8, seconds: 6},
		"timed out":       {timeout: outage, kind: "cancelled", done: 8, seconds: 5},
		"drained":         {end: func(w *work) { close(w.draining) }, left: true, done: 12, seconds: 6},
		"ended":           {end: func(w *work) { w.end() }, left: true, done: 8, seconds: 5},
		"outage":          {beat: between(outage, 15*time.Second, away), done: 20, seconds: 10},
		"long outage":     {beat: after(3*time.Second, away), done: 20, seconds: 10},
		"no server":       {beat: after(0, away), done: 20, seconds: 10},
		"server is in":    {done: 20, seconds: 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				w.hand(times(20, "2100ms")...)
				worker := w.worker()
				began := time.Now()
				if c.beat != nil {
					worker.beat = func(context.Context, []byte, flow.ShardProgress) error { return c.beat(time.Since(began)) }
				}
				if c.why != nil {
					worker.cancels = func(context.Context, workflow.Execution) (bool, error) { return c.why(time.Since(began)) }
				}
				if c.end != nil {
					time.AfterFunc(outage, func() { c.end(worker) })
				}
				end, err := tries(t, 1, func(ctx context.Context, in flow.Shard) (flow.ShardEnd, error) {
					if c.timeout > 0 {
						var release context.CancelFunc
						ctx, release = context.WithTimeout(ctx, c.timeout)
						defer release()
					}
					return worker.shard(ctx, in)
				}, w.first())
				took := time.Since(began)
				kind, again := "", false
				if err != nil {
					kind, again = kindOf(err)
				}
				want(t, "error", kind, c.kind)
				want(t, "is tried again", again, c.again)
				want(t, "is left", end.Left, c.left)
				if err == nil {
					want(t, "sum", end.Sum, flow.Sum{Items: c.done, Succeeded: c.done})
				}
				want(t, "seconds", int(took.Seconds()), c.seconds)
				lines, whole := w.lines()
				want(t, "items with a line", len(lines), c.done)
				want(t, "lines in one place", whole, c.kind == "")
				worker.close()
				w.backend.idle(t)
			})
		})
	}
}

// answer is what a batch answers at whatever age.
func answer(cancelled bool, err error) func(time.Duration) (bool, error) {
	return func(time.Duration) (bool, error) { return cancelled, err }
}

// TestShardCancelledWhileRecalled: a batch that is paused, or drained, may be cancelled
// before all runs have ended; a shard hears of that, too.
func TestShardCancelledWhileRecalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("2100ms", "hang", "2100ms", "2100ms", "2100ms")
		worker := w.worker()
		began := time.Now()
		worker.beat = func(context.Context, []byte, flow.ShardProgress) error { return temporal.NewCanceledError() }
		asked := 0
		worker.cancels = func(context.Context, workflow.Execution) (bool, error) {
			asked++
			return time.Since(began) > 20*time.Second, nil
		}
		_, err := w.shard(worker, 1)
		kind, _ := kindOf(err)
		want(t, "error", kind, "cancelled")
		want(t, "seconds", int(time.Since(began).Seconds()), 21)
		want(t, "asked every two seconds", asked, 11)
		lines, _ := w.lines()
		want(t, "items with a line", len(lines), 3) // of four that were under way
		worker.close()
		w.backend.idle(t)
	})
}

// after answers with an error from some age on.
func after(from time.Duration, err error) func(time.Duration) error {
	return between(from, 1000*time.Hour, err)
}

func between(from, to time.Duration, err error) func(time.Duration) error {
	return func(age time.Duration) error {
		if from <= age && age < to {
			return err
		}
		return nil
	}
}

// TestShardWithoutServer: where the server does not answer for as long as it waits
// itself, what is under way ends, and the rest is another's.
func TestShardWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand(times(20, "15s")...)
		worker := w.worker()
		worker.beat = func(context.Context, []byte, flow.ShardProgress) error { return errors.New("no route to host") }
		began := time.Now()
		_, err := w.shard(worker, 1)
		kind, again := kindOf(err)
		want(t, "error", kind, givenBackError)
		want(t, "is tried again", again, true)
		want(t, "seconds", int(time.Since(began).Seconds()), 30)
		lines, _ := w.lines()
		want(t, "items with a line", len(lines), 8)
		worker.close()
		w.backend.idle(t)
	})
}

// TestShardWithLittleServer: a server that answers now and then waits, too.
func TestShardWithLittleServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand(times(20, "15s")...)
		worker := w.worker()
		beats := 0
		worker.beat = func(context.Context, []byte, flow.ShardProgress) error {
			if beats++; beats%15 == 0 {
				return nil
			}
			return errors.New("no route to host")
		}
		end, err := w.shard(worker, 1)
		fine(t, err)
		want(t, "items", end.Sum.Items, 20)
		worker.close()
	})
}

// TestShardKeeps: what took next to nothing, and was not written yet, is kept as well
// when a try ends early.
func TestShardKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("ok", "ok", "ok", "hang")
		worker := w.worker()
		worker.beat = func(context.Context, []byte, flow.ShardProgress) error { return temporal.NewCanceledError() }
		_, err := w.shard(worker, 1)
		kind, _ := kindOf(err)
		want(t, "error", kind, "cancelled")
		lines, _ := w.lines()
		want(t, "items with a line", len(lines), 3)
		worker.close()
		w.backend.idle(t)
	})
}

// TestShardProgress: signs of life tell how far a shard is, also what was done before.
func TestShardProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand(slices.Concat(times(4, "900ms"), times(4, "900ms fail"), times(4, "1200ms"))...)
		var told []flow.ShardProgress
		for attempt := 1; attempt <= 2; attempt++ {
			worker := w.worker()
			worker.beat = func(_ context.Context, _ []byte, p flow.ShardProgress) error {
				if told = append(told, p); len(told) == 2 {
					return temporal.NewCanceledError()
				}
				return nil
			}
			_, err := w.shard(worker, attempt)
			want(t, "cancelled", temporal.IsCanceledError(err), attempt == 1)
			worker.close()
		}
		want(t, "told", told, []flow.ShardProgress{
			{Items: 4, Succeeded: 4}, {Items: 8, Succeeded: 4},
			{Idle: 1}, // at once, before it knows
			{Items: 8, Succeeded: 4, Idle: 1},
		})
	})
}
