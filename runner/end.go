package runner

import (
	"errors"
	"time"
)

// fail gives a task the result of a failure, whose status and inputs need not be set.
func (r *run) fail(t *task, err error, result Result) {
	result.Status = Failed
	r.breaker.met(err, 1)
	r.end(t, err, result)
}

// longRun is a run that has asked somebody, and may have cost something. It keeps
// its slot until its result is written (which is not to say that the disk has it),
// so that a crash repeats no more of such runs than may be in flight. So does one
// that asked a model, or did not succeed: the next one may be one too many.
const longRun = time.Millisecond

// end gives a task its result, unless the whole batch turns out to be in trouble
// of which err is a part.
func (r *run) end(t *task, err error, result Result) {
	r.countOut(t, nil)
	r.complete(t, &result) // its end is now, however late it is written
	var written chan struct{}
	if result.Duration >= longRun || result.Usage != nil || result.Status != Succeeded {
		written = make(chan struct{})
	}
	sent := r.breaker.ended(err, func() { r.finish(t, &result, written) })
	t.leave()
	if sent && written != nil {
		<-written
	}
}

// finish sends the result of a task off.
func (r *run) finish(t *task, result *Result, written chan struct{}) {
	r.send(Event{Kind: Finished, Time: result.FinishedAt, ID: result.ID, Result: result, Carried: t.carried}, written)
}

// complete adds to a result what is known of its task.
func (r *run) complete(t *task, result *Result) {
	result.ID, result.Index, result.Batch = t.item.ID, t.item.Index, r.Batch.Name
	result.Generation, result.Rehearsal = r.Generation, r.Rehearsal
	result.Inputs, result.Digest = t.item.Inputs, t.item.Digest
	result.Handle, result.Attempts, result.PossibleDuplicate = t.handle, t.attempt, t.duplicate
	result.Usage = addUsage(t.usage, result.Usage)
	result.StartedAt, result.FinishedAt = t.started, time.Now()
	if !result.StartedAt.IsZero() {
		result.Duration = max(result.FinishedAt.Sub(result.StartedAt), 0) // clocks are set back, and a run may be of an earlier process
	}
}

// addUsage adds what may not be known.
func addUsage(a, b *Usage) *Usage {
	if b == nil {
		return a
	}
	return a.Add(*b)
}

// Describe puts an error into a result, with the class that it asks for, else the one
// that is given.
func Describe(err error, class string) *ErrorInfo {
	if err == nil {
		return &ErrorInfo{Class: class, Message: "the backend gave no reason"}
	}
	if _, ok := errors.AsType[*startError](err); ok {
		class = classStart
	}
	info := &ErrorInfo{Message: err.Error()}
	info.Class, info.StatusCode = classOf(err, class)
	if _, ok := errors.AsType[*InputError](err); ok {
		info.Class = "invalid_input"
	}
	if _, ok := errors.AsType[*unknownStart](err); ok {
		info.Class = classUnknownStart
	}
	if node, ok := errors.AsType[*RunError](err); ok {
		info.Node = node.Node
	}
	return info
}
