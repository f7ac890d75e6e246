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
	spread      = time.Minute      // within this time those who were sent away come back, from when there is a turn
	spreadTimes = 32               // at least, that they are told
)

// budget is how many calls may be made in a minute, to all models together. Those
// who want to make one stand in line. A turn that comes to no call is that of the
// next in line. A nil budget lets every call be made.
type budget struct {
	perMinute int
	rate      *rate.Limiter
	first     chan struct{} // full while somebody stands first in line

	mu       sync.Mutex
	line     int       // how many stand in line, the first included
	promised time.Time // when the last one that was sent away comes back
}

func newBudget(perMinute int) *budget {
	if perMinute <= 0 {
		return nil
	}
	second := float64(perMinute) / 60
	return &budget{perMinute: perMinute, rate: rate.NewLimiter(rate.Limit(second), max(1, int(second))), first: make(chan struct{}, 1)}
}

// take waits for the turn of a call. It is used up if admit lets the call be made;
// else take gives its error. Other errors are that of ctx, and an *overBudget
// where the wait would be too long.
func (b *budget) take(ctx context.Context, admit func() error) error {
	if b == nil {
		return admit()
	}
	if err := b.join(time.Now()); err != nil {
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
	defer func() { b.leave(turns) }() // before the next one is first, who looks at what is left
	select {
	case <-time.After(b.until(time.Now(), 1)):
	case <-ctx.Done():
		return ctx.Err()
	}
	err := admit()
	if err == nil {
		turns = 1
	}
	return err
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
	first := now.Add(wait)
	b.promised = b.promised.Add(min(time.Minute/time.Duration(b.perMinute), spread/spreadTimes)) // no two at once
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

// until is how long it takes until there were n turns.
func (b *budget) until(now time.Time, n int) time.Duration {
	lacking := max(0, float64(n)-b.rate.TokensAt(now))
	return time.Duration(math.Round(lacking / float64(b.rate.Limit()) * float64(time.Second)))
}

// overBudget sends a call away. It wraps a *runner.HeldBack.
type overBudget struct {
	wait      time.Duration
	until     time.Time
	perMinute int
}

func (e *overBudget) Error() string {
	return fmt.Sprintf("held back for %v, as run.rate allows %d calls a minute", e.wait.Round(time.Millisecond), e.perMinute)
}

// Unwrap tells the one who waits that calls will have been taken by then: turns
// come whatever happens, so the wait is never a reason to give up.
func (e *overBudget) Unwrap() error { return &runner.HeldBack{For: e.wait, Taken: e.until} }
