package runner

import (
	"errors"
	"time"
)

// startAgain parks a task whose run has failed by its own doing, if that is to be
// tried again. Answers that were kept would lead it to the same end.
func (r *run) startAgain(t *task, failed Status) bool {
	if !r.Retry.FailedRuns || t.attempt-t.before >= r.Retry.MaxAttempts || !ownFailure(failed.Err) {
		return false
	}
	r.breaker.ended(failed.Err, func() {})
	r.countOut(t, nil)
	now := time.Now()
	e := t.event(Parked)
	t.due = now.Add(backoff(&r.Retry, t.attempt-t.before, r.chance))
	e.Until, e.Reason = t.due, Describe(failed.Err, classRun).Message
	t.usage, t.paid = addUsage(t.usage, failed.Usage), nil
	e.Usage, e.Carried = t.tell()
	t.step, t.answersSince, t.trouble = toStart, now, trouble{}
	t.handle = Handle{}
	r.emit(e)
	r.parked.add(t)
	return true
}

// ownFailure tells whether a run failed for a reason that is neither that of all
// runs nor one that was tried again already.
func ownFailure(err error) bool {
	_, input := errors.AsType[*InputError](err)
	_, held := errors.AsType[*HeldBack](err)
	return !input && !held && !MayPass(err) && ReasonOf(err) == NotStopped
}
