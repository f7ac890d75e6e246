package runner

import (
	"context"
	"fmt"
	"time"
)

// The pause between two looks at a run grows gently from the poll interval.
const (
	pollGrowth    = 1.25
	maxPollGrowth = 8
	maxPollErrors = 10 // looks that fail in a row before the run is given up
)

// wait returns when the run has ended or was suspended, or ctx is done; then
// the status is Running. A look that fails is repeated: it never means that the
// run is to be started again.
func (r *run) wait(ctx context.Context, h Handle) (Status, error) {
	if r.waiter != nil {
		return r.waiter.Wait(ctx, h)
	}
	pause, failures := r.PollInterval, 0
	for {
		status, err := r.backend.Status(ctx, h)
		switch {
		case err == nil && (status.State.Ended() || status.Suspended != nil):
			return status, nil
		case err == nil:
			failures = 0
		default:
			if failures++; failures >= maxPollErrors {
				return Status{State: Running}, fmt.Errorf("the status could not be had %d times in a row; last: %w", failures, err)
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Status{State: Running}, ctx.Err()
		}
		pause = min(time.Duration(float64(pause)*pollGrowth), maxPollGrowth*r.PollInterval)
	}
}
