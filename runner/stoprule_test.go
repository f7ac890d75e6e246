package runner

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"nightshift/spec"
)

// ruled is a rule, and what it has stopped for.
type ruled struct {
	*stopRule
	stops []StopReason
}

func newRuled(plan *Plan) *ruled {
	r := &ruled{}
	r.stopRule = newStopRule(plan, func(reason StopReason) { r.stops = append(r.stops, reason) })
	return r
}

// ends ends n items.
func (r *ruled) ends(n int, status State, usage *Usage) {
	for range n {
		r.Handle(Event{Kind: Finished, Result: &Result{Status: status, Usage: usage}})
	}
}

// resultsBefore are n of them.
func resultsBefore(n int, status State, usage *Usage) *Tally {
	t := &Tally{}
	for range n {
		t.Add(&Line{Status: status, Usage: usage})
	}
	return t
}

func TestStopRule(t *testing.T) {
	t.Parallel()
	dime := &Usage{InputTokens: 7, OutputTokens: 3, USD: 0.1}
	for name, c := range map[string]struct {
		stop   spec.Stop
		rows   int
		before *Tally
		good   int // items that end first
		bad    int // items that fail then
		usage  *Usage
		at     int // after how many of all these it stops; -1: it does not
		want   StopReason
		why    string
	}{
		"no rule": {good: 100, bad: 100, at: -1},

		"the first failure": {stop: spec.Stop{FailureCount: 1}, good: 3, bad: 2, at: 4, want: AtFailures, why: "1 item has not succeeded, and run.stop.failures is 1"},
		"not enough":        {stop: spec.Stop{FailureCount: 5}, good: 100, bad: 4, at: -1},
		"enough":            {stop: spec.Stop{FailureCount: 5}, good: 10, bad: 9, at: 15, want: AtFailures, why: "5 items have not succeeded, and run.stop.failures is 5"},
		"with those before": {stop: spec.Stop{FailureCount: 5}, before: resultsBefore(3, TimedOut, nil), bad: 9, at: 2, want: AtFailures, why: "5 items have not succeeded, and run.stop.failures is 5"},
		"enough before":     {stop: spec.Stop{FailureCount: 5}, before: resultsBefore(7, Cancelled, nil), at: 0, want: AtFailures, why: "7 items have not succeeded, and run.stop.failures is 5"},

		"a share of the rows":         {stop: spec.Stop{FailureShare: 0.05}, rows: 100, bad: 9, at: 6, want: AtFailures, why: "6 of 100 items have not succeeded, and run.stop.failures is 5%"},
		"exactly a share":             {stop: spec.Stop{FailureShare: 0.29}, rows: 100, bad: 29, at: -1},
		"a share, with those before":  {stop: spec.Stop{FailureShare: 0.29}, rows: 100, before: resultsBefore(29, Failed, nil), good: 60, bad: 1, at: 61, want: AtFailures, why: "30 of 100 items have not succeeded, and run.stop.failures is 29%"},
		"a share of a percent":        {stop: spec.Stop{FailureShare: 0.001}, rows: 1000, bad: 2, at: 2, want: AtFailures, why: "2 of 1000 items have not succeeded, and run.stop.failures is 0.1%"},
		"a share of those that ended": {stop: spec.Stop{FailureShare: 0.1}, rows: -1, good: 30, bad: 9, at: 34, want: AtFailures, why: "4 of 34 items that have ended have not succeeded, and run.stop.failures is 10%"},
		"a share of too few":          {stop: spec.Stop{FailureShare: 0.1}, rows: -1, bad: 19, at: -1},
		"a share of just enough":      {stop: spec.Stop{FailureShare: 0.1}, rows: -1, before: resultsBefore(10, Succeeded, nil), bad: 19, at: 10, want: AtFailures, why: "10 of 20 items that have ended have not succeeded, and run.stop.failures is 10%"},
		"all may fail":                {stop: spec.Stop{FailureShare: 1}, rows: 30, bad: 30, at: -1},

		"dollars":                   {stop: spec.Stop{BudgetUSD: 1}, good: 100, usage: dime, at: 10, want: AtBudget, why: "1.0000 USD are spent, and run.stop.budget.usd is 1"},
		"dollars for failures":      {stop: spec.Stop{BudgetUSD: 0.3}, bad: 100, usage: dime, at: 3, want: AtBudget, why: "0.3000 USD are spent, and run.stop.budget.usd is 0.3"},
		"dollars, spent before":     {stop: spec.Stop{BudgetUSD: 0.95}, before: resultsBefore(9, Succeeded, dime), good: 2, usage: dime, at: 1, want: AtBudget, why: "1.0000 USD are spent, and run.stop.budget.usd is 0.95"},
		"dollars, all spent before": {stop: spec.Stop{BudgetUSD: 0.2}, before: resultsBefore(9, Succeeded, dime), at: 0, want: AtBudget, why: "0.9000 USD are spent, and run.stop.budget.usd is 0.2"},
		"from the cache":            {stop: spec.Stop{BudgetUSD: 0.2, BudgetTokens: 1}, good: 100, usage: &Usage{Cached: true}, at: -1},
		"no price":                  {stop: spec.Stop{BudgetUSD: 100}, good: 10, usage: &Usage{InputTokens: 1, Unpriced: true}, at: 1, want: AtBudget, why: "what an answer cost is not known, so run.stop.budget.usd cannot be kept; give run.prices"},
		"no price before":           {stop: spec.Stop{BudgetUSD: 100}, before: resultsBefore(1, Succeeded, &Usage{Unpriced: true}), at: 0, want: AtBudget, why: "what an answer cost is not known, so run.stop.budget.usd cannot be kept; give run.prices"},
		"no price, no matter":       {stop: spec.Stop{BudgetTokens: 100}, good: 9, usage: &Usage{InputTokens: 6, OutputTokens: 4, Unpriced: true}, at: -1},
		"tokens":                    {stop: spec.Stop{BudgetTokens: 100}, before: resultsBefore(2, Failed, dime), good: 20, usage: dime, at: 8, want: AtBudget, why: "100 tokens are used, and run.stop.budget.tokens is 100"},
		"what comes first":          {stop: spec.Stop{FailureCount: 2, BudgetUSD: 0.5, BudgetTokens: 40}, good: 3, bad: 9, usage: dime, at: 4, want: AtBudget, why: "40 tokens are used, and run.stop.budget.tokens is 40"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := ""
			if c.before != nil {
				before = fmt.Sprintf("%+v", *c.before)
			}
			r := newRuled(&Plan{Stop: c.stop, Rows: c.rows, Before: c.before})
			at := -1
			for i := range c.good + c.bad + 1 {
				if len(r.stops) > 0 && at < 0 {
					at = i
				}
				r.Handle(Event{Kind: Parked})
				if status := Succeeded; i < c.good+c.bad {
					if i >= c.good {
						status = Failed
					}
					r.ends(1, status, c.usage)
				}
			}
			want(t, "stopped after", at, c.at)
			var stops []StopReason
			if c.at >= 0 {
				stops = []StopReason{c.want} // once
			}
			want(t, "stopped for", r.stops, stops)
			if c.before != nil {
				want(t, "what was before is left as it is", fmt.Sprintf("%+v", *c.before), before)
			}
			want(t, "reason", r.reason(), c.why)
		})
	}
}

