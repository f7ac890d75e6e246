package runner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// terminateWithin bounds the calls that terminate a run.
const (
	terminateWithin = 10 * time.Second
	terminatePause  = 500 * time.Millisecond // at first, between two tries
)

// tooLate ends a task whose run has gone on for too long. One that is polled may have
// ended since it was looked at: what it made is paid for.
func (r *run) tooLate(ctx context.Context, t *task) {
	status, ended, unseen := r.lastLook(ctx, t, r.budget.wait)
	if ended {
		r.judge(ctx, t, status, nil)
		return
	}
	if ctx.Err() != nil { // while the look had to wait
		r.interrupt(ctx, t)
		return
	}
	how, _, status := r.endEarly(ctx, t.handle)
	if r.waiter == nil && status.State == Succeeded { // meanwhile
		r.judge(ctx, t, status, nil)
		return
	}
	err := fmt.Errorf("%w of %v and %s", errTimeout, r.Timeout, how)
	if unseen != nil { // that may be why
		err = fmt.Errorf("%w; its status could not be had last: %w", err, unseen)
	}
	r.end(t, err, Result{Status: TimedOut, Error: &ErrorInfo{Class: classTimedOut, Message: err.Error()}, Usage: status.Usage})
}

// lastLook tells how the run of a task has ended, if it is polled and has. The error is
// that of the look.
func (r *run) lastLook(ctx context.Context, t *task, wait func(context.Context) error) (status Status, ended bool, err error) {
	if r.waiter != nil || wait(ctx) != nil {
		return status, false, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), terminateWithin)
	defer cancel()
	status, err = r.backend.Status(ctx, t.handle)
	return status, err == nil && status.State.Ended(), err
}

// endEarly terminates a run. It says what that has come to, whether the run is surely
// not going on, and how it then stands, as far as the backend tells.
func (r *run) endEarly(ctx context.Context, h Handle) (how string, gone bool, status Status) {
	err := r.terminate(ctx, h)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), terminateWithin)
	defer cancel()
	r.budget.take()
	status, unknown := r.backend.Status(ctx, h)
	if !isGone(err) && unknown == nil && status.State.Ended() {
		return "has ended since", true, status
	}
	return endedBy(err), isGone(err), status
}

// endedBy says what a call that was to terminate a run has come to.
func endedBy(err error) string {
	switch {
	case err == nil:
		return "was terminated"
	case isGone(err):
		return "is not known any more: " + err.Error()
	}
	return "may go on, as it could not be terminated: " + err.Error()
}

// terminate ends a run early. The call is counted, but does not wait.
func (r *run) terminate(ctx context.Context, h Handle) error {
	r.budget.take()
	return terminate(ctx, r.backend, h)
}

// interrupt ends the work on a task because the whole batch ends now. Its run is
// terminated, unless it is to be left going, or has ended by itself. Its item gets no
// result: it has not ended, and is to be run again.
func (r *run) interrupt(ctx context.Context, t *task) {
	if _, ok := r.backend.(Detachable); ok && t.handle.TaskID != "" && errors.Is(context.Cause(ctx), ErrDetach) {
		r.left.Store(true)
		r.countOut(t, errNotStarted)
		r.detached.Add(1)
		return
	}
	if r.endsByItself(ctx, t) {
		return
	}
	if t.handle.TaskID == "" {
		r.left.Store(true)
		r.countOut(t, errNotStarted)
		return
	}
	r.ending(t)
	began := time.Now()
	err := r.terminate(ctx, t.handle)
	if (err != nil || time.Since(began) >= terminatePause) && r.endsByItself(ctx, t) { // meanwhile
		return
	}
	r.left.Store(true)
	r.countOut(t, errNotStarted)
	if !isGone(err) {
		r.detached.Add(1)
		return
	}
	r.interrupted.Add(1)
	r.over(t)
}

// endsByItself gives a task its result whose run has ended since it was looked at.
func (r *run) endsByItself(ctx context.Context, t *task) bool {
	if t.handle.TaskID == "" {
		return false
	}
	status, ended, _ := r.lastLook(ctx, t, func(context.Context) error { r.budget.take(); return nil })
	if !ended || status.State == Cancelled && t.ending || status.State == Failed && r.Retry.FailedRuns {
		return false
	}
	if t.leave == nil { // it was parked, and nobody waits for its end
		t.leave = func() {}
	}
	r.judge(ctx, t, status, nil)
	return true
}

// endedByUs tells of a run that was cancelled whether an invocation did it that was
// itself interrupted: then the item has not ended, and another run is to be started.
func (r *run) endedByUs(t *task, status Status) bool {
	if status.State != Cancelled || !t.ending {
		return false
	}
	r.over(t)
	r.countOut(t, errNotStarted)
	t.step, t.handle, t.ending = toStart, Handle{}, false
	return true
}
