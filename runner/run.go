package runner

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"nightshift/spec"
)

type item = spec.Item

// Run runs the items of a batch, each once, and returns when the last run has
// ended. Cancelling ctx terminates the runs that are under way; closing
// plan.Drain lets them end and starts no more. The error is one that ended the
// batch: a *ResultsError, or a *SourceError.
func Run(ctx context.Context, plan *Plan, backend Backend, recorder Recorder, sinks ...Sink) (Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if !plan.Deadline.IsZero() {
		var release context.CancelFunc
		stopCtx, release = context.WithDeadlineCause(stopCtx, plan.Deadline, stopCause(AtDeadline))
		defer release()
	}

	count := &counter{counts: map[State]int{}}
	r := &run{
		Plan:    plan,
		backend: backend,
		gate:    newGate(plan.Concurrency),
		changed: make(chan struct{}, 1),
		stop:    func(reason StopReason) { stop(stopCause(reason)) },
	}
	r.breaker.stop = func() { r.stop(Broken) }
	r.waiter, _ = backend.(Waiter)
	r.resumer, _ = backend.(Resumer)
	r.stream = newStream(recorder, plan.Redactor, append([]Sink{count}, sinks...), func(err error) { cancel(err) })
	r.group.SetLimit(plan.Concurrency)
	go r.watch(stopCtx)

	r.emit(Event{Kind: Planned, Plan: plan})
	sourceErr := r.feed(ctx, stopCtx)
	_ = r.group.Wait() // attempts return no errors: they end in results
	r.abandon(ctx)

	outcome := Outcome{Counts: count.counts, Interrupted: int(r.interrupted.Load())}
	broken, dropped, cause := r.breaker.close()
	if dropped {
		r.left.Store(true)
	}
	if reason, ok := errors.AsType[stopCause](context.Cause(stopCtx)); ok && r.left.Load() {
		outcome.Stopped = StopReason(reason)
	} else if ctx.Err() != nil && r.left.Load() {
		outcome.Stopped = Interrupted
	}
	if broken != NotStopped && r.left.Load() && outcome.Stopped != Interrupted { // who interrupts knows why it ends
		outcome.Stopped, outcome.Cause = broken, cause
	}
	outcome.Left = r.left.Load() || sourceErr != nil
	r.emit(Event{Kind: Ended, Outcome: &outcome})
	if err := r.stream.close(); err != nil {
		return outcome, err
	}
	if sourceErr != nil {
		return outcome, &SourceError{sourceErr}
	}
	return outcome, nil
}

// run is a batch while it runs.
type run struct {
	*Plan
	backend     Backend
	waiter      Waiter  // the backend, if it is one
	resumer     Resumer // the backend, if it is one
	gate        *gate
	group       errgroup.Group
	parked      parked
	breaker     breaker
	stream      *stream
	changed     chan struct{} // has a token when a task was parked or an attempt ended
	running     atomic.Int64
	interrupted atomic.Int64
	left        atomic.Bool // some item was not ended
	stop        func(StopReason)
}

type stopCause StopReason

func (c stopCause) Error() string { return "stopped: " + string(c) }

// watch stops the batch when it is to drain.
func (r *run) watch(stopCtx context.Context) {
	select {
	case <-r.Drain:
		r.stop(Interrupted)
	case <-stopCtx.Done():
	}
}

func (r *run) emit(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Batch = r.Batch.Name
	r.stream.emit(e)
}

func (r *run) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// counter counts the results that were written.
type counter struct{ counts map[State]int }

func (c *counter) Handle(e Event) {
	if e.Kind == Finished {
		c.counts[e.Result.Status]++
	}
}
