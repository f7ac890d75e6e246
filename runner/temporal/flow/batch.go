package flow

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// batch is one run of the batch workflow: what it was started with and has come to,
// which is what the next run is started with, and the shards it has begun.
type batch struct {
	Batch
	ctx      workflow.Context // done once the batch is cancelled
	selector workflow.Selector
	begun    int   // in this run of the workflow
	running  int   // shards under way
	open     []int // begun, not ended; ascending
	holds    int   // see settle
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
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, b.progress); err != nil {
		return BatchEnd{}, err
	}
	for {
		b.hear()
		for b.mayBegin() {
			b.begin(b.Next)
		}
		switch {
		case b.running > 0 || b.goesOn() && !b.isFull():
			b.selector.Select(ctx)
		case b.ctx.Err() != nil && b.Ended < b.Shards:
			return BatchEnd{}, temporal.NewCanceledError()
		case b.goesOn():
			return BatchEnd{}, workflow.NewContinueAsNewError(ctx, BatchWorkflow, b.Batch)
		default:
			return BatchEnd{Sum: b.Sum, Ended: b.Ended, Stopped: b.Stopped}, nil
		}
	}
}

// goesOn says whether there are shards to begin, now or later.
func (b *batch) goesOn() bool {
	return b.Next <= b.Shards && b.Stopped.Why == ""
}

// isFull says whether this run of the workflow has begun as many shards as it should,
// and at least one: a run that begins none would come no further.
func (b *batch) isFull() bool {
	if b.begun == 0 {
		return false
	}
	if b.RunShards > 0 && b.begun >= b.RunShards {
		return true
	}
	return workflow.GetInfo(b.ctx).GetContinueAsNewSuggested()
}

func (b *batch) mayBegin() bool {
	return b.goesOn() && !b.Paused && b.running < b.Window && !b.isFull()
}

func (b *batch) begin(shard int) {
	b.Next++
	b.begun++
	b.running++
	b.open = append(b.open, shard)
	ctx := activityContext(b.ctx, fmt.Sprintf("shard-%d", shard), b.ShardTimeout)
	work := workflow.ExecuteActivity(ctx, ShardActivity, Shard{
		Store: b.Store, Pass: b.Pass, Number: shard, Window: b.Window, Before: b.Sum,
	})
	b.selector.AddFuture(work, func(work workflow.Future) { b.end(shard, work) })
}

// end takes in what a shard came to. One that was cancelled, or failed for good, stays
// open; the latter stops the batch.
func (b *batch) end(shard int, work workflow.Future) {
	b.running--
	var end ShardEnd
	err := work.Get(b.ctx, &end)
	switch {
	case err == nil:
		b.open = slices.DeleteFunc(b.open, func(open int) bool { return open == shard })
		b.Ended++
		b.Sum = b.Sum.Add(end.Sum)
		b.stop(end.Stop)
	case b.ctx.Err() == nil:
		b.stop(Stop{Why: StoppedBroken, Cause: shardFailure(shard, b.Shards, err)})
	}
	if b.Ended == b.Shards && b.Stopped.Why == StoppedInterrupted {
		b.Stopped = Stop{} // it came too late to leave anything out
	}
}

// stop lets no more shards begin. The first reason stays, but that somebody interrupts
// is no news to him: any other one is told instead.
func (b *batch) stop(reason Stop) {
	if reason.Why != "" && (b.Stopped.Why == "" || b.Stopped.Why == StoppedInterrupted) {
		b.Stopped = reason
	}
}

func (b *batch) progress() (Progress, error) {
	return Progress{
		Shards: b.Shards, Begun: b.Next - 1, Open: b.open, Running: b.running,
		Sum: b.Sum, Paused: b.Paused, Stopped: b.Stopped,
	}, nil
}
