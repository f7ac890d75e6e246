package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// setting is a random batch, and how it is interfered with.
type setting struct {
	items       []string
	concurrency int
	backend     string
	stop        string // "", deadline, drain or cancel
	after       time.Duration
}

func drawSetting(t *rapid.T) setting {
	s := setting{
		concurrency: rapid.IntRange(1, 5).Draw(t, "concurrency"),
		backend:     rapid.SampledFrom([]string{"polled", "waiting", "resuming", "polled and resuming"}).Draw(t, "backend"),
		stop:        rapid.SampledFrom([]string{"", "", "deadline", "drain", "cancel"}).Draw(t, "stop"),
		after:       time.Duration(rapid.IntRange(1, 30_000).Draw(t, "after")) * time.Millisecond,
	}
	words := []string{"1s", "2s", "700ms", "park=1s", "park=5s", "looks=xx.x", "fail", "node", "cancel", "hang", "ok"}
	script := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom(words), 0, 5), func(words []string) string { return strings.Join(words, " ") }),
		rapid.SampledFrom([]string{"refuse", "misfit", "looks=xxxxxxxxxx 1s"}),
	)
	for i, do := range rapid.SliceOfN(script, 1, 30).Draw(t, "scripts") {
		s.items = append(s.items, fmt.Sprintf("i%d %s", i, do))
	}
	return s
}

// TestWhatIsTrueOfEveryBatch runs random batches against what must hold of all
// of them, whatever their runs do and however they are stopped.
func TestWhatIsTrueOfEveryBatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSetting(rt)
		var failure error
		synctest.Test(t, func(t *testing.T) { failure = s.check(t) })
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

func (s setting) check(t *testing.T) error {
	plan := newPlan(t, s.items...)
	plan.Concurrency, plan.Timeout, plan.PollInterval = s.concurrency, 20*time.Second, 200*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopAfter(plan, s.stop, s.after, cancel)
	f := newFake(t)
	backend := map[string]Backend{"polled": f, "waiting": waiting{f}, "resuming": resuming{waiting{f}}, "polled and resuming": pollResuming{f}}[s.backend]
	m := &memory{}
	began := time.Now()
	outcome, err := Run(ctx, plan, backend, m, m)
	if err != nil {
		return err
	}
	if err := properOrder(m.events); err != nil {
		return err
	}
	return s.judge(f, m, outcome, began.Add(s.after))
}

func (s setting) judge(f *fake, m *memory, outcome Outcome, stopped time.Time) error {
	results := map[string]*Result{}
	for _, r := range m.results {
		if results[r.ID] != nil {
			return fmt.Errorf("item %s has two results", r.ID)
		}
		results[r.ID] = r
	}
	missing := len(s.items) - len(results)
	starts := map[string]int{}
	for _, c := range f.calls {
		if c.what == "start" {
			starts[c.id]++
		}
		if c.what != "terminate" && c.what != "look" && s.stop != "" && f.born.Add(c.at).After(stopped) {
			return fmt.Errorf("%s of %s after the stop", c.what, c.id)
		}
	}
	for id, n := range starts {
		if n > 1 {
			return fmt.Errorf("item %s was started %d times", id, n)
		}
	}
	interrupted := 0
	for _, r := range f.runs {
		_, done := results[r.id]
		if !done {
			interrupted++
		}
		given := done && results[r.id].Error != nil && results[r.id].Error.Class == "status_failed"
		if !r.status.State.Ended() && !given {
			return fmt.Errorf("the run of %s goes on", r.id)
		}
	}
	switch {
	case f.most > s.concurrency:
		return fmt.Errorf("%d runs in flight", f.most)
	case s.stop == "" && missing > 0:
		return fmt.Errorf("%d items have no result", missing)
	case outcome.Left != (missing > 0) || (outcome.Stopped != NotStopped) != (missing > 0):
		return fmt.Errorf("%d items have no result, and the outcome is %+v", missing, outcome)
	case outcome.Interrupted != interrupted:
		return fmt.Errorf("%d were started without a result, the outcome is %+v", interrupted, outcome)
	case outcome.Total() != len(results):
		return fmt.Errorf("%d results, the outcome is %+v", len(results), outcome)
	}
	for _, r := range results {
		if r.Status == TimedOut && !slices.Contains(strings.Fields(r.Inputs["do"].(string)), "hang") && r.Inputs["do"] != "stuck" {
			return fmt.Errorf("item %s timed out: %q", r.ID, r.Inputs["do"])
		}
	}
	return nil
}

// stopAfter stops a batch after a while: by its deadline, by draining it, or by
// cancel; "" lets it end by itself.
func stopAfter(plan *Plan, how string, wait time.Duration, cancel func()) {
	switch how {
	case "deadline":
		plan.Deadline = time.Now().Add(wait)
	case "drain":
		drain := make(chan struct{})
		plan.Drain = drain
		after(wait, func() { close(drain) })
	case "cancel":
		after(wait, cancel)
	}
}
