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
// plan.Drain lets them end and starts no more. Where ErrDetach is the cause of the
// cancel, and the backend Detachable, the runs are left going. The error is one that
// ended the batch: a *ResultsError, also of the journal, or a *SourceError.
func Run(ctx context.Context, plan *Plan, backend Backend, recorder Recorder, sinks ...Sink) (Outcome, error) {
	return newRun(plan, backend).all(ctx, recorder, sinks)
}

func newRun(plan *Plan, backend Backend) *run {
	r := &run{
		Plan:    plan,
		backend: backend,
		slots:   make(chan struct{}, plan.Concurrency),
		changed: make(chan struct{}, 1),
	}
	r.group.SetLimit(plan.Concurrency)
	r.waiter, _ = backend.(Waiter)
	r.resumer, _ = backend.(Resumer)
	r.finder, _ = backend.(Finder)
	if r.waiter == nil {
		r.budget = newBudget(plan.Rate)
		r.limiter = NewLimiter()
		r.limiter.OnChange = func(s LimiterState) { r.emit(Event{Kind: Limited, Limits: s}) }
	}
	return r
}

// all runs all items.
func (r *run) all(ctx context.Context, recorder Recorder, sinks []Sink) (Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if !r.Deadline.IsZero() {
		var release context.CancelFunc
		stopCtx, release = context.WithDeadlineCause(stopCtx, r.Deadline, stopCause(AtDeadline))
		defer release()
	}
	r.stopping, r.cancel = stopCtx, cancel
	r.stop = func(reason StopReason) { stop(stopCause(reason)) }
	r.breaker.stop, r.breaker.concurrency, r.breaker.proven = func() { r.stop(Broken) }, r.Concurrency, r.Proven
	r.rule = newStopRule(r.Plan, r.stop)
	r.count.counts = map[State]int{}
	r.stream = newStream(recorder, r.Redactor, append([]Sink{&r.count, r.rule}, sinks...), func(err error) { cancel(err) })
	go r.watch()

	r.emit(Event{Kind: Planned, Plan: r.Plan})
	sourceErr := r.feed(ctx)
	_ = r.group.Wait() // attempts return no errors: they end in results
	r.abandon(ctx)
	outcome := r.outcome(ctx)
	outcome.Left = outcome.Left || sourceErr != nil
	r.emit(Event{Kind: Ended, Outcome: &outcome})
	if err := r.stream.close(); err != nil {
		return outcome, err
	}
	if err := r.unnoted.Load(); err != nil {
		return outcome, *err
	}
	if sourceErr != nil {
		return outcome, &SourceError{sourceErr}
	}
	return outcome, nil
}

// outcome says how the batch ended, when no run is left.
func (r *run) outcome(ctx context.Context) Outcome {
	broken, dropped, cause := r.breaker.close()
	if dropped {
		r.left.Store(true)
	}
	r.forgetOrphans()
	o := Outcome{Counts: r.count.counts, Interrupted: int(r.interrupted.Load()), Detached: int(r.detached.Load()), Left: r.left.Load()}
	switch reason, stopped := errors.AsType[stopCause](context.Cause(r.stopping)); {
	case r.unnoted.Load() != nil:
		o.Stopped = ResultsFailed
	case !o.Left:
	case stopped && StopReason(reason) == Interrupted, !stopped && ctx.Err() != nil:
		o.Stopped = Interrupted // who interrupts knows why it ends
	case broken != NotStopped:
		o.Stopped, o.Cause = broken, cause
	case stopped:
		o.Stopped = StopReason(reason)
		if o.Stopped == AtFailures || o.Stopped == AtBudget {
			o.Reason = r.rule.reason()
		}
	}
	return o
}

// run is a batch while it runs.
type run struct {
	*Plan
	backend     Backend
	waiter      Waiter  // the backend, if it is one
	resumer     Resumer // the backend, if it is one
	finder      Finder  // the backend, if it is one
	slots       chan struct{}
	limiter     *Limiter // of starts; nil where the backend is a Waiter, which has its own
	budget      *budget  // of calls of a backend that is polled
	pace        pace
	group       errgroup.Group
	parked      parked
	breaker     breaker
	rule        *stopRule
	count       counter
	orphans     orphans
	stream      *stream
	changed     chan struct{} // has a token when a task was parked or an attempt ended
	running     atomic.Int64
	interrupted atomic.Int64
	detached    atomic.Int64
	left        atomic.Bool // some item was not ended
	told        bool        // that nothing more is started
	unnoted     atomic.Pointer[error]
	stopping    context.Context // done: nothing more is started
	stop        func(StopReason)
	cancel      context.CancelCauseFunc // ends everything
}

type stopCause StopReason

func (c stopCause) Error() string { return "stopped: " + string(c) }

// watch stops the batch when it is to drain.
func (r *run) watch() {
	select {
	case <-r.Drain:
		r.stop(Interrupted)
	case <-r.stopping.Done():
	}
}

// abandon ends the runs that are parked when the batch has stopped: nobody will
// resume them.
func (r *run) abandon(ctx context.Context) {
	tasks := r.parked.clear()
	if len(tasks) > 0 {
		r.tellStop()
	}
	var group errgroup.Group
	group.SetLimit(r.Concurrency)
	for _, t := range tasks {
		group.Go(func() error {
			r.interrupt(ctx, t)
			return nil
		})
	}
	_ = group.Wait() // nobody returns an error
}

// tellStop says, once, that items are left.
func (r *run) tellStop() {
	r.left.Store(true)
	if r.told {
		return
	}
	r.told = true
	cause := context.Cause(r.stopping)
	e := Event{Kind: Stopped, Reason: cause.Error()}
	if why := r.rule.reason(); why != "" && (errors.Is(cause, stopCause(AtFailures)) || errors.Is(cause, stopCause(AtBudget))) {
		e.Reason += ": " + why
	}
	r.emit(e)
}

// forgetOrphans makes the journal forget runs of items that are gone. As long as
// anything is left, one of their ids may be that of another run.
func (r *run) forgetOrphans() {
	for _, id := range r.orphans.ended() {
		if r.Journal != nil && !r.left.Load() {
			r.noted(r.Journal.Drop(id))
		}
	}
}

func (r *run) emit(e Event) { r.send(e, nil) }

func (r *run) send(e Event, written chan struct{}) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Batch = r.Batch.Name
	r.stream.send(sentEvent{e, written})
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
