package runner

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/spec"
)

// TestDrainOf64 is a first interrupt while 64 runs are in flight: nothing is started
// any more, not even what was parked, waits for the rate, or is just being noted.
// The last end is the end of it all.
func TestDrainOf64(t *testing.T) {
	scripts := []string{"30s", "start=429/3s 1s", "start=gone 1s", "2s fail", "start=503 40s", "start=lost 50s", "7s"}
	for name, variant := range map[string]struct {
		rate    int
		backend func(*fake) Backend
	}{
		"local":  {0, func(f *fake) Backend { return resuming{waiting{f}} }},
		"hosted": {0, func(f *fake) Backend { return findable{newHosted(f)} }},
		"rate":   {600, func(f *fake) Backend { return newHosted(f) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var items []string
				for i := range 300 {
					do := scripts[i%len(scripts)]
					if name == "local" {
						do = fmt.Sprintf("%dms", 1+i*37%40_000)
					}
					items = append(items, fmt.Sprintf("%d %s", i, do))
				}
				plan := newPlan(t, items...)
				plan.Concurrency, plan.Rate, plan.Retry.FailedRuns = 64, variant.rate, true
				plan.Journal = &slowLedger{newLedger()}
				drain := make(chan struct{})
				plan.Drain = drain
				at := 2500 * time.Millisecond
				after(at, func() { close(drain) })
				f := newFake(t)
				n := play(t, t.Context(), plan, variant.backend(f))
				want(t, "stopped", n.Stopped, Interrupted)
				for _, call := range f.log("start", "find", "resume") {
					if !strings.Contains(call, "find") && duration(strings.Fields(call)[0]) > at {
						t.Errorf("after the drain: %s", call)
					}
				}
				want(t, "runs that go on", f.working, 0)
				last := time.Time{}
				for _, r := range n.results {
					last = later(last, r.FinishedAt)
				}
				want(t, "the end", f.born.Add(n.took), last)
			})
		})
	}
}

// slowLedger takes its time, as a disk does.
type slowLedger struct{ *ledger }

func (s *slowLedger) Intend(b Begun) error {
	time.Sleep(7 * time.Millisecond)
	return s.ledger.Intend(b)
}

// TestStopRules: no new starts, those that run end, what is parked has no result.
func TestStopRules(t *testing.T) {
	for _, test := range []struct {
		stop    spec.Stop
		before  *Tally
		stopped StopReason
		starts  int // one more may slip through
		reason  string
	}{
		{spec.Stop{FailureCount: 2}, nil, AtFailures, 5, "2 items have not succeeded, and run.stop.failures is 2"},
		{spec.Stop{BudgetTokens: 14}, nil, AtBudget, 5, "14 tokens are used, and run.stop.budget.tokens is 14"},
		{spec.Stop{BudgetTokens: 14}, &Tally{InputTokens: 20}, AtBudget, 0, "20 tokens are used, and run.stop.budget.tokens is 14"},
		{spec.Stop{FailureCount: 9}, nil, NotStopped, 9, ""},
	} {
		t.Run(fmt.Sprintf("%+v", test.stop), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, append([]string{"x 1s park=1m 1s", "y 10s"}, each(7, "pay=6/1 2s fail")...)...)
				plan.Concurrency, plan.Stop, plan.Before, plan.Rows = 3, test.stop, test.before, 9
				f := newFake(t)
				n := play(t, t.Context(), plan, resuming{waiting{f}})
				want(t, "stopped", n.Stopped, test.stopped)
				want(t, "reason", n.Reason, test.reason)
				want(t, "left", n.Left, test.stopped != NotStopped)
				starts, parked := len(f.log("start")), 0
				if test.starts == 5 {
					parked = 1
				}
				want(t, "starts", starts == test.starts || starts == test.starts+parked, true)
				want(t, "results", n.Total(), starts-parked)
				want(t, "runs that go on", f.working, 0)
				told := ""
				for _, e := range n.events {
					if e.Kind == Stopped {
						told = e.Reason
					}
				}
				if test.stopped != NotStopped {
					want(t, "told", told, "stopped: "+string(test.stopped)+": "+test.reason)
				}
			})
		})
	}
}

// TestEnoughIsEnough: a limit that is reached with the last item stops nothing.
func TestEnoughIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, each(2, "1s fail")...)
		plan.Stop = spec.Stop{FailureCount: 2}
		n := play(t, t.Context(), plan, waiting{newFake(t)})
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Failed: 2}})
	})
}
