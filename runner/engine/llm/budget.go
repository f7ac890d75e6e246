package llm

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"nightshift/runner"
)

// How calls wait that are too many.
const (
	patience    = 10 * time.Second // the longest wait in line; who would wait longer is sent away
	longest     = time.Hour        // that anybody is told at once: until then the pace may be another
	spread      = time.Minute      // within this time those who were sent away come back, from when there is a turn
	spreadTimes = 32               // at least, that they are told
)

// budget is how many calls may be made in a minute, to all models together. Those
// who want to make one stand in line. A turn that comes to no call is that of the
// next in line. A nil budget lets every call be made.
type budget struct {
	rate  *rate.Limiter
	first chan struct{} // full while somebody stands first in line

	mu        sync.Mutex
	perMinute float64
	changed   chan struct{} // closed when perMinute is another one
	line      int           // how many stand in line, the first included
	promised  time.Time     // when the last one that was sent away comes back
}

func newBudget(perMinute int) *budget {
	if perMinute <= 0 {
		return nil
	}
	b := &budget{perMinute: float64(perMinute), changed: make(chan struct{}), first: make(chan struct{}, 1)}
	b.rate = rate.NewLimiter(rate.Limit(b.perMinute/60), b.burst())
	return b
}

// burst is how many calls may be made at once after a pause: those of a second.
func (b *budget) burst() int { return max(1, int(b.perMinute/60)) }

// set changes how many calls may be made in a minute. What was not used before is not
// used at the new pace, so that more turns come only as time goes by.
func (b *budget) set(perMinute float64) {
	if b == nil {
		return
	}
	if !(perMinute > 0) { // as NaN is not
		perMinute = 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if perMinute == b.perMinute {
		return
	}
	b.perMinute = perMinute
	now := time.Now()
	b.rate.SetLimitAt(now, rate.Limit(perMinute/60))
	b.rate.SetBurstAt(now, b.burst())
	close(b.changed)
	b.changed = make(chan struct{})
}

// SetRequestsPerMinute changes how many calls may be made in a minute while they are
// made; perMinute may be a fraction. Calls that wait go on at the new pace. At 0 no call
// is made until it is set again. A client that was made without a limit keeps none.
func (c *Client) SetRequestsPerMinute(perMinute float64) { c.budget.set(perMinute) }

// take waits for the turn of a call. It is used up if admit lets the call be made;
// else take gives its error. Other errors are that of ctx, and an *overBudget
// where the wait would be too long.
func (b *budget) take(ctx context.Context, admit func() error) error {
	if b == nil {
		return admit()
	}
	joined := time.Now()
	if err := b.join(joined); err != nil {
		return err
	}
	turns := 0
	select {
	case b.first <- struct{}{}:
		defer func() { <-b.first }()
	case <-ctx.Done():
		b.leave(turns)
		return ctx.Err()
	}
	defer func() { b.leave(turns) }()                                          // before the next one is first, who looks at what is left
	if err := b.turn(ctx, joined.Add(patience+time.Millisecond)); err != nil { // as waits are rounded
		return err
	}
	err := admit()
	if err == nil {
		turns = 1
	}
	return err
}

// turn waits for that of the first in line. Where the pace has become another one, so
// that it would come after latest, the call is sent away after all.
func (b *budget) turn(ctx context.Context, latest time.Time) error {
	for {
		now := time.Now()
		b.mu.Lock()
		wait, changed := b.until(now, 1), b.changed
		var err error
		if now.Add(wait).After(latest) {
			err = b.sendAway(now, wait)
		}
		b.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-time.After(wait):
			return nil
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// join puts a call in line, or sends it away.
func (b *budget) join(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := b.until(now, b.line+1)
	if wait <= patience {
		b.line++
		return nil
	}
	return b.sendAway(now, wait)
}

// sendAway tells a call, which would wait too long, when to come back. The budget is
// locked.
func (b *budget) sendAway(now time.Time, wait time.Duration) error {
	if b.perMinute == 0 { // which is not for long
		wait = patience
	}
	first := now.Add(wait)
	apart := min(time.Duration(float64(time.Minute)/max(b.perMinute, 1)), spread/spreadTimes)
	b.promised = b.promised.Add(apart) // no two at once
	if b.promised.Before(first) || b.promised.After(first.Add(spread)) {
		b.promised = first
	}
	return &overBudget{b.promised.Sub(now), b.promised, b.perMinute}
}

// leave takes a call out of the line, with the turns that it has used.
func (b *budget) leave(turns int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line--
	b.rate.ReserveN(time.Now(), turns)
}

// until is how long it takes until there were n turns. The budget is locked.
func (b *budget) until(now time.Time, n int) time.Duration {
	lacking := max(0, float64(n)-b.rate.TokensAt(now))
	if b.perMinute == 0 { // also where a turn is left over
		return longest
	}
	return time.Duration(math.Round(min(lacking*60/b.perMinute*float64(time.Second), float64(longest))))
}

// overBudget sends a call away. It wraps a *runner.HeldBack.
type overBudget struct {
	wait      time.Duration
	until     time.Time
	perMinute float64
}

func (e *overBudget) Error() string {
	return fmt.Sprintf("held back for %v, as run.rate allows %v calls a minute", e.wait.Round(time.Millisecond), math.Round(100*e.perMinute)/100)
}

// Unwrap tells the one who waits that calls will have been taken by then: turns
// come whatever happens, so the wait is never a reason to give up.
func (e *overBudget) Unwrap() error { return &runner.HeldBack{For: e.wait, Taken: e.until} }
