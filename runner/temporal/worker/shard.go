package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// writeWithin bounds what is written once an activity is to end.
const writeWithin = 20 * time.Second

// shard is the activity that runs the items of a shard that have no result yet, as
// runner.Run does it everywhere. What it cannot do to the end, as this worker goes or
// something fails, another try does, on whatever worker.
func (w *work) shard(ctx context.Context, in flow.Shard) (flow.ShardEnd, error) {
	if w.stops() {
		return flow.ShardEnd{}, w.givenBack()
	}
	h := w.beats(ctx, w.cancels)
	defer h.stop()
	if err := h.givenUp(); err != nil {
		return flow.ShardEnd{}, err
	}
	s, release, err := w.store(h, in.Store)
	if err != nil {
		return flow.ShardEnd{}, h.failed(nil, err)
	}
	defer release()
	f, release, err := w.passFile(h, s, in)
	if err != nil {
		return flow.ShardEnd{}, h.failed(nil, err)
	}
	defer release()
	end, err := w.runShard(h, s, f, in)
	if err != nil {
		return flow.ShardEnd{}, h.failed(f.file, err)
	}
	return end, nil
}

// runShard runs what is left of a shard.
func (w *work) runShard(h *heart, s *store.Store, f *openFile, in flow.Shard) (flow.ShardEnd, error) {
	sink, err := s.ShardSink(h, in.Pass, in.Number, int(h.info.Attempt))
	if err != nil {
		return flow.ShardEnd{}, err
	}
	if sink.Finished() {
		return h.finish(sink, flow.Stop{})
	}
	if h.info.Attempt > 1 {
		if err := s.Probe(h, in.Pass, in.Number); err != nil {
			return flow.ShardEnd{}, err
		}
	}
	past := &shardPast{sink: sink, redact: f.file.Redactor}
	if past.items, err = s.Items(h, in.Pass, in.Number); err != nil {
		return flow.ShardEnd{}, err
	}
	h.add(largest(sumOf(sink.Tally()), in.Own)) // runs that were broken off are in Own only
	plan, shared := f.plan(past, in, h.total())
	plan.Drain = h.drain
	backend, err := h.guarded(f)
	if err != nil {
		return flow.ShardEnd{}, err
	}
	outcome, err := runner.Run(h, plan, backend, sink, h)
	if err == nil && outcome.Stopped == runner.Denied && plan.Proven {
		return flow.ShardEnd{}, h.refuse(f.file, fmt.Errorf("it is refused what others are not: %w; check its keys", outcome.Cause))
	}
	if err == nil && !outcome.Left {
		return h.finish(sink, flow.Stop{})
	}
	// Where nothing was added, a limit of the batch itself is reached.
	short := shared && (outcome.Stopped == runner.AtFailures || outcome.Stopped == runner.AtBudget) && h.total() != in.Own
	if err == nil && !short && outcome.Stopped != runner.Interrupted && outcome.Stopped != runner.NotStopped && h.Err() == nil {
		stop := flow.Stop{Why: string(outcome.Stopped), Reason: f.file.Redactor.Text(outcome.Reason)}
		if outcome.Cause != nil {
			stop.Cause = hidden(f.file, outcome.Cause)
		}
		return h.finish(sink, stop)
	}
	cause := h.cause()
	back := errors.Is(cause, errGivenBack) && (h.stops() || h.recalled.Load()) || errors.Is(cause, errStops)
	if err == nil && (back || short && h.Err() == nil) {
		end, err := h.finish(sink, flow.Stop{})
		end.Left, end.Short = true, short
		return end, err
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(h), writeWithin)
	defer cancel()
	if flushErr := sink.Flush(within); err == nil {
		err = flushErr
	}
	return flow.ShardEnd{}, cmp.Or(err, cause)
}

// finish ends the work on a shard: of what it has come to all results are in one place.
func (h *heart) finish(sink *store.ShardSink, stop flow.Stop) (flow.ShardEnd, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h), writeWithin)
	defer cancel()
	tally, err := sink.Finish(ctx)
	if err != nil {
		return flow.ShardEnd{}, &unwritten{err}
	}
	return flow.ShardEnd{Sum: largest(sumOf(tally), h.total()), Stop: stop, Alike: alike(runner.StopReason(stop.Why))}, nil
}

// alike says whether a shard stopped as all its runs failed alike.
func alike(why runner.StopReason) bool {
	return why == runner.Unreachable || why == runner.Denied || why == runner.AllAlike
}

// errGivenBack ends an activity whose rest is another worker's.
var errGivenBack = errors.New("the rest is given to another worker")

// cause is why the work of an activity ended early.
func (h *heart) cause() error {
	if cause := context.Cause(h); cause != nil {
		return cause
	}
	return errGivenBack
}

// failed is the error that an activity ends with. Its file may be nil.
func (h *heart) failed(file *spec.File, err error) error {
	cause := context.Cause(h)
	switch _, panics := errors.AsType[*panicked](cause); {
	case panics:
		err = cause
	case errors.Is(cause, errStops), cause == nil && (errors.Is(err, errGivenBack) || h.ctx.Err() != nil):
		p := h.progress()
		p.Idle, p.Met = min(p.Idle, h.before.Idle), h.before.Met // it does not count
		h.last(p)
		return h.givenBack()
	case cause != nil: // it was cancelled, or nobody waits for it
		return temporal.NewCanceledError()
	}
	return h.failure(file, err)
}

// plan is that of a shard. Own is what it has come to, of which the batch may not know.
func (f *openFile) plan(past *shardPast, in flow.Shard, own flow.Sum) (plan *runner.Plan, shared bool) {
	run := &f.file.Run
	before := added(f.before(), in.Before.Add(own.Sub(in.Own)))
	stop, shared := f.stop(in)
	return &runner.Plan{
		Batch: f.batch, PipelineID: f.pipelineID, Generation: f.pass.Generation,
		Items: past.each, Past: past, Total: len(past.items),
		Concurrency: max(f.pass.Concurrency, 1), Timeout: run.Timeout, PollInterval: run.PollInterval, Retry: run.Retry,
		AnswersSince: f.pass.AnswersSince, Deadline: f.pass.Deadline,
		Stop: stop, Rows: f.pass.Rows, Before: before, GoneFailed: f.pass.GoneFailed,
		Proven: before.Statuses[runner.Succeeded] > 0, Redactor: f.file.Redactor,
	}, shared
}

// shardPast is what is known of the items of a shard.
type shardPast struct {
	items  []store.Item
	sink   *store.ShardSink
	redact *spec.Redactor
	at     int // the item that is asked for next
}

func (p *shardPast) each(yield func(spec.Item) bool) error {
	for i := range p.items {
		if !yield(p.items[i].Spec()) {
			break
		}
	}
	return nil
}

// Of tells how an item stood when it was handed over, and whether it has ended since.
func (p *shardPast) Of(it *spec.Item) runner.Standing {
	p.at++
	if p.sink.Done(p.redact.ID(it.ID)) {
		return runner.Standing{Skip: true, Ended: true}
	}
	return p.items[p.at-1].Standing()
}

// Orphans are none: no run outlives its worker.
func (p *shardPast) Orphans() []runner.Begun { return nil }
