package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// hardships is a random batch on a host, in several invocations.
type hardships struct {
	items       []string
	concurrency int
	rate        int
	find        bool
	fail        bool // nothing is started twice
	failedRuns  bool
	ends        []string        // how each invocation but the last one ends: detach, cancel or drain
	after       []time.Duration // when
	random      float64
}

func drawHardships(t *rapid.T) hardships {
	s := hardships{
		concurrency: rapid.IntRange(1, 5).Draw(t, "concurrency"),
		rate:        rapid.SampledFrom([]int{0, 0, 0, 120, 1200}).Draw(t, "rate"),
		find:        rapid.Bool().Draw(t, "find"),
		fail:        rapid.IntRange(0, 3).Draw(t, "fail") == 0,
		failedRuns:  rapid.Bool().Draw(t, "failed runs"),
		random:      rapid.Float64Range(0, 1).Draw(t, "random"),
	}
	starts := rapid.SampledFrom([]string{"start=lost", "start=lost502", "start=gone", "start=gone504", "start=429", "start=429/7s", "start=503", "start=unsent", "start=ok", "find=503", "find=429", "find=ok"})
	words := rapid.SampledFrom([]string{"1s", "2s", "700ms", "looks=xrb.c", "fail", "node", "cancel", "ok"})
	for i := range rapid.IntRange(1, 20).Draw(t, "items") {
		script := append(rapid.SliceOfN(starts, 0, 8).Draw(t, "starts"), rapid.SliceOfN(words, 0, 4).Draw(t, "words")...)
		s.items = append(s.items, fmt.Sprintf("i%d %s", i, strings.Join(script, " ")))
	}
	for range rapid.IntRange(0, 2).Draw(t, "stops") {
		s.ends = append(s.ends, rapid.SampledFrom([]string{"detach", "cancel", "drain"}).Draw(t, "end"))
		s.after = append(s.after, time.Duration(rapid.IntRange(1, 12_000).Draw(t, "after"))*time.Millisecond)
	}
	return s
}

// TestWhateverStartsMeet: whatever befalls the starts of runs, however often the
// batch is ended and gone on with, every item ends with one result. It never has
// two runs that nobody asked for, unless the result says so, and no more are in
// flight than may be.
func TestWhateverStartsMeet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawHardships(rt)
		var failure error
		synctest.Test(t, func(t *testing.T) { failure = s.check(t) })
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

func (s hardships) check(t *testing.T) error {
	f := newFake(t)
	h := newHosted(f)
	backend := Backend(h)
	if s.find {
		backend = findable{h}
	}
	l := newLedger()
	results := map[string]*Result{}
	for i := range len(s.ends) + 1 {
		plan := newPlan(t, s.items...)
		plan.Concurrency, plan.Rate, plan.Retry.FailedRuns = s.concurrency, s.rate, s.failedRuns
		plan.Past, plan.Journal, plan.random = l, l, always(s.random)
		if s.fail {
			plan.Retry.UnknownStart = unknownStartFails
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		if i < len(s.ends) {
			stopAfter(plan, s.ends[i], s.after[i], func() { cancel(nil) })
			if s.ends[i] == "detach" {
				after(s.after[i], func() { cancel(ErrDetach) })
			}
		}
		m := &memory{}
		outcome, runErr := Run(ctx, plan, backend, m, m, l)
		cancel(nil)
		if err := errors.Join(runErr, properOrder(m.events)); err != nil {
			return err
		}
		for _, r := range m.results {
			if results[r.ID] != nil {
				return fmt.Errorf("item %s has two results", r.ID)
			}
			results[r.ID] = r
		}
		if missing := len(s.items) - len(results); outcome.Left != (missing > 0) {
			return fmt.Errorf("%d items have no result, and the outcome is %+v", missing, outcome)
		}
		if !outcome.Left {
			break
		}
		if outcome.Stopped == Unreachable || outcome.Stopped == AllAlike { // nobody answers
			return nil
		}
	}
	return s.judge(f, l, results)
}

func (s hardships) judge(f *fake, l *ledger, results map[string]*Result) error {
	f.mu.Lock() // runs that nobody knows of go on
	defer f.mu.Unlock()
	if missing := len(s.items) - len(results); missing > 0 {
		return fmt.Errorf("%d items have no result", missing)
	}
	if f.most > s.concurrency && !slices.Contains(s.ends, "detach") { // what was left going may turn up late
		return fmt.Errorf("%d runs in flight", f.most)
	}
	if len(l.begun) > 0 {
		return fmt.Errorf("the journal still knows of %v", l.begun)
	}
	// An item whose run was interrupted is run again, also if that had just ended.
	interrupted := slices.Contains(s.ends, "cancel")
	for id, r := range results {
		// A run that failed or was terminated is over, so another one is no second one.
		runs, other := 0, 0
		for _, run := range f.runs {
			if run.id != id {
				continue
			}
			if runs++; run.status.State == Failed || run.status.State == Cancelled {
				other++
			}
		}
		switch {
		case runs-other > 1 && !r.PossibleDuplicate && !interrupted:
			return fmt.Errorf("item %s had %d runs: %+v", id, runs, r)
		case r.PossibleDuplicate && (s.find || s.fail):
			return fmt.Errorf("item %s may have had two runs", id)
		case s.fail && runs-other > 1 && !interrupted:
			return fmt.Errorf("item %s was started again", id)
		case r.Status == Succeeded && r.Handle.TaskID == "":
			return fmt.Errorf("item %s succeeded without a run", id)
		}
	}
	return nil
}
