package runner

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
)

// Once a storm is over, full speed is back within 5 s: the limits stay for
// stormHold, grow for stormGrowth, and are gone.
const (
	stormRefusals = 5 // more than a tenth of the last answers
	stormHold     = time.Second
	stormGrowth   = 3500 * time.Millisecond
	stormPause    = time.Minute // the longest Retry-After that is obeyed
)

// How long a call is told to wait. Too short costs one more question, too long
// leaves a place empty.
const (
	leastWait = 10 * time.Millisecond
	mostWait  = 2 * time.Second
	lateWait  = 250 * time.Millisecond // at most, past the time when all is open
	waitTimes = 32                     // at least, that are told to many that wait
)

// paceSlack is how late a call may be and still not delay those after it.
const paceSlack = 100 * time.Millisecond

// Limiter holds calls back when too many of them are refused. There is one for
// each place that refuses. A few refusals change nothing, as their own items
// wait; a storm of them slows all calls.
//
// A storm is 5 refusals more than a tenth of the last 100 answers; a tenth alone
// is passed by chance where a twentieth is refused at random. Calls in flight
// pass for answers that were no refusals, as refusals come faster than answers.
// Errors that are not refusals count for nothing.
//
// A storm halves the number of calls in flight, at least to 1; or, where the
// refusal speaks of a rate, the calls per second, of which there were so many in
// the seconds before. While it goes on it does so again, but once a second, and
// only for what was refused of calls begun since: a burst of refusals is one
// event, and a second begins when calls are made again. It never goes below half of what would be taken at full speed if that
// share of calls were refused whatever their number, for then slowing down helps
// nobody: where a fifth is refused, 0.4 of full speed stays; where nine tenths
// are, a twentieth.
//
// The Retry-After of the refusal that makes the storm holds all calls back for
// that time, up to a minute. No call is made in that time, and refusals of those
// that were under way do not count: so it does not extend itself.
//
// Limits stay while more than a tenth is refused, and a second longer, of which a
// Retry-After is a part. Then they grow evenly to what there was before the storm,
// by the clock, as calls may take minutes. Then there are none, and the answers so
// far are forgotten: it is open again within 5 s of the last refusal, or of the end
// of its Retry-After, if that is longer.
//
// A Limiter may be used by many goroutines. It has none of its own: that time
// has opened it is seen when the next call asks.
type Limiter struct {
	// OnChange, if set, is told when calls begin to be slowed, are slowed more,
	// and are open again, but not how the limits grow. Calls wait for it, and it
	// must not use the limiter. Set it before the first call.
	OnChange func(LimiterState)

	mu       sync.Mutex
	inFlight int
	taken    time.Time // when a call was last answered
	admitted meter
	answers  window

	atOnce    brake     // calls in flight
	perSecond brake     // calls
	speed     float64   // calls per second when the storm began
	slowed    time.Time // for the last time: calls begun before say nothing new
	grows     time.Time // when the limits begin to grow; zero: open
	closed    time.Time // until then no call is made
	paced     time.Time // when the last call was due, by perSecond
	promised  time.Time // when the last one that was told to wait comes back
	told      LimiterState
}

// LimiterState is what a limiter allows. The zero state is open.
type LimiterState struct {
	AtOnce    int           // calls in flight; 0: any number
	Before    int           // calls in flight when the storm began, if AtOnce is limited
	PerSecond float64       // calls; 0: any number
	Pause     time.Duration // first no calls at all for so long
}

func (s LimiterState) String() string {
	var limits []string
	if s.AtOnce > 0 {
		limits = append(limits, fmt.Sprintf("%d of %d at once", s.AtOnce, s.Before))
	}
	if s.PerSecond > 0 {
		limits = append(limits, fmt.Sprintf("%v calls/s", math.Round(s.PerSecond*10)/10))
	}
	if limits == nil {
		return "open"
	}
	if s.Pause > 0 {
		return fmt.Sprintf("none for %v, then %s", s.Pause, strings.Join(limits, ", "))
	}
	return strings.Join(limits, ", ")
}

// NewLimiter makes a limiter that is open.
func NewLimiter() *Limiter { return &Limiter{} }

// Admit asks for a call. 0 means that it may be made now; then Answered must
// follow. Otherwise ask again after that time: then there is a place, as far as
// can be told. It is 10 ms to 2 s, counted from the end of a Retry-After; many
// that wait are told different times. Nothing is kept for those who wait: who
// asks when there is a place gets it.
func (l *Limiter) Admit() (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.slows(now) {
		if wait := l.wait(now); wait > 0 {
			return wait
		}
	}
	l.inFlight++
	l.admitted.add(now)
	return 0
}

