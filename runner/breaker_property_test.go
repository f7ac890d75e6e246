package runner

import (
	"cmp"
	"context"
	"errors"
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
	words := []string{"ok", "fail", "node", "cancel", "teapot", "at=b", "park=1s", "idle=1s", "refuse429", "refuse429=2s", "fail503", "lost", "foreign",
		"closed", "closed+closed", "closed+refuse429", "park=1s+closed", "fail503+refuse429=2s", "deny", "quota", "unknown", "garbled", "too_long"}
	if s.patient {
		s.retry.MaxAttempts, s.retry.MaxElapsed = 1000, 0
	} else {
		words = append(words, "refuse429*", "refuse429=9m*", "fail503*", "closed*", "foreign*", "idle=1s*", "refuse429+idle=1s*", "denied")
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
	tooLong := 2*time.Minute + 15*time.Second*time.Duration(len(s.items))
	ctx, cancel := context.WithTimeout(t.Context(), tooLong)
	defer cancel()
	stopAfter(plan, s.stop, s.after, cancel)
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
	case time.Since(f.born) >= tooLong:
		return fmt.Errorf("it stood still, and was ended after %v: %+v", time.Since(f.born), outcome)
	case outcome.Left != (missing > 0), (outcome.Stopped != NotStopped) != (missing > 0), alike != (outcome.Cause != nil), s.stop == "" && missing > 0 && !alike:
		return fmt.Errorf("%d items have no line, and the outcome is %+v", missing, outcome)
	case outcome.Interrupted > terminated, outcome.Interrupted < terminated && (s.patient || !alike && outcome.Stopped != Interrupted): // else some were given up
		return fmt.Errorf("%d runs were terminated without a line, the outcome is %+v", terminated, outcome)
	}
	if s.patient && !s.polled && s.stop == "" {
		return s.asFailuresSay(f, lines, outcome)
	}
	return nil
}

// asFailuresSay holds what became of a batch against what its runs came to, one
// after the other.
func (s troubled) asFailuresSay(f *fake, lines map[string]bool, outcome Outcome) error {
	m := verdict{unreached: map[string]map[string]int{}, lines: map[string]bool{}}
	for i, end := range f.ends {
		if i > 0 && end.at == f.ends[i-1].at {
			return nil // which of the two was first cannot be told
		}
		m.wait(end.at)
		if m.failures == 0 {
			m.early = underWay(f.calls, f.ends[:i], end)
		}
		m.end(end)
	}
	m.wait(time.Hour)
	if !m.tripped && m.first.perItem {
		m.dispel()
	}
	stopped := m.first.reason
	if !m.tripped && m.held == nil || len(m.lines) == len(s.items) {
		stopped = NotStopped
	}
	if outcome.Stopped != stopped || !maps.Equal(lines, m.lines) {
		return fmt.Errorf("lines of %v and stopped: %q, want %v and %q", lines, outcome.Stopped, m.lines, stopped)
	}
	return nil
}

// underWay gives the items whose runs were at work at an end, without its own.
func underWay(calls []fakeCall, before []fakeEnd, end fakeEnd) map[string]bool {
	working := map[string]bool{}
	last := map[string]time.Duration{}
	for _, e := range before {
		last[e.id] = e.at
	}
	for _, c := range calls {
		if at, ended := last[c.id]; c.what != "terminate" && c.at < end.at && (!ended || c.at > at) && c.id != end.id {
			working[c.id] = true
		}
	}
	return working
}

// verdict is what ends of runs say of their batch.
type verdict struct {
	first     alike
	since     time.Duration
	failures  int
	again     bool
	tripped   bool
	dispelled bool
	early     map[string]bool
	unreached map[string]map[string]int // by item and node
	held      []string
	lines     map[string]bool
}

// wait lets time pass, in which nothing ends.
func (m *verdict) wait(until time.Duration) {
	reached := m.since + breakerPatience
	m.tripped = m.tripped || until > reached && m.certain(reached)
}

// certain tells whether there is no more doubt.
func (m *verdict) certain(now time.Duration) bool {
	return !m.dispelled && m.failures >= 5 && len(m.early) == 0 && (m.first.reason != Unreachable || m.again && now >= m.since+breakerPatience)
}

func (m *verdict) dispel() {
	m.dispelled = true
	for _, id := range m.held {
		m.lines[id] = true
	}
	m.held = nil
}

func (m *verdict) end(end fakeEnd) {
	if end.status.Suspended != nil {
		tries := m.count(end.id, end.status.Suspended.Errs)
		for _, err := range end.status.Suspended.Errs {
			m.met(err, tries, end.at)
		}
	} else {
		m.met(end.status.Err, 1, end.at)
		if kind, ok := alikeOf(end.status.Err); ok && m.failures > 0 && !m.dispelled && kind == m.first {
			m.again = true
			m.held = append(m.held, end.id)
		} else {
			m.dispel()
			m.lines[end.id] = true
		}
	}
	delete(m.early, end.id)
	m.tripped = m.tripped || m.certain(end.at)
}

// count gives how often one node of an item has now not been reached, at most.
func (m *verdict) count(id string, errs []error) (most int) {
	before := m.unreached[id]
	m.unreached[id] = map[string]int{}
	for _, err := range errs {
		at, _ := errors.AsType[*RunError](err)
		m.unreached[id][at.Node] = before[at.Node]
		if c, ok := errors.AsType[*ConnectionError](err); ok && !c.Began {
			m.unreached[id][at.Node]++
		}
		most = max(most, m.unreached[id][at.Node])
	}
	return most
}

func (m *verdict) met(err error, tries int, now time.Duration) {
	kind, ok := alikeOf(err)
	_, answered := errors.AsType[*APIError](err)
	switch {
	case m.dispelled, m.tripped:
	case !ok && answered && m.first.reason == Unreachable, ok && m.failures > 0 && kind != m.first:
		m.dispel()
	case ok:
		if m.failures == 0 {
			m.first, m.since = kind, now
		}
		m.failures++
		m.again = m.again || tries > 1 && now-m.since >= breakerInstant
	}
}
