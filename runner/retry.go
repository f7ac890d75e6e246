package runner

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// maxRetryAfter is the longest that a Retry-After is obeyed: a quota that comes
// back tomorrow is not waited for.
const maxRetryAfter = 5 * time.Minute

// retryAfterJitter keeps all those who were told the same time from coming back
// at the same instant. It is added: nobody comes back early.
const retryAfterJitter = 0.05

// trouble is what a task has met since it last got on.
type trouble struct {
	progress int               // of its run by then
	at       map[string]*tries // by node
}

// tries are those at one node that came to nothing. A node may make many calls: of a
// list, in the rounds of a loop, in a pipeline of its own. Which of them was in vain is
// not known, but whether any part of the run has got on since.
type tries struct {
	met       time.Time     // when there was trouble first
	since     time.Time     // when a call was first made in vain; zero: none was
	held      time.Duration // of the time since then, what it waited for others
	refusals  int           // too many calls, says the other side
	failures  int           // other transient failures
	unreached int           // of these, there was no answer at all
	last      error         // of a call that was made
}

// meet counts errors that may pass, one a node, and tells how long to wait before
// the run goes on; giveUp says why it should not. Nodes that are not met again
// got on: their counts begin anew. Where any part of the run got on, all do. Who
// refused a call, or failed, is left alone as long as any of them needs; of those whose
// calls were only held back, the first one ends the pause, and others are held back
// again.
func (t *trouble) meet(s *Suspension, retry *Retry, random func() float64) (pause time.Duration, giveUp error) {
	before := t.at
	if s.Progress > t.progress {
		before = nil
	}
	*t = trouble{s.Progress, map[string]*tries{}}
	var called bool
	var first time.Duration // of those held back
	held := map[*tries]time.Duration{}
	for _, cause := range s.Errs {
		node := ""
		if at, ok := errors.AsType[*RunError](cause); ok {
			node = at.Node
		}
		met := before[node]
		if met == nil {
			met = &tries{met: s.At}
		}
		t.at[node] = met
		wait, err := met.meet(cause, retry, s.At, random)
		if err != nil {
			return 0, err
		}
		if _, ok := errors.AsType[*HeldBack](cause); !ok {
			pause, called = max(pause, wait), true
			continue
		}
		if len(held) == 0 || wait < first {
			first = wait
		}
		held[met] = wait
	}
	if !called {
		pause = first
	}
	for met, wait := range held {
		met.held += min(wait, pause)
	}
	return pause, nil
}

// unreached is how often a node at most had no answer at all.
func (t trouble) unreached() (most int) {
	for _, met := range t.at {
		most = max(most, met.unreached)
	}
	return most
}

// meet counts one error. How often a call was refused says nothing about the
// next one, so refusals are bounded by time alone.
func (t *tries) meet(err error, retry *Retry, now time.Time, random func() float64) (pause time.Duration, giveUp error) {
	if wait, ok := errors.AsType[*HeldBack](err); ok {
		// It waits for others, which is no reason to give it up while they get on.
		nobody := t.met // has got on since then
		if wait.Taken.After(nobody) {
			nobody = wait.Taken
		}
		if retry.MaxElapsed > 0 && now.Add(wait.For).Sub(nobody) > retry.MaxElapsed {
			return 0, fmt.Errorf("given up after %v: %w", round(now.Sub(t.met)), cmp.Or(t.last, err))
		}
		return wait.For, nil
	}
	t.last = err
	if t.since.IsZero() {
		t.since, t.held = now, 0
	}
	api, answered := errors.AsType[*APIError](err)
	count := 0
	if answered && api.Refused() {
		t.refusals++
		count = t.refusals
	} else {
		t.failures++
		if c, ok := errors.AsType[*ConnectionError](err); ok && !c.Began {
			t.unreached++
		}
		if count = t.failures; count >= retry.MaxAttempts {
			return 0, fmt.Errorf("given up after %d %s: %w", count, plural(count, "try", "tries"), err)
		}
	}
	pause = backoff(retry, count, random)
	if answered && api.RetryAfter > 0 {
		pause = retryAfter(api, random)
	}
	if elapsed := now.Sub(t.since) - t.held; retry.MaxElapsed > 0 && elapsed+pause > retry.MaxElapsed {
		if api != nil && api.RetryAfter > maxRetryAfter {
			err = fmt.Errorf("%w (to be tried again after %v)", err, api.RetryAfter)
		}
		return 0, fmt.Errorf("given up after %v: %w", round(elapsed), err)
	}
	return pause, nil
}

// retryAfter is how long the other side is left alone that asks for it.
func retryAfter(api *APIError, random func() float64) time.Duration {
	pause := min(api.RetryAfter, maxRetryAfter)
	return pause + time.Duration(random()*retryAfterJitter*float64(pause))
}

// MayPass tells whether the same call may succeed later.
func MayPass(err error) bool {
	if _, ok := errors.AsType[*ConnectionError](err); ok {
		return true
	}
	api, ok := errors.AsType[*APIError](err)
	return ok && api.Transient()
}

// backoff is a pause of random length, up to a bound that grows with the tries:
// those who failed together do not come back together.
func backoff(retry *Retry, tries int, random func() float64) time.Duration {
	if retry.Backoff.Initial == 0 {
		return 0 // which an infinite growth would make not a number
	}
	bound := float64(retry.Backoff.Initial) * math.Pow(retry.Backoff.Factor, float64(tries-1))
	return time.Duration(random() * min(bound, float64(retry.Backoff.Max)))
}

// classOf says what kind of failure an error is, and the HTTP status that was
// answered, if any.
func classOf(err error, class string) (string, int) {
	if own, ok := errors.AsType[interface {
		error
		Class() string
	}](err); ok {
		class = own.Class()
	}
	if _, ok := errors.AsType[*ConnectionError](err); ok {
		return classConnection, 0
	}
	if _, ok := errors.AsType[*HeldBack](err); ok {
		return classRefused, 0
	}
	api, ok := errors.AsType[*APIError](err)
	if !ok {
		if answered, ok := errors.AsType[interface {
			error
			Status() int
		}](err); ok {
			return class, answered.Status()
		}
		return class, 0
	}
	return api.ClassOr(class), api.StatusCode
}
