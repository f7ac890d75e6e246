package runner

import (
	"context"
	"errors"
	"time"
)

// unknownStartFails is the value of retry.unknown_start that starts nothing twice.
const unknownStartFails = "fail"

var errKilled = errors.New("the run was about to be started when nightshift was killed")

// doubt parks a task of whose start nobody knows whether a run came of it. Where
// runs can be found, that gives the run time to turn up, also if it was the last try.
func (r *run) doubt(t *task) {
	err := t.lost
	if r.Retry.UnknownStart != unknownStartFails {
		t.step = toFind
		if err = r.park(t, metNow(t.lost)); err == nil {
			return
		}
		if r.finder != nil && t.given == nil {
			t.given = err
			r.putAside(t, time.Now().Add(backoff(&r.Retry, 1, r.chance)), err, false)
			return
		}
	}
	r.failStart(t, &unknownStart{t.handle.TraceID, err})
}

// find looks for the run that may have come of a start. Where nobody can tell, a
// run is started that may be the second one.
func (r *run) find(ctx context.Context, t *task) bool {
	if r.Retry.UnknownStart == unknownStartFails {
		r.failStart(t, &unknownStart{t.handle.TraceID, t.lost})
		return false
	}
	if r.finder == nil {
		t.duplicate = true
		return r.again(t)
	}
	var handle Handle
	err := r.budget.wait(ctx)
	if err == nil {
		handle, err = r.finder.Find(ctx, t.handle.TraceID)
	}
	switch {
	case ctx.Err() != nil && err != nil:
		r.interrupt(ctx, t)
	case err != nil && MayPass(err):
		if err = r.park(t, metNow(err)); err != nil {
			r.failStart(t, &unknownStart{t.handle.TraceID, err})
		}
	case err != nil:
		r.failStart(t, &unknownStart{t.handle.TraceID, err})
	case handle.TaskID != "":
		if handle.TraceID == "" {
			handle.TraceID = t.handle.TraceID
		}
		t.handle, t.step = handle, toAttach
		r.began(t)
		return true
	case t.given != nil:
		r.failStart(t, &startError{t.given})
	default:
		return r.again(t)
	}
	return false
}

// again makes a task start another run.
func (r *run) again(t *task) bool {
	r.countOut(t, t.lost)
	t.step, t.handle = toStart, Handle{}
	return true
}
