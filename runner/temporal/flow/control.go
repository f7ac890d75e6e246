package flow

import "go.temporal.io/sdk/workflow"

// listen adds the signals, and the cancellation, to what the batch selects from:
// before any shard, so that they are heard first.
func (b *batch) listen(cancel workflow.CancelFunc) {
	on := func(signals workflow.ReceiveChannel, heed func()) {
		b.selector.AddReceive(signals, func(signals workflow.ReceiveChannel, _ bool) {
			signals.Receive(b.ctx, nil)
			heed()
		})
	}
	if b.Paused {
		b.holds = 1
	}
	interrupt := func() { b.stop(Stop{Why: StoppedInterrupted}) }
	on(workflow.GetSignalChannel(b.ctx, CancelSignal), cancel)
	on(b.ctx.Done(), interrupt)
	on(workflow.GetSignalChannel(b.ctx, DrainSignal), interrupt)
	on(workflow.GetSignalChannel(b.ctx, PauseSignal), func() { b.holds++ })
	on(workflow.GetSignalChannel(b.ctx, ResumeSignal), func() { b.holds-- })
}

// hear takes in all that has happened: nothing is begun, and the workflow does not
// end, before everything is heard that was known to the server by then.
func (b *batch) hear() {
	for b.selector.HasPending() {
		b.selector.Select(b.ctx)
	}
	b.settle()
}

// settle makes up its mind whether the batch is paused. Signals of two names that
// came in while no worker was there have lost their order; as who pauses and resumes
// does so in turns, the number of each tells which was the last.
func (b *batch) settle() {
	b.Paused = b.holds > 0
	b.holds = min(max(b.holds, 0), 1)
}

// wake stops the batch at its deadline, also while it is paused. Shards under way look
// at it themselves.
func (b *batch) wake() {
	if b.Deadline.IsZero() {
		return
	}
	timer := workflow.NewTimer(b.ctx, b.Deadline.Sub(workflow.Now(b.ctx)))
	b.selector.AddFuture(timer, func(timer workflow.Future) {
		if timer.Get(b.ctx, nil) == nil { // and the batch was not cancelled
			b.stop(Stop{Why: StoppedDeadline})
		}
	})
}
