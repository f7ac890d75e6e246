package runner

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"
)

// maxRetryAfter is the longest that a Retry-After is obeyed: a quota that comes
// back tomorrow is not waited for.
const maxRetryAfter = 5 * time.Minute

// retryAfterJitter keeps all those who were told the same time from coming back
// at the same instant. It is added: nobody comes back early.
const retryAfterJitter = 0.05

// trouble is what a task has met: at the node that was met last, and at others.
type trouble struct {
	node string
	counts
	others map[string]counts // by node
}

// counts are the tries at one node that came to nothing.
type counts struct {
	since     time.Time // of the first time
	refusals  int       // too many calls, says the other side
	failures  int       // other transient failures
	unreached int       // of these, there was no answer at all
}

// meet counts an error that may pass, and tells how long to wait before the run
// goes on; giveUp says why it should not. How often a call was refused says
// nothing about the next one, so refusals are bounded by time alone.
func (t *trouble) meet(err error, retry *Retry, now time.Time, random func() float64) (pause time.Duration, giveUp error) {
	if held, ok := errors.AsType[*HeldBack](err); ok {
		return held.For, nil
	}
	node := ""
	if at, ok := errors.AsType[*RunError](err); ok {
		node = at.Node
	}
	if t.since.IsZero() || t.node != node {
		t.turn(node, now)
	}
	tries := 0
	if api, ok := errors.AsType[*APIError](err); ok && api.Refused() {
		t.refusals++
		tries = t.refusals
	} else {
		t.failures++
		if c, ok := errors.AsType[*ConnectionError](err); ok && !c.Began {
			t.unreached++
		}
		if tries = t.failures; tries >= retry.MaxAttempts {
			return 0, fmt.Errorf("given up after %d %s: %w", tries, plural(tries, "try", "tries"), err)
		}
	}
	pause = backoff(retry, tries, random)
	if api, ok := errors.AsType[*APIError](err); ok && api.RetryAfter > 0 {
		pause = min(api.RetryAfter, maxRetryAfter)
		pause += time.Duration(random() * retryAfterJitter * float64(pause))
	}
	if retry.MaxElapsed > 0 && now.Add(pause).Sub(t.since) > retry.MaxElapsed {
		return 0, fmt.Errorf("given up after %v: %w", round(now.Sub(t.since)), err)
	}
	return pause, nil
}

// turn goes on with the counts of a node. They begin anew, as the run got on
// since; but nodes that work side by side are met by turns, and keep theirs.
func (t *trouble) turn(node string, now time.Time) {
	if t.others == nil {
		t.others = map[string]counts{}
	}
	t.others[t.node] = t.counts
	t.counts, t.node = t.others[node], node
	if t.since.IsZero() {
		t.since = now
	}
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
	api, ok := errors.AsType[*APIError](err)
	if !ok {
		return class, 0
	}
	switch {
	case api.Denied():
		class = classDenied
	case api.Refused():
		class = classRefused
	case api.Transient():
		class = classUnavailable
	case api.StatusCode == http.StatusBadRequest || api.StatusCode == http.StatusUnprocessableEntity:
		class = classBadRequest
	}
	return class, api.StatusCode
}
