package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// terminateWithin bounds the call that terminates a run.
const terminateWithin = 10 * time.Second

// attempt starts (or resumes) the run of a task and sees it to its end: a
// result, a place in the parked queue or, when the batch was interrupted, none.
func (r *run) attempt(ctx context.Context, t *task) {
	runCtx, release := t.clock.start(ctx, r.Timeout)
	status, err := r.execute(runCtx, t)
	timedOut := errors.Is(context.Cause(runCtx), errTimeout)
	release() // before it is parked: then the task is another's
	if status.Suspended != nil && r.resumer == nil {
		terminate(ctx, r.backend, t.handle)
		status = Status{State: Failed, Err: errSuspended, Usage: status.Usage}
	}
	ended := err == nil && status.State.Ended()
	switch {
	case ctx.Err() != nil && !ended:
		r.interrupt(ctx, t)
		return
	case timedOut && !ended:
		terminate(ctx, r.backend, t.handle)
		err = fmt.Errorf("%w of %v and was terminated", errTimeout, r.Timeout)
		r.end(t, err, Result{Status: TimedOut, Error: &ErrorInfo{Class: classTimedOut, Message: err.Error()}, Usage: r.usage(ctx, t.handle)})
		return
	case err == nil && status.Suspended != nil:
		if status.Err = r.park(ctx, t, *status.Suspended); status.Err == nil {
			return
		}
		status.State = Failed
	}
	result := Result{Status: Failed, Usage: status.Usage}
	switch {
	case err != nil:
		result.Error = describe(err, classStatus)
	case status.State == Succeeded:
		result.Status, result.Outputs = Succeeded, status.Outputs
	case status.State == Cancelled:
		result.Status, result.Error = Cancelled, &ErrorInfo{Class: classCancel, Message: "the run was cancelled"}
	default:
		err = status.Err
		result.Error = describe(err, classRun)
	}
	r.breaker.met(err, 1)
	r.end(t, err, result)
}

// park puts a task whose run was suspended aside until it is worth another try.
// An error says why it is not, and ends the item; the run is terminated then.
func (r *run) park(ctx context.Context, t *task, s Suspension) error {
	random := r.random
	if random == nil {
		random = rand.Float64
	}
	pause, err := t.trouble.meet(&s, &r.Retry, random)
	if err != nil {
		terminate(ctx, r.backend, t.handle)
		return err
	}
	t.due = s.At.Add(pause)
	for _, cause := range s.Errs {
		r.breaker.met(cause, t.trouble.unreached())
	}
	cause, held := s.cause()
	r.emit(Event{Kind: Parked, ID: t.item.ID, Attempt: t.attempt, Handle: t.handle, Until: t.due, Reason: cause.Error(), Held: held})
	if ReasonOf(cause) != NotStopped { // it has come to the end that is in doubt
		t.leave()
		t.leave = nil
	}
	r.parked.add(t)
	return nil
}

// execute starts or resumes the run and waits for it.
func (r *run) execute(ctx context.Context, t *task) (Status, error) {
	unknown := Status{State: Running}
	if t.handle.TaskID != "" {
		if err := r.resumer.Resume(ctx, t.handle); err != nil {
			return unknown, err
		}
		r.emit(Event{Kind: Resumed, ID: t.item.ID, Attempt: t.attempt, Handle: t.handle})
		return r.wait(ctx, t.handle)
	}
	t.attempt++
	t.started = time.Now()
	trace := traceID(r.Generation, r.Batch.Name, t.item.ID, t.attempt)
	handle, err := r.backend.Start(ctx, r.PipelineID, t.item.Inputs, StartOptions{
		TraceID:            trace,
		SessionID:          r.Batch.SessionID,
		NodeInputOverrides: r.Batch.NodeInputOverrides,
		Version:            r.Batch.Version,
		FreshAnswers:       r.FreshAnswers,
	})
	if err != nil {
		return unknown, &startError{err}
	}
	if handle.TraceID == "" {
		handle.TraceID = trace // backends need not repeat it
	}
	t.handle = handle
	r.emit(Event{Kind: Started, ID: t.item.ID, Attempt: t.attempt, Handle: handle})
	return r.wait(ctx, handle)
}

type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// describe puts an error into a result, with the class that it asks for.
func describe(err error, class string) *ErrorInfo {
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
	if node, ok := errors.AsType[*RunError](err); ok {
		info.Node = node.Node
	}
	return info
}

// usage asks what a run took that was terminated; nil where the backend does not
// tell.
func (r *run) usage(ctx context.Context, h Handle) *Usage {
	if h.TaskID == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), terminateWithin)
	defer cancel()
	status, err := r.backend.Status(ctx, h)
	if err != nil {
		return nil
	}
	return status.Usage
}

// interrupt terminates a run because the whole batch ends now. Its item gets no
// result: it has not ended, and is to be run again.
func (r *run) interrupt(ctx context.Context, t *task) {
	r.left.Store(true)
	if t.handle.TaskID != "" {
		r.interrupted.Add(1)
		terminate(ctx, r.backend, t.handle)
	}
}

// abandon ends the runs that are parked when the batch has stopped: nobody will
// resume them.
func (r *run) abandon(ctx context.Context) {
	for _, t := range r.parked.clear() {
		r.group.Go(func() error {
			r.interrupt(ctx, t)
			return nil
		})
	}
	_ = r.group.Wait()
}

// end gives a task its result, unless the whole batch turns out to be in trouble
// of which err is a part.
func (r *run) end(t *task, err error, result Result) {
	r.complete(t, &result) // its end is now, however late it is written
	r.breaker.ended(err, func() { r.finish(&result) })
	t.leave()
}

// finish sends a result off.
func (r *run) finish(result *Result) {
	r.emit(Event{Kind: Finished, Time: result.FinishedAt, ID: result.ID, Result: result})
}

// complete adds to a result what is known of its task.
func (r *run) complete(t *task, result *Result) {
	result.ID, result.Index, result.Batch = t.item.ID, t.item.Index, r.Batch.Name
	result.Generation = r.Generation
	result.Inputs, result.Digest = t.item.Inputs, t.item.Digest
	result.Handle, result.Attempts = t.handle, t.attempt
	result.StartedAt, result.FinishedAt = t.started, time.Now()
	if !result.StartedAt.IsZero() {
		result.Duration = result.FinishedAt.Sub(result.StartedAt)
	}
}
