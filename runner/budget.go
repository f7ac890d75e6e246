package runner

import (
	"context"

	"golang.org/x/time/rate"
)

// budget is how many calls may be made in a time, whatever they are for. A nil
// budget is any number.
type budget struct{ rate *rate.Limiter }

// newBudget allows so many calls per minute, evenly but for what is due in one
// second; 0: any number.
func newBudget(perMinute int) *budget {
	if perMinute <= 0 {
		return nil
	}
	return &budget{rate.NewLimiter(rate.Limit(float64(perMinute)/60), max(1, perMinute/60))}
}

// wait returns when a call may be made. The error is that of ctx. Those who wait
// are served in the order in which they came, also where ctx has a deadline.
func (b *budget) wait(ctx context.Context) error {
	if b == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	place := b.rate.Reserve()
	if err := Sleep(ctx, place.Delay()); err != nil {
		place.Cancel()
		return err
	}
	return nil
}

// take counts a call that cannot wait; those after it do for that.
func (b *budget) take() {
	if b != nil {
		b.rate.Reserve()
	}
}