// Answered tells that a call is over that Admit let begin at that time. An
// *APIError may be a refusal; nil is an answer; other errors say nothing.
func (l *Limiter) Answered(began time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	if err == nil {
		l.taken = time.Now()
	}
	refusal, answered := errors.AsType[*APIError](err)
	switch {
	case !began.After(l.slowed):
	case err == nil:
		l.answers.add(false)
	case answered && refusal.Refused():
		l.refused(time.Now(), refusal)
	}
}

// Taken tells when a call was last answered; zero: never.
func (l *Limiter) Taken() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken
}

// refused takes a refusal, which may make a storm.
func (l *Limiter) refused(now time.Time, refusal *APIError) {
	slows := l.slows(now)
	l.answers.add(true)
	share, excess := l.answers.judge(l.inFlight)
	if slows && excess > 0 {
		grown := l.grown(now)
		l.atOnce.hold(grown)
		l.perSecond.hold(grown)
		l.grows = now.Add(stormHold)
	}
	if excess < stormRefusals || now.Sub(l.closed) < stormHold {
		return
	}
	speed, known := l.admitted.rate(now)
	if !slows {
		l.speed = speed
	}
	if refusal.Limits == LimitsRate && known {
		l.perSecond.slow(speed, share, leastRate)
		l.paced = now
	} else {
		l.atOnce.slow(float64(l.inFlight+1), share, 1)
	}
	pause := min(max(refusal.RetryAfter, 0), stormPause)
	l.slowed, l.closed = now, now.Add(pause)
	l.grows = later(l.closed, now.Add(stormHold))
	l.answers = window{}
	l.tell(LimiterState{AtOnce: int(l.atOnce.low), Before: int(l.atOnce.full), PerSecond: l.perSecond.low, Pause: pause})
}

// slows tells whether there are limits; those that have grown to what there was
// before the storm are lifted.
func (l *Limiter) slows(now time.Time) bool {
	if l.grows.IsZero() {
		return false
	}
	if now.Before(l.grows.Add(stormGrowth)) {
		return true
	}
	l.atOnce, l.perSecond, l.grows, l.answers = brake{}, brake{}, time.Time{}, window{}
	l.tell(LimiterState{})
	return false
}

// grown is how far the limits are on their way back, from 0 to 1.
func (l *Limiter) grown(now time.Time) float64 {
	return float64(max(now.Sub(l.grows), 0)) / float64(stormGrowth)
}

// tell skips what is no news: a storm that goes on is judged once a second.
func (l *Limiter) tell(s LimiterState) {
	if s != (LimiterState{}) && s.Pause == 0 && !less(s.AtOnce, l.told.AtOnce) && !less(s.PerSecond, l.told.PerSecond) {
		return
	}
	if l.told = s; l.OnChange != nil {
		l.OnChange(s)
	}
}

// less compares limits, of which 0 is none.
func less[T int | float64](a, b T) bool { return a > 0 && (b == 0 || a < b) }

// wait is 0 if the limits allow a call now, which then is counted as made.
func (l *Limiter) wait(now time.Time) time.Duration {
	grown := l.grown(now)
	flow := l.speed * min(l.atOnce.share(grown), l.perSecond.share(grown)) // calls per second to be expected
	lacking := float64(l.inFlight+1) - l.atOnce.limit(grown)
	due := l.paced.Add(seconds(1 / l.perSecond.limit(grown)))
	from := later(now, l.closed)
	place := max(seconds(max(lacking, 0)/flow), due.Sub(from))
	if place <= 0 && !l.closed.After(now) {
		l.paced = later(due, now.Add(-paceSlack))
		return 0
	}
	horizon := min(mostWait, l.grows.Add(stormGrowth+lateWait).Sub(from))
	first := from.Add(min(max(place, leastWait), horizon/2))
	l.promised = later(first, l.promised.Add(min(seconds(1/flow), horizon/waitTimes)))
	if l.promised.After(from.Add(horizon)) {
		l.promised = first
	}
	return l.promised.Sub(now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// seconds makes a duration, of at most a day: a longer one might overflow.
func seconds(s float64) time.Duration { return time.Duration(min(s, 24*60*60) * float64(time.Second)) }
