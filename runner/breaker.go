package runner

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	breakerFailures = 5 // alike, at least
	breakerProbes   = 4 // runs of new items that may be started in doubt, beside those for which there are slots

	// A port may be closed for the instant in which a server is started anew. So
	// one that cannot be reached must have failed somebody again after that, and
	// everybody for longer.
	breakerInstant  = 500 * time.Millisecond
	breakerPatience = 1500 * time.Millisecond
)

// breaker ends a batch whose runs all fail alike before one has succeeded: a
// bad key, a closed port, a model that does not exist. From the first such
// failure on it is in doubt: few new runs are started, results are held, and
// all runs are waited for, as a failure is sooner there than an answer, also those
// that are about to be started. The first run that ends in another way dispels the
// doubt for good.
type breaker struct {
	stop        func() // ends the batch
	concurrency int
	proven      bool // a run has succeeded elsewhere: only the key of this process may be bad for all

	mu        sync.Mutex
	dispelled bool
	tripped   bool
	kind      alike
	err       error // the last of the failures
	failures  int
	since     time.Time // of the first of them
	again     bool      // some task has failed like that again, or for good
	waited    int       // runs under way that may end in another way
	starts    int       // runs of new items
	most      int       // starts, as long as there is doubt
	exhausted bool      // there are no more new items
	held      []func()
	timer     *time.Timer
}

// alike is what failures have in common that are not the items' own.
type alike struct {
	reason  StopReason
	what    string
	perItem bool // it may be that of each item, if they are few
}

// ReasonOf tells what kind of trouble an error means for all items, if any:
// Unreachable, Denied or AllAlike.
func ReasonOf(err error) StopReason {
	kind, _ := alikeOf(err)
	return kind.reason
}

// alikeOf gives what an error would have in common with those of other items;
// ok is false where it may well be the item's own.
func alikeOf(err error) (kind alike, ok bool) {
	if c, ok := errors.AsType[*ConnectionError](err); ok {
		switch {
		case c.Foreign:
			return alike{reason: AllAlike, what: c.Endpoint}, true
		case c.Began:
			return alike{}, false
		}
		return alike{reason: Unreachable}, true
	}
	api, ok := errors.AsType[*APIError](err)
	if !ok {
		return alike{}, false
	}
	what := fmt.Sprint(api.Endpoint, api.StatusCode)
	switch {
	case api.Denied():
		return alike{reason: Denied}, true
	case api.StatusCode == http.StatusNotFound || api.StatusCode == http.StatusMethodNotAllowed || api.StatusCode == http.StatusGone:
		return alike{reason: AllAlike, what: what}, true
	case api.NotUnderstood():
		return alike{AllAlike, what + api.Message, true}, true
	}
	return alike{}, false
}

// enter counts a run that goes to work; leave is called when it has ended, or is
// parked because it has met what others have met. One that is parked for another
// reason may yet end in another way.
func (b *breaker) enter() (leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waited++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.waited--
		b.judge()
	}
}

// met takes a failure, also one that will be tried again; tries is how often the
// task has met it.
func (b *breaker) met(err error, tries int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dispelled || b.tripped {
		return
	}
	kind, ok := alikeOf(err)
	if !ok {
		// Whoever refuses, or fails, is there.
		if _, answered := errors.AsType[*APIError](err); answered && b.kind.reason == Unreachable {
			b.dispel()
		}
		return
	}
	if b.failures > 0 && kind != b.kind || b.proven && kind.reason != Denied {
		b.dispel()
		return
	}
	if b.failures == 0 {
		b.since, b.most = time.Now(), max(b.starts, b.concurrency)+breakerProbes
	}
	b.kind, b.err = kind, err
	b.failures++
	b.again = b.again || tries > 1 && time.Since(b.since) >= breakerInstant
	b.judge()
}

// judge trips the breaker when there is no more doubt. The breaker is locked.
func (b *breaker) judge() {
	passes := b.kind.reason == Unreachable
	probing := b.starts < b.most && !b.exhausted
	switch patience := breakerPatience - time.Since(b.since); {
	case b.dispelled || b.tripped || b.failures < breakerFailures || b.waited > 0 || passes && !b.again:
	case (passes || probing) && patience > 0: // items may be long in coming
		if b.timer == nil {
			b.timer = time.AfterFunc(patience, func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.judge()
			})
		}
	default:
		b.tripped = true
		b.stop()
	}
}

// ended takes the end of a run; err is nil for a success. finish sends off the
// result: now, which ended tells, later, or never.
func (b *breaker) ended(err error, finish func()) (now bool) {
	b.mu.Lock()
	now = true
	kind, ok := alikeOf(err)
	if ok && b.doubt() && kind == b.kind {
		b.again = true // where there is one try only, nobody fails twice
		b.held = append(b.held, finish)
		finish, now = func() {}, false
		b.judge()
	} else {
		b.dispel()
	}
	b.mu.Unlock()
	finish()
	return now
}

// dispel lets everything through from now on. The breaker is locked.
func (b *breaker) dispel() {
	b.dispelled = true
	for _, finish := range b.held {
		finish()
	}
	b.held = nil
}

// admits tells whether a run of a new item may be started.
func (b *breaker) admits() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.doubt() || b.starts < b.most
}

// started counts a run of a new item.
func (b *breaker) started() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starts++
}

// exhaust tells that there are no more new items.
func (b *breaker) exhaust() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exhausted = true
	b.judge()
}

func (b *breaker) doubt() bool { return b.failures > 0 && !b.dispelled }

// close tells, when no run is left, whether the batch failed as a whole: why,
// and with which error; dropped means that items have no result for it. A handful
// of calls that were not understood are results like others.
func (b *breaker) close() (reason StopReason, dropped bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
	if !b.tripped && b.kind.perItem {
		b.dispel()
	}
	dropped = len(b.held) > 0
	if !b.tripped && !dropped {
		return NotStopped, false, nil
	}
	return b.kind.reason, dropped, b.err
}
