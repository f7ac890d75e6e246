package runner

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// troubled is a batch whose runs meet trouble of a few kinds, so that they often
// fail alike.
type troubled struct {
	items       []string
	concurrency int
	patient     bool // nothing is given up
	polled      bool
	retry       Retry
	stop        string // "", deadline, drain or cancel
	after       time.Duration
	random      float64
}

func drawTroubled(t *rapid.T) troubled {
	s := troubled{
		concurrency: rapid.IntRange(1, 6).Draw(t, "concurrency"),
		patient:     rapid.Bool().Draw(t, "patient"),
		polled:      rapid.IntRange(0, 4).Draw(t, "polled") == 0,
		stop:        rapid.SampledFrom([]string{"", "", "", "deadline", "drain", "cancel"}).Draw(t, "stop"),
		after:       time.Duration(rapid.IntRange(1, 30_000).Draw(t, "after")) * time.Millisecond,
		random:      rapid.Float64Range(0.01, 1).Draw(t, "random"),
	}
	s.retry.MaxAttempts, s.retry.MaxElapsed = rapid.IntRange(1, 5).Draw(t, "attempts"), 20*time.Second
	s.retry.Backoff.Initial, s.retry.Backoff.Factor, s.retry.Backoff.Max = time.Second, 2, time.Minute
	words := []string{"ok", "fail", "node", "cancel", "teapot", "at=b", "park=1s", "refuse429", "refuse429=2s", "fail503", "lost", "closed", "deny", "quota", "unknown", "garbled", "too_long"}
	if s.patient {
		s.retry.MaxAttempts, s.retry.MaxElapsed = 1000, 0
	} else {
		words = append(words, "refuse429*", "refuse429=9m*", "fail503*", "closed*", "denied")
	}
	words = rapid.SliceOfN(rapid.SampledFrom(words), 1, 3).Draw(t, "words")
	chance := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "chance")))
	for i := range rapid.IntRange(1, 25).Draw(t, "items") {
		do := ""
		for range 1 + chance.IntN(3) {
			// No two things happen at the same time.
			if do += fmt.Sprintf(" %dns %s", chance.Int64N(3e9), words[chance.IntN(len(words))]); strings.HasSuffix(do, "denied") {
				do = "denied"
				break
			}
		}
		s.items = append(s.items, fmt.Sprintf("i%d %s", i, do))
	}
	return s
}

// TestTroubledBatches: whatever runs meet and however a batch is stopped, every
// item has one line unless the batch says that it was stopped, and why.
func TestTroubledBatches(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawTroubled(rt)
		var failure error
		synctest.Test(t, func(t *testing.T) { failure = s.check(t) })
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

func (s troubled) check(t *testing.T) error {
	plan := newPlan(t, s.items...)
	plan.Concurrency, plan.PollInterval, plan.Retry, plan.random = s.concurrency, 200*time.Millisecond, s.retry, always(s.random)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	switch s.stop {
	case "deadline":
		plan.Deadline = time.Now().Add(s.after)
	case "drain":
		drain := make(chan struct{})
		plan.Drain = drain
		after(s.after, func() { close(drain) })
	case "cancel":
		after(s.after, cancel)
	}
	f := newFake(t)
	var backend Backend = resuming{waiting{f}}
	if s.polled {
		backend = pollResuming{f}
	}
	m := &memory{}
	outcome, err := Run(ctx, plan, backend, m, m)
	if err := cmp.Or(err, properOrder(m.events)); err != nil {
		return err
	}
	lines := map[string]bool{}
	for _, r := range m.results {
		if lines[r.ID] {
			return fmt.Errorf("item %s has two lines", r.ID)
		}
		if lines[r.ID] = true; r.Error != nil && strings.Contains(r.Error.Message, "too early") {
			return fmt.Errorf("item %s: %s", r.ID, r.Error.Message)
		}
	}
	missing, terminated := len(s.items)-len(lines), 0
	for _, r := range f.runs {
		if !r.status.State.Ended() {
			return fmt.Errorf("the run of %s goes on", r.id)
		}
	}
	for _, c := range f.calls {
		if c.what == "terminate" && !lines[c.id] {
			terminated++
		}
	}
	alike := slices.Contains([]StopReason{Denied, Unreachable, AllAlike}, outcome.Stopped)
	switch {
	case f.most > s.concurrency:
		return fmt.Errorf("%d runs at work", f.most)
	case time.Since(f.born) > time.Duration(len(s.items))*time.Hour:
		return fmt.Errorf("it took %v", time.Since(f.born))
	case outcome.Left != (missing > 0), (outcome.Stopped != NotStopped) != (missing > 0), alike != (outcome.Cause != nil), s.stop == "" && missing > 0 && !alike:
		return fmt.Errorf("%d items have no line, and the outcome is %+v", missing, outcome)
	case outcome.Interrupted > terminated, outcome.Interrupted < terminated && !alike: // then some were given up
		return fmt.Errorf("%d runs were terminated without a line, the outcome is %+v", terminated, outcome)
	}
	if s.patient && !s.polled && s.stop == "" {
		return asFailuresSay(f.ends, lines, outcome)
	}
	return nil
}

// asFailuresSay holds what became of a batch against what its runs came to, one
// after the other.
func asFailuresSay(ends []fakeEnd, lines map[string]bool, outcome Outcome) error {
	var first alike
	var held []string
	wanted, times := map[string]bool{}, map[string]int{}
	failures, twice, tripped, dispelled := 0, false, false, false
	for i, end := range ends {
		if i > 0 && end.at == ends[i-1].at {
			return nil // which of the two was first cannot be told
		}
		err, over := end.status.Err, end.status.Suspended == nil
		if !over {
			err = end.status.Suspended.Err
		}
		kind, ok := alikeOf(err)
		switch {
		case !ok && !over, dispelled, tripped:
		case !ok, failures > 0 && kind != first:
			dispelled = true
		default:
			failures++
			times[end.id]++
			first, twice = kind, twice || times[end.id] > 1
			tripped = failures >= 5 && (kind.reason != Unreachable || twice)
		}
		switch {
		case !over:
		case !ok, dispelled, kind != first:
			wanted[end.id] = true
		case !tripped:
			held = append(held, end.id)
		}
	}
	stopped := first.reason
	if dispelled || !tripped && (first.reason == AllAlike || held == nil) {
		stopped = NotStopped
		for _, id := range held {
			wanted[id] = true
		}
	}
	if outcome.Stopped != stopped || !maps.Equal(lines, wanted) {
		return fmt.Errorf("lines of %v and stopped: %q, want %v and %q", lines, outcome.Stopped, wanted, stopped)
	}
	return nil
}
