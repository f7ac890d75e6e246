package runner

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// capped is a host that takes only so many runs at once.
type capped struct {
	hosted
	most int
	door *sync.Mutex // one at a time looks whether there is a place, and takes it
}

func (c capped) Start(ctx context.Context, pipelineID string, in Inputs, opts StartOptions) (Handle, error) {
	c.door.Lock()
	defer c.door.Unlock()
	c.mu.Lock()
	full := c.working >= c.most
	c.mu.Unlock()
	if full {
		c.called("refused", in["id"].(string))
		refusal := answered(429, "too many runs")
		refusal.Limits = LimitsConcurrency
		return Handle{}, refusal
	}
	return c.hosted.Start(ctx, pipelineID, in, opts)
}

// TestHostThatTakesFewRuns: starts are slowed down before most of them are refused,
// and everything succeeds.
func TestHostThatTakesFewRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, each(300, "10s")...)
		plan.Concurrency, plan.Retry.MaxElapsed = 64, time.Hour
		f := newFake(t)
		n := play(t, t.Context(), plan, capped{newHosted(f), 8, &sync.Mutex{}})
		want(t, "succeeded", len(n.ids(Succeeded)), 300)
		want(t, "most in flight", f.most, 8)
		slowed, open, held := 0, 0, 0
		for _, e := range n.events {
			switch {
			case e.Kind == Limited && e.Limits == LimiterState{}:
				open++
			case e.Kind == Limited:
				slowed++
				want(t, "by what", e.Limits.AtOnce > 0 && e.Limits.PerSecond == 0, true)
			case e.Kind == Parked && e.Held:
				held++
			}
		}
		if slowed == 0 || open == 0 || held == 0 {
			t.Errorf("slowed %d times, open %d times, %d starts held back", slowed, open, held)
		}
		if least := 300 / 8 * 10 * time.Second; n.took > 3*least {
			t.Errorf("it took %v, and could have taken %v", n.took, least)
		}
	})
}

// TestLimiterKnowsWhatIsInFlight: every run it let begin has ended for it, too.
func TestLimiterKnowsWhatIsInFlight(t *testing.T) {
	scripts := []string{"1s", "start=429 1s", "start=lost 1s", "start=gone 2s", "hang", "park=1s", "1s fail", "misfit", "start=503 start=lost 3s", "looks=xxxxxxxxxx 1s", "start=401"}
	for _, stop := range []string{"", "cancel", "detach", "drain"} {
		t.Run(stop, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var items []string
				for i := range 60 {
					items = append(items, fmt.Sprintf("%d %s", i, scripts[i%len(scripts)]))
				}
				plan := newPlan(t, items...)
				plan.Timeout, plan.Concurrency, plan.Retry.FailedRuns = 20*time.Second, 7, true
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				stopAfter(plan, stop, 4*time.Second, func() { cancel(nil) })
				if stop == "detach" {
					after(4*time.Second, func() { cancel(ErrDetach) })
				}
				r := newRun(plan, findable{newHosted(newFake(t))})
				if _, err := r.all(ctx, &memory{}, nil); err != nil {
					t.Fatal(err)
				}
				want(t, "in flight", r.limiter.inFlight, 0)
			})
		})
	}
}