// TestFailuresOfRowsThatAreGone are none that stop a batch.
func TestFailuresOfRowsThatAreGone(t *testing.T) {
	t.Parallel()
	plan := &Plan{Stop: spec.Stop{FailureCount: 6}, Before: resultsBefore(7, Failed, nil), GoneFailed: 4}
	r := newRuled(plan)
	r.ends(2, Failed, nil)
	want(t, "5 failures", r.stops, []StopReason(nil))
	r.ends(1, Failed, nil)
	want(t, "reason", r.reason(), "6 items have not succeeded, and run.stop.failures is 6")
}

// TestBudgetOfItemsThatAreRunAgain: what their results told of before is counted
// already, and told of again.
func TestBudgetOfItemsThatAreRunAgain(t *testing.T) {
	t.Parallel()
	earlier := &Usage{InputTokens: 8, OutputTokens: 2, USD: 0.1}
	for name, c := range map[string]struct {
		budget int64
		ended  int
		why    string
	}{
		"all":       {61, 4, ""},
		"all but d": {58, 3, "58 tokens are used, and run.stop.budget.tokens is 58"},
		"two":       {54, 2, "54 tokens are used, and run.stop.budget.tokens is 54"},
		"none":      {40, 0, "40 tokens are used, and run.stop.budget.tokens is 40"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a pay=3/4 1s", "b pay=5/2 1s fail", "c pay=4/0 1s fail", "d pay=2/0 1s")
				plan.Concurrency, plan.Stop, plan.Before = 1, spec.Stop{BudgetTokens: c.budget}, resultsBefore(4, Succeeded, earlier)
				l := newLedger()
				for _, id := range []string{"a", "b", "c"} {
					l.stands[id] = Standing{Ended: true, Attempts: 1, Usage: earlier}
				}
				n := play(t, t.Context(), resumed(plan, l), waiting{newFake(t)})
				want(t, "ended", n.Total(), c.ended)
				want(t, "reason", n.Reason, c.why)
				for _, id := range []string{"a", "b", "c"} {
					if r := n.results[id]; r != nil && r.Usage.InputTokens <= earlier.InputTokens {
						t.Errorf("%s: %+v", id, r.Usage)
					}
				}
			})
		})
	}
}

// TestStopRuleKnowsWhy: whoever is told of the stop can ask for the reason.
func TestStopRuleKnowsWhy(t *testing.T) {
	t.Parallel()
	var rule *stopRule
	why := ""
	rule = newStopRule(&Plan{Stop: spec.Stop{FailureCount: 1}}, func(StopReason) { why = rule.reason() })
	rule.Handle(Event{Kind: Finished, Result: &Result{Status: Failed}})
	want(t, "reason", why, "1 item has not succeeded, and run.stop.failures is 1")
}

