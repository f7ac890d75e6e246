package runner

import (
	"context"
	"time"
)

// clock is how long a run has been at work. What it waits for without a slot, as
// calls were refused, does not count: that has a bound of its own.
type clock struct{ worked time.Duration }

// start goes on with the clock. The context ends, with errTimeout as its cause,
// when the run has worked for limit (0: never); release stops the clock.
func (c *clock) start(ctx context.Context, limit time.Duration) (working context.Context, release func()) {
	if limit <= 0 {
		return ctx, func() {}
	}
	began := time.Now()
	working, cancel := context.WithDeadlineCause(ctx, began.Add(limit-c.worked), errTimeout)
	return working, func() {
		cancel()
		c.worked += time.Since(began)
	}
}
