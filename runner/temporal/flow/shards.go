package flow

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"
)

// begin begins a shard that was given back, else the next one.
func (b *batch) begin() {
	at := slices.IndexFunc(b.Open, func(p Part) bool { return !p.Running })
	if at < 0 {
		at = len(b.Open)
		b.Open = append(b.Open, Part{Number: b.Next})
		b.Next++
	}
	in := Shard{Store: b.Store, Pass: b.Pass, Number: b.Open[at].Number, Window: min(b.Window, b.Shards-b.Ended)}
	in.Before, in.Own = b.known(), b.Open[at].Sum
	for _, p := range b.Open {
		if p.Running {
			in.Others++
			in.Known = in.Known.Add(p.Known)
		}
	}
	part := &b.Open[at]
	part.Begun++
	part.Known, part.Running = in.Before, true
	b.begun++
	b.running++
	id := fmt.Sprintf("shard-%d", in.Number)
	if part.Begun > 1 {
		id = fmt.Sprintf("%s-%d", id, part.Begun)
	}
	ctx, cancel := workflow.NewDisconnectedContext(b.ctx) // else shards would be cancelled in any order
	b.recalls = append(b.recalls, recall{in.Number, cancel})
	work := workflow.ExecuteActivity(activityContext(ctx, id, anyTries), ShardActivity, in)
	b.selector.AddFuture(work, func(work workflow.Future) { b.end(in.Number, work, ctx.Err() != nil) })
}

// recall lets the shards under way start no more runs, and give back what is left, or
// terminates them where the batch is cancelled. They are cancelled for either, and ask
// what is meant: see Progress.
func (b *batch) recall() {
	for _, r := range b.recalls {
		r.cancel()
	}
}

// recall is what recalls a shard.
type recall struct {
	shard  int
	cancel workflow.CancelFunc
}

// end takes in what a shard came to. One that was recalled may have failed only as there
// are no more tries then: the next time is another one. It stays open, as does one that
// was cancelled, or failed for good; the latter stops the batch.
func (b *batch) end(shard int, work workflow.Future, recalled bool) {
	at := slices.IndexFunc(b.Open, func(p Part) bool { return p.Number == shard })
	part := &b.Open[at]
	part.Running = false
	b.running--
	b.recalls = slices.DeleteFunc(b.recalls, func(r recall) bool { return r.shard == shard })
	var end ShardEnd
	err := work.Get(b.ctx, &end)
	switch {
	case err == nil && end.Left:
		part.Sum = end.Sum
		b.short = b.short || end.Short
	case err == nil && end.Alike && !part.Doubted:
		part.Sum, part.Stop = end.Sum, end.Stop
	case err == nil:
		part.Sum = end.Sum
		b.close(at, end.Stop)
	case !recalled || isForGood(err):
		b.stop(Stop{Why: StoppedBroken, Cause: shardFailure(shard, b.Shards, err)})
	}
	b.judge()
	if b.running == 0 {
		b.short = false // what they took is known
	}
	if b.Ended == b.Shards && !b.cut {
		b.Stopped = Stop{} // it came too late to leave anything out
	}
}

// close ends a shard, which has items left if it stops the batch.
func (b *batch) close(at int, stop Stop) {
	b.Ended++
	b.Sum = b.Sum.Add(b.Open[at].Sum)
	b.Open = slices.Delete(b.Open, at, at+1)
	b.cut = b.cut || stop.Why != ""
	b.stop(stop)
}

// known is what all shards are known to have come to.
func (b *batch) known() Sum {
	sum := b.Sum
	for _, p := range b.Open {
		sum = sum.Add(p.Sum)
	}
	return sum
}

// doubts says whether the runs of a shard failed alike, and it is not known yet whether
// that is so for all.
func (b *batch) doubts() bool {
	return slices.ContainsFunc(b.Open, func(p Part) bool { return p.Stop.Why != "" })
}

// judge makes up its mind about shards whose runs failed alike. Where others have done
// better, they are begun again, once. Else they stop the batch, when no other is under
// way any more.
func (b *batch) judge() {
	proven := b.known().Succeeded > 0
	if !proven && b.running > 0 {
		return
	}
	for at := len(b.Open) - 1; at >= 0; at-- {
		switch p := &b.Open[at]; {
		case p.Stop.Why == "":
		case proven:
			p.Stop, p.Doubted = Stop{}, true
		default:
			b.close(at, p.Stop)
		}
	}
}