// TestStopRuleAcrossInvocations: the limits are those of the generation, however
// often it was cut in two.
func TestStopRuleAcrossInvocations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := &Plan{Rows: rapid.SampledFrom([]int{-1, 50, 200}).Draw(t, "rows"), Stop: spec.Stop{
			FailureCount: rapid.IntRange(0, 40).Draw(t, "count"),
			FailureShare: rapid.SampledFrom([]float64{0, 0.05, 0.3, 1}).Draw(t, "share"),
			BudgetUSD:    rapid.SampledFrom([]float64{0, 0.07, 3}).Draw(t, "usd"),
			BudgetTokens: rapid.Int64Range(0, 500).Draw(t, "tokens"),
		}}
		before := &Tally{}
		whole, part := newRuled(plan), newRuled(plan)
		for i := range 60 {
			status := rapid.SampledFrom([]State{Succeeded, Succeeded, Succeeded, Failed, Cancelled, TimedOut}).Draw(t, "status")
			usage := &Usage{InputTokens: rapid.Int64Range(0, 20).Draw(t, "in"), USD: rapid.Float64Range(0, 0.1).Draw(t, "usd"), Unpriced: rapid.IntRange(0, 50).Draw(t, "price") == 0}
			whole.ends(1, status, usage)
			part.ends(1, status, usage)
			before.Add(&Line{Status: status, Usage: usage})
			if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
				resumed := *plan
				resumed.Before = before
				part = newRuled(&resumed)
			}
			if fmt.Sprint(whole.stops) != fmt.Sprint(part.stops) {
				t.Fatalf("after %d items: stopped for %v, resumed for %v", i+1, whole.stops, part.stops)
			}
			if len(whole.stops) > 0 {
				return
			}
		}
	})
}

// TestStopRuleOfABatch: nothing is started after it, what runs ends, and
// everybody is told why.
func TestStopRuleOfABatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stop   spec.Stop
		before *Tally
		last   time.Duration // when the last run was started; where it is stopped, at the latest
		reason StopReason    // the others are left over
		why    string
	}{
		"failures":       {spec.Stop{FailureCount: 2}, resultsBefore(1, Failed, nil), 6 * time.Second, AtFailures, "2 items have not succeeded, and run.stop.failures is 2"},
		"budget":         {spec.Stop{BudgetTokens: 25}, nil, 6 * time.Second, AtBudget, "27 tokens are used, and run.stop.budget.tokens is 25"},
		"reached before": {spec.Stop{FailureCount: 2}, resultsBefore(2, Failed, nil), -1, AtFailures, "2 items have not succeeded, and run.stop.failures is 2"},
		"never reached":  {spec.Stop{FailureCount: 3, BudgetTokens: 1000}, nil, 15 * time.Second, NotStopped, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The slot of c is free before its result is written, and counted.
				plan := newPlan(t, "a pay=7/5 4s", "b pay=3/0 5s", "c pay=7/5 2s fail", "d 5s", "e 9s", "f 9s", "g 1s")
				plan.Stop, plan.Before = c.stop, c.before
				backend := newFake(t)
				n := play(t, t.Context(), plan, waiting{backend})
				last := time.Duration(-1)
				for _, call := range backend.log("start") {
					at, _, _ := strings.Cut(call, " ")
					last = max(last, duration(at))
				}
				if last > c.last || c.reason == NotStopped && last < c.last {
					t.Errorf("last start at %v, want %v", last, c.last)
				}
				want(t, "terminated", backend.log("terminate"), []string{})
				stopped := c.reason != NotStopped
				want(t, "outcome", n.Outcome, Outcome{Counts: n.Counts, Left: stopped, Stopped: c.reason, Reason: c.why})
				var told []string
				for _, e := range n.events {
					if e.Kind == Stopped {
						told = append(told, e.Reason)
					}
				}
				if stopped {
					want(t, "told", told, []string{"stopped: " + string(c.reason) + ": " + c.why})
				} else {
					want(t, "told", told, []string(nil))
				}
			})
		})
	}
}

// TestBudgetCountsWhatWaits: runs that are parked, or to be started again, have
// been paid for.
func TestBudgetCountsWhatWaits(t *testing.T) {
	for do, edit := range map[string]func(*Plan){
		"pay=10/0 refuse429=1h": func(*Plan) {},
		"pay=10/0 fail": func(p *Plan) {
			p.Retry.FailedRuns, p.Retry.Backoff.Initial, p.Retry.Backoff.Max = true, time.Hour, time.Hour
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var items []string
			for i := range 200 {
				items = append(items, fmt.Sprintf("i%d 1s %s", i, do))
			}
			plan := newPlan(t, items...)
			plan.Concurrency, plan.random = 2, always(1)
			plan.Stop.BudgetTokens = 50
			edit(plan)
			f := newFake(t)
			n := play(t, t.Context(), plan, resuming{waiting{f}})
			want(t, do+": stopped", n.Stopped, AtBudget)
			if starts := len(f.log("start")); starts < 5 || starts > 8 {
				t.Errorf("%s: %d starts of 10 tokens each, and a budget of 50", do, starts)
			}
		})
	}
}
