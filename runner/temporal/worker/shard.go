package worker

import (
	"bytes"
	"context"
	"errors"
	"maps"
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
	h := w.beats(ctx)
	defer h.stop()
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
		return finish(h, sink, flow.Stop{})
	}
	past := &shardPast{sink: sink, redact: f.file.Redactor}
	if past.items, err = s.Items(h, in.Pass, in.Number); err != nil {
		return flow.ShardEnd{}, err
	}
	plan := f.plan(past, in.Before)
	plan.Drain = h.drain
	if err := h.earlier(s, in, plan); err != nil {
		return flow.ShardEnd{}, err
	}
	backend, err := h.guarded(f)
	if err != nil {
		return flow.ShardEnd{}, err
	}
	outcome, err := runner.Run(h, plan, backend, sink, h)
	if err == nil && !outcome.Left {
		return finish(h, sink, flow.Stop{})
	}
	if err == nil && outcome.Stopped != runner.Interrupted && outcome.Stopped != runner.NotStopped && h.Err() == nil {
		stop := flow.Stop{Why: string(outcome.Stopped), Reason: f.file.Redactor.Text(outcome.Reason)}
		if outcome.Cause != nil {
			stop.Cause = hidden(f.file, outcome.Cause)
		}
		return finish(h, sink, stop)
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(h), writeWithin)
	defer cancel()
	if flushErr := sink.Flush(within); err == nil {
		err = flushErr
	}
	if err == nil {
		err = h.cause()
	}
	return flow.ShardEnd{}, err
}

// finish ends a shard, of which nothing is left, or whose batch stops.
func finish(ctx context.Context, sink *store.ShardSink, stop flow.Stop) (flow.ShardEnd, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	tally, err := sink.Finish(ctx)
	if err != nil {
		return flow.ShardEnd{}, err
	}
	return flow.ShardEnd{Sum: sumOf(tally), Stop: stop}, nil
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
	case errors.Is(cause, errStops), cause == nil && errors.Is(err, errGivenBack):
		return h.givenBack()
	case cause != nil: // it was cancelled, or nobody waits for it
		return temporal.NewCanceledError()
	}
	return h.work.failed(file, h.info.Attempt, err)
}

// plan is that of a shard. Limits are those of the batch: what the shards took that had
// ended when it was begun counts, too.
func (f *openFile) plan(past *shardPast, before flow.Sum) *runner.Plan {
	run := &f.file.Run
	tally := &runner.Tally{}
	if f.pass.Before != nil {
		*tally = *f.pass.Before
		tally.Statuses = maps.Clone(tally.Statuses)
	}
	return &runner.Plan{
		Batch: f.batch, PipelineID: f.pipelineID, Generation: f.pass.Generation,
		Items: past.each, Past: past, Total: len(past.items),
		Concurrency: max(f.pass.Concurrency, 1), Timeout: run.Timeout, PollInterval: run.PollInterval, Retry: run.Retry,
		AnswersSince: f.pass.AnswersSince, Deadline: f.pass.Deadline,
		Stop: run.Stop, Rows: f.pass.Rows, Before: added(tally, before), GoneFailed: f.pass.GoneFailed,
		Proven: before.Succeeded > 0, Redactor: f.file.Redactor,
	}
}

// added adds what shards took to a tally, as far as limits ask for it.
func added(t *runner.Tally, s flow.Sum) *runner.Tally {
	if t.Statuses == nil {
		t.Statuses = map[runner.State]int{}
	}
	t.Items += s.Items
	t.Statuses[runner.Succeeded] += s.Succeeded
	t.NanoUSD += s.NanoUSD
	t.InputTokens += s.InputTokens
	t.OutputTokens += s.OutputTokens
	t.Unpriced += s.Unpriced
	return t
}

func sumOf(t *runner.Tally) flow.Sum {
	return flow.Sum{
		Items: t.Items, Succeeded: t.Statuses[runner.Succeeded], NanoUSD: t.NanoUSD,
		InputTokens: t.InputTokens, OutputTokens: t.OutputTokens, Unpriced: t.Unpriced,
	}
}

// earlier counts what earlier tries of a shard did.
func (h *heart) earlier(s *store.Store, in flow.Shard, plan *runner.Plan) error {
	if h.info.Attempt < 2 {
		return nil
	}
	text, _, err := s.Results(h, in.Pass, in.Number)
	if err != nil {
		return err
	}
	done := &runner.Tally{}
	var line runner.Line
	for raw := range bytes.Lines(text) {
		if err := runner.ParseLine(bytes.TrimSuffix(raw, []byte("\n")), &line); err != nil {
			return err
		}
		done.Add(&line)
	}
	sum := sumOf(done)
	h.items.Store(int64(sum.Items))
	h.succeeded.Store(int64(sum.Succeeded))
	plan.Before = added(plan.Before, sum)
	return nil
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
