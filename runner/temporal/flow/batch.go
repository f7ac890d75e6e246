package flow

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// batch is one run of the batch workflow: what it was started with and has come to,
// which is what the next run is started with, and the shards it has begun.
type batch struct {
	Batch
	ctx      workflow.Context // done once the batch is cancelled
	selector workflow.Selector
	begun    int      // shards, in this run of the workflow, some of them again
	running  int      // shards under way
	recalls  []recall // of these
	short    bool     // a shard took its part of a limit: those under way end before any is begun
	cut      bool     // a shard has ended with items left
	holds    int      // see settle
}

// runBatch is the workflow of a batch. It returns when no shard is under way: with
// what they came to, with an error that continues the workflow as new, or, when it
// was cancelled, with a CanceledError.
func runBatch(ctx workflow.Context, in Batch) (BatchEnd, error) {
	b := &batch{Batch: in}
	b.Next, b.Window = max(b.Next, 1), max(b.Window, 1)
	ctx, cancel := workflow.WithCancel(ctx)
	b.ctx = ctx
	b.selector = workflow.NewNamedSelector(ctx, "batch")
	b.listen(cancel)
	b.wake()
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, b.progress); err != nil {
		return BatchEnd{}, err
	}
	for {
		b.hear()
		if b.Paused || b.Stopped.Why != "" {
			b.recall()
		}
		for b.mayBegin() {
			b.begin()
		}
		switch {
		case b.running > 0 || b.goesOn() && !b.isFull():
			b.selector.Select(ctx)
		case b.ctx.Err() != nil && b.Ended < b.Shards:
			return BatchEnd{}, temporal.NewCanceledError()
		case b.goesOn():
			return BatchEnd{}, workflow.NewContinueAsNewError(ctx, BatchWorkflow, b.Batch)
		default:
			return BatchEnd{Sum: b.known(), Ended: b.Ended, Stopped: b.Stopped}, nil
		}
	}
}

// goesOn says whether there are shards to begin, now or later.
func (b *batch) goesOn() bool {
	return (b.Next <= b.Shards || b.running < len(b.Open)) && b.Stopped.Why == ""
}

const (
	// The window drains before a run of the workflow is continued as new, which takes as
	// long as a shard. That is done once in so many windows, or in so many shards, each
	// of which has 6 events: a run may have 51,200 of them.
	runWindows = 16
	mostShards = 5000
)

// isFull says whether this run of the workflow has begun as many shards as it should,
// and at least one: a run that begins none would come no further.
func (b *batch) isFull() bool {
	if b.RunShards > 0 {
		return b.begun >= b.RunShards
	}
	return b.begun >= min(runWindows*b.Window, mostShards) && workflow.GetInfo(b.ctx).GetContinueAsNewSuggested()
}

func (b *batch) mayBegin() bool {
	return b.goesOn() && !b.Paused && !b.short && !b.doubts() && b.running < b.Window && !b.isFull()
}

// stop lets no more shards begin. The first reason stays, but that somebody interrupts
// is no news to him: any other one is told instead.
func (b *batch) stop(reason Stop) {
	if reason.Why != "" && (b.Stopped.Why == "" || b.Stopped.Why == StoppedInterrupted) {
		b.Stopped = reason
	}
}

func (b *batch) progress() (Progress, error) {
	p := Progress{
		Shards: b.Shards, Begun: b.Next - 1, Running: b.running,
		Sum: b.known(), Paused: b.Paused, Stopped: b.Stopped, Cancelled: b.ctx.Err() != nil,
	}
	for _, part := range b.Open {
		p.Open = append(p.Open, part.Number)
	}
	return p, nil
}
