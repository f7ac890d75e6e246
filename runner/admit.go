package runner

import (
	"errors"
	"time"
)

var errNotStarted = errors.New("nothing was started, or nobody waits for it any more")

// admit tells whether a run may be started for a task now. If not, the task is
// parked, or left over.
func (r *run) admit(t *task) bool {
	if r.limiter != nil {
		if wait := r.limiter.Admit(); wait > 0 {
			held := &HeldBack{For: wait, Taken: r.limiter.Taken()}
			if err := r.park(t, metNow(held)); err != nil {
				r.failStart(t, &startError{err})
			}
			return false
		}
		t.admitted = time.Now()
	}
	if r.budget.wait(r.stopping) != nil || r.stops() {
		r.countOut(t, errNotStarted)
		r.parked.add(t) // it is left over
		return false
	}
	return true
}

// countIn tells the limiter of a run that nobody asked it for.
func (r *run) countIn(t *task) {
	if r.limiter != nil && t.admitted.IsZero() && r.limiter.Admit() == 0 {
		t.admitted = time.Now()
	}
}

// countOut tells the limiter that the run of a task has ended, or that there is
// none because of err.
func (r *run) countOut(t *task, err error) {
	if t.admitted.IsZero() {
		return
	}
	r.limiter.Answered(t.admitted, err)
	t.admitted = time.Time{}
}

// stops tells at once whether nothing more is to be started. The context that says
// so is cancelled by another goroutine, which may come too late for a start.
func (r *run) stops() bool {
	select {
	case <-r.Drain:
		r.stop(Interrupted)
		return true
	default:
		return r.stopping.Err() != nil
	}
}
