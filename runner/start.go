package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// startWithin is how long the answer to a start is waited for at the most; a backend
// may give it up sooner. Then nobody knows whether a run came of it.
const startWithin = 5 * time.Minute

// startGrace is how long it is still waited for when the batch is interrupted: a run
// without a handle can be neither terminated nor found again.
const startGrace = 5 * time.Second

// start starts a run for a task, and tells whether there is one to wait for.
func (r *run) start(ctx context.Context, t *task) bool {
	if !r.admit(t) {
		return false
	}
	if t.stale != nil && !r.endStale(ctx, t) {
		return false
	}
	earlier := *t
	t.attempt++
	t.started, t.clock, t.fresh = time.Now(), clock{}, true
	t.handle = Handle{PipelineID: r.PipelineID, TraceID: traceID(r.Generation, r.Batch.Name, t.item.ID, t.item.Digest, t.attempt)}
	if !r.intend(t) || r.stops() { // it takes a while to write that
		r.notBegun(t, &earlier, errNotStarted)
		r.parked.add(t) // it is left over
		return false
	}
	answer, release := lingering(ctx, startWithin, startGrace)
	err := r.call(answer, t)
	late := answer.Err() != nil
	release()
	switch end := endOfStart(err); {
	case err != nil && ctx.Err() != nil:
		if isAnswer(err) && end != startLost {
			r.notBegun(t, &earlier, err)
		}
		r.interrupt(ctx, t)
	case err == nil:
		r.began(t) // an error ends the batch, and so this run
		t.step, t.trouble, t.lost = toWait, trouble{}, nil
		t.first = r.pace.first(r.PollInterval)
		r.emit(t.event(Started))
		return true
	case late:
		t.lost = fmt.Errorf("the start was not answered within %v: %w", startWithin, err)
		r.doubt(t)
	case end == startLost:
		t.lost = err
		r.doubt(t)
	case end == startRefused:
		r.notBegun(t, &earlier, err)
		if err := r.park(t, metNow(err)); err != nil {
			r.failStart(t, &startError{err})
		}
	default:
		r.notBegun(t, &earlier, nil) // the breaker may keep its result back
		t.attempt, t.started, t.handle = earlier.attempt+1, time.Now(), Handle{}
		r.failStart(t, &startError{err})
	}
	return false
}

// lingering is a context that ends after a time, or some grace after ctx is done.
func lingering(ctx context.Context, within, grace time.Duration) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	stop := context.AfterFunc(ctx, func() {
		_ = Sleep(lasting, grace)
		cancel()
	})
	return lasting, func() {
		stop()
		cancel()
	}
}

// call starts the run that the handle of a task is to be of.
func (r *run) call(ctx context.Context, t *task) error {
	handle, err := r.backend.Start(ctx, r.PipelineID, t.item.Inputs, StartOptions{
		TraceID:            t.handle.TraceID,
		SessionID:          r.Batch.SessionID,
		NodeInputOverrides: r.Batch.NodeInputOverrides,
		Version:            r.Batch.Version,
		AnswersSince:       later(r.AnswersSince, t.answersSince),
	})
	if err != nil {
		return err
	}
	if handle.TraceID == "" {
		handle.TraceID = t.handle.TraceID // backends need not repeat it
	}
	t.handle = handle
	return nil
}

// endStale terminates the run that was begun with other inputs for the item of a task;
// the journal knows one run of an item. Where it may go on, no other is started.
func (r *run) endStale(ctx context.Context, t *task) bool {
	old := t.stale.Handle
	how, gone, _ := r.endEarly(ctx, old)
	switch {
	case ctx.Err() != nil:
		r.interrupt(ctx, t)
		return false
	case !gone:
		r.failStart(t, &startError{fmt.Errorf("the run %s/%s that was begun with other inputs %s", old.PipelineID, old.TaskID, how)})
		return false
	}
	t.stale = nil
	return true
}

// isAnswer tells whether a start was surely answered, or never sent, although the
// batch was interrupted meanwhile.
func isAnswer(err error) bool {
	_, answered := errors.AsType[*APIError](err)
	c, broken := errors.AsType[*ConnectionError](err)
	_, misfit := errors.AsType[*InputError](err)
	return answered || broken && c.Unsent || misfit
}

// notBegun makes a task what it was before a start of which no run came. The
// journal forgets the start, but not that there have been others.
func (r *run) notBegun(t, earlier *task, err error) {
	r.countOut(t, err)
	t.attempt, t.started, t.handle = earlier.attempt, earlier.started, earlier.handle
	if t.attempt == 0 {
		r.drop(t)
	} else {
		r.over(t)
	}
}

// startEnd is what became of a call that was to start a run, and failed.
type startEnd int

const (
	startFailed  startEnd = iota // there will be no run
	startRefused                 // there is no run; there may be one later
	startLost                    // nobody knows whether there is one
)

// lostStatuses are those of gateways that do not know what became of a call which they
// have passed on.
var lostStatuses = []int{http.StatusBadGateway, http.StatusGatewayTimeout, 520, 524}

func endOfStart(err error) startEnd {
	if c, ok := errors.AsType[*ConnectionError](err); ok {
		if c.Unsent {
			return startRefused
		}
		return startLost
	}
	api, answered := errors.AsType[*APIError](err)
	switch {
	case !answered || !api.Transient():
		return startFailed
	case slices.Contains(lostStatuses, api.StatusCode):
		return startLost
	}
	return startRefused
}

// failStart ends a task of which no run is known.
func (r *run) failStart(t *task, err error) {
	r.fail(t, err, Result{Error: Describe(err, classStart)})
}
