package runner

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// How many failures alike it takes, and how many runs may be started in doubt.
const (
	breakerFailures = 5
	breakerProbes   = 4
)

// breaker ends a batch whose runs all fail alike before one has succeeded: a
// bad key, a closed port, a model that does not exist. From the first such
// failure on it is in doubt: few new runs are started, and results are held. The
// first run that ends in another way dispels the doubt for good.
type breaker struct {
	mu        sync.Mutex
	dispelled bool
	tripped   bool
	kind      alike
	err       error // the last of the failures
	failures  int
	again     bool // some task has failed like that more than once, or for good
	probes    int
	held      []func()
}

// alike is what failures have in common that are not the items' own.
type alike struct {
	reason StopReason
	what   string
}

// alikeOf gives what an error would have in common with those of other items;
// ok is false where it may well be the item's own.
func alikeOf(err error) (kind alike, ok bool) {
	if c, ok := errors.AsType[*ConnectionError](err); ok {
		return alike{Unreachable, c.Endpoint}, !c.Began
	}
	api, ok := errors.AsType[*APIError](err)
	if !ok {
		return alike{}, false
	}
	what := fmt.Sprint(api.Endpoint, api.StatusCode)
	switch {
	case api.Denied():
		return alike{Denied, what}, true
	case api.StatusCode == http.StatusNotFound || api.StatusCode == http.StatusMethodNotAllowed || api.StatusCode == http.StatusGone:
		return alike{AllAlike, what}, true
	case api.StatusCode == http.StatusBadRequest || api.StatusCode == http.StatusUnprocessableEntity:
		return alike{AllAlike, what + api.Message}, true
	}
	return alike{}, false
}

// met takes a failure, also one that will be tried again; tries is how often the
// task has met it. It tells whether the batch should end.
func (b *breaker) met(err error, tries int) (stop bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kind, ok := alikeOf(err)
	switch {
	case b.dispelled || b.tripped || !ok:
		return false
	case b.failures > 0 && kind != b.kind:
		b.dispel()
		return false
	}
	b.kind, b.err = kind, err
	b.failures++
	b.again = b.again || tries > 1
	// A port may be closed for the instant in which a server is started anew.
	if b.failures >= breakerFailures && (kind.reason != Unreachable || b.again) {
		b.tripped = true
	}
	return b.tripped
}

// ended takes the end of a run; err is nil for a success. finish sends off the
// result: now, later, or never.
func (b *breaker) ended(err error, finish func()) {
	b.mu.Lock()
	kind, ok := alikeOf(err)
	switch same := ok && b.doubt() && kind == b.kind; {
	case same && b.tripped: // the item gets no result: the failure is not its own
		finish = func() {}
	case same:
		b.again = true // where there is one try only, nobody fails twice
		b.held = append(b.held, finish)
		finish = func() {}
	case !b.tripped:
		b.dispel()
	}
	b.mu.Unlock()
	finish()
}

// dispel lets everything through from now on. The breaker is locked.
func (b *breaker) dispel() {
	b.dispelled = true
	for _, finish := range b.held {
		finish()
	}
	b.held = nil
}

// admits tells whether a run of a new item may be started; idle means that no
// other could bring an answer.
func (b *breaker) admits(idle bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return idle || !b.doubt() || b.probes < breakerProbes
}

// started counts a run of a new item.
func (b *breaker) started() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doubt() {
		b.probes++
	}
}

func (b *breaker) doubt() bool { return b.failures > 0 && !b.dispelled }

// close tells, when no run is left, whether the batch failed as a whole: why,
// and with which error. A handful of calls that were not understood are results
// like others.
func (b *breaker) close() (StopReason, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.tripped && b.kind.reason == AllAlike {
		b.dispel()
	}
	if b.dispelled || !b.tripped && len(b.held) == 0 {
		return NotStopped, nil
	}
	return b.kind.reason, b.err
}
