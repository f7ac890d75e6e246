package runner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// attempt goes on with a task, from the step that it is at, until it ends in a
// result, a place in the parked queue or, when the batch was interrupted, neither.
func (r *run) attempt(ctx context.Context, t *task) {
	for more := true; more; {
		switch t.step {
		case toStart:
			more = r.start(ctx, t)
		case toFind:
			more = r.find(ctx, t)
		case toAttach:
			more = r.attach(ctx, t)
		case toResume:
			more = r.resume(ctx, t)
		case toWait:
			more = r.see(ctx, t)
		}
	}
}

// within does something in the time that the run of a task has, and tells
// whether it goes on. Where that time is over, or the whole batch, and work has
// not come to its end, it does not.
func (r *run) within(ctx context.Context, t *task, work func(ctx context.Context) (done bool)) bool {
	working, release := t.clock.start(ctx, r.Timeout)
	done := work(working)
	timedOut := errors.Is(context.Cause(working), errTimeout)
	release() // before it is parked: then the task is another's
	switch {
	case done:
		return true
	case ctx.Err() != nil:
		r.interrupt(ctx, t)
		return false
	case timedOut:
		r.tooLate(ctx, t)
		return false
	}
	return true
}

// resume goes on with a suspended run.
func (r *run) resume(ctx context.Context, t *task) bool {
	var err error
	if !r.within(ctx, t, func(ctx context.Context) bool {
		err = r.resumer.Resume(ctx, t.handle)
		return err == nil
	}) {
		return false
	}
	if err != nil {
		r.fail(t, err, Result{Error: Describe(err, classStatus), Usage: t.paid})
		return false
	}
	r.emit(t.event(Resumed))
	t.step, t.first, t.fresh = toWait, 0, false
	return true
}

// attach takes up a run that was begun before. The first look at it is not
// bounded by the run's time: it may long have ended.
func (r *run) attach(ctx context.Context, t *task) bool {
	r.countIn(t)
	r.emit(t.event(Attached))
	t.fresh, t.clock = false, clock{max(time.Since(t.started), 0)}
	if r.waiter == nil {
		status, err := r.look(ctx, t, &pauses{interval: r.PollInterval, pause: r.PollInterval})
		api, _ := errors.AsType[*APIError](err)
		switch {
		case ctx.Err() != nil && (err != nil || !status.State.Ended()):
			r.interrupt(ctx, t)
			return false
		case api != nil && api.noSuchRun():
			t.handle.TaskID = ""
			t.lost = errors.New("the run that was begun is not known any more: " + err.Error()) // which says nothing about other items
			r.doubt(t)
			return false
		case err == nil && r.endedByUs(t, status):
			return true
		case err != nil || status.State.Ended() || status.Suspended != nil:
			r.judge(ctx, t, status, err)
			return false
		}
	}
	t.step, t.first = toWait, r.PollInterval
	t.trouble, t.lost, t.given = trouble{}, nil, nil
	return true
}

// see waits for the run of a task.
func (r *run) see(ctx context.Context, t *task) bool {
	var status Status
	var err error
	if r.within(ctx, t, func(ctx context.Context) bool {
		status, err = r.wait(ctx, t)
		return err == nil && status.State.Ended()
	}) {
		if err == nil && r.endedByUs(t, status) {
			return true
		}
		r.judge(ctx, t, status, err)
	}
	return false
}

// judge says what becomes of a task whose run has ended, was suspended or was
// lost sight of.
func (r *run) judge(ctx context.Context, t *task, status Status, err error) {
	result := Result{Status: Failed, Usage: status.Usage}
	switch {
	case err != nil: // it is lost sight of, and must not go on for ever
		err = fmt.Errorf("%w; the run %s", err, endedBy(r.terminate(ctx, t.handle)))
		result.Error = Describe(err, classStatus)
	case status.Suspended != nil:
		if err = r.suspended(t, *status.Suspended, status.Usage); err == nil {
			return
		}
		_ = r.terminate(ctx, t.handle)
		result.Error = Describe(err, classRun)
	case status.State == Succeeded:
		result.Status, result.Outputs = Succeeded, status.Outputs
	case status.State == Cancelled:
		result.Status, result.Error = Cancelled, &ErrorInfo{Class: classCancel, Message: "the run was cancelled"}
	default:
		if r.startAgain(t, status) {
			return
		}
		err = status.Err
		result.Error = Describe(err, classRun)
	}
	if result.Status != Failed {
		r.end(t, nil, result)
		return
	}
	r.fail(t, err, result)
}

// suspended parks a task whose run was suspended. An error says why it is not
// worth another try.
func (r *run) suspended(t *task, s Suspension, paid *Usage) error {
	if r.resumer == nil {
		return errSuspended
	}
	t.step, t.paid = toResume, paid
	return r.park(t, s)
}
