package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// detach runs a batch for a while, and leaves its runs going.
func detach(t *testing.T, plan *Plan, backend Backend, wait time.Duration) night {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	after(wait, func() { cancel(ErrDetach) })
	return play(t, ctx, plan, backend)
}

// resumed is the plan of the next invocation.
func resumed(plan *Plan, l *ledger) *Plan {
	next := *plan
	next.Past, next.Journal = l, l
	return &next
}

func TestDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a 1s", "b 60s", "c start=gone 5s", "d 30s fail", "e 1s")
		plan.Concurrency, plan.random = 3, always(1)
		l := newLedger()
		plan.Journal = l
		f := newFake(t)
		h := newHosted(f)
		first := detach(t, plan, h, 500*time.Millisecond)
		want(t, "took", first.took, 500*time.Millisecond)
		want(t, "outcome", first.Outcome, Outcome{Counts: map[State]int{}, Detached: 3, Left: true, Stopped: Interrupted})
		time.Sleep(9500 * time.Millisecond)
		n := play(t, t.Context(), resumed(plan, l), findable{h})
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 4, Failed: 1}})
		want(t, "calls", f.log("start", "find", "terminate"), []string{
			"0s start a", "0s start b", "0s start c", "0s start d", // of c the answer was lost
			"10s find c", "10s start c", "15.765625s start e",
		})
		a := n.results["a"]
		want(t, "attempts of a", a.Attempts, 1)
		want(t, "start of a", a.StartedAt, f.born)
		want(t, "duration of a", a.Duration, 10*time.Second)
		want(t, "attempts of c", n.results["c"].Attempts, 2)
		attached := map[string]int{}
		for _, e := range n.events {
			if e.Kind == Attached && e.Handle == n.results[e.ID].Handle {
				attached[e.ID] = e.Attempt
			}
		}
		want(t, "attached", attached, map[string]int{"a": 1, "b": 1, "d": 1})
		want(t, "most in flight", f.most <= 3, true)
	})
}

// TestDetachOfOthers: runs that do not outlive the process are terminated.
func TestDetachOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		n := detach(t, newPlan(t, "a 10s", "b 1s park=1h"), resuming{waiting{f}}, 5*time.Second)
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{}, Interrupted: 2, Left: true, Stopped: Interrupted})
		want(t, "runs that go on", f.working, 0)
	})
}

// patient is a hosted whose suspended runs can be resumed.
type patient struct{ hosted }

func (p patient) Resume(_ context.Context, h Handle) error { return p.resume(h) }

// TestDetachOfWhatIsParked: a run that waits goes on waiting, and is suspended when
// it is seen again.
func TestDetachOfWhatIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a park=20s 3s", "b 1s")
		l := newLedger()
		plan.Journal = l
		f := newFake(t)
		backend := patient{newHosted(f)}
		first := detach(t, plan, backend, 5*time.Second)
		want(t, "outcome", first.Outcome, Outcome{Counts: map[State]int{Succeeded: 1}, Detached: 1, Left: true, Stopped: Interrupted})
		time.Sleep(5 * time.Second)
		n := play(t, t.Context(), resumed(plan, l), backend)
		want(t, "calls", f.log("start", "resume", "terminate"), []string{"0s start a", "0s start b", "20s resume a"})
		want(t, "succeeded", n.ids(Succeeded), []string{"a"})
	})
}

// TestInterruptedRunsAreForgotten once they are terminated, but not that there
// were these attempts: the next ones get other trace ids.
func TestInterruptedRunsAreForgotten(t *testing.T) {
	for _, slow := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, "a 1m", "b 1m")
			l := newLedger()
			plan.Journal = l
			f := newFake(t)
			f.slowTerms = slow // so it is not known whether it was terminated
			ctx, cancel := context.WithCancel(t.Context())
			after(time.Second, cancel)
			play(t, ctx, plan, newHosted(f))
			attached, attempts := 0, 0
			for _, b := range l.begun {
				if attempts += b.Attempt; !b.Over {
					attached++
				}
			}
			want(t, "known to be going", attached, map[bool]int{false: 0, true: 2}[slow])
			want(t, "attempts", attempts, 2)
			if slow {
				return
			}
			play(t, t.Context(), resumed(plan, l), newHosted(f))
			traces := map[string]bool{}
			for _, o := range f.options {
				traces[o.TraceID] = true
			}
			want(t, "traces", len(traces), 4)
		})
	}
}

// TestAttach: how a run stands of which an earlier invocation has left a note. The
// run was started at 0 s, and is looked at first at 10 s.
func TestAttach(t *testing.T) {
	for _, test := range []struct {
		do        string
		edit      func(*Plan, *Begun)
		backend   string
		status    State
		class     string
		attempts  int
		duplicate bool
		calls     string
		took      time.Duration
	}{
		{"3s", nil, "hosted", Succeeded, "", 1, false, "0s start, 10s look", 0},
		{"3s fail", nil, "hosted", Failed, classRun, 1, false, "0s start, 10s look", 0},
		{"10500ms", nil, "hosted", Succeeded, "", 1, false, "0s start, 10s look, 11s look", time.Second},
		// The time of a run counts from its start; but one that has ended has ended.
		{"3s", timeout(5 * time.Second), "hosted", Succeeded, "", 1, false, "0s start, 10s look", 0},
		{"30s", timeout(5 * time.Second), "hosted", TimedOut, classTimedOut, 1, false, "0s start, 10s look, 10s look, 10s look, 10s terminate", 0},
		{"30s", timeout(11500 * time.Millisecond), "hosted", TimedOut, classTimedOut, 1, false, "0s start, 10s look, 11s look, 11.5s look, 11.5s look, 11.5s terminate", 1500 * time.Millisecond},
		{"looks=brc 3s", nil, "hosted", Succeeded, "", 1, false, "0s start, 10s look, 11s look, 32s look, 33.5625s look", 23562500 * time.Microsecond},
		// Nobody knows of that run any more.
		{"3s", forgotten, "findable", Succeeded, "", 1, false, "0s start, 11s find, 11s look", time.Second},
		{"3s", forgotten, "hosted", Succeeded, "", 2, true, "0s start, 11s look, 11s start, 12s look, 13.25s look, 14.8125s look", 4812500 * time.Microsecond},
		{"3s", forgotten, "fail", Failed, classUnknownStart, 1, false, "0s start", 0},
		// Or nobody knows whether it was started.
		{"3s", unanswered1, "findable", Succeeded, "", 1, false, "0s start, 10s find, 10s look", 0},
		{"3s", unanswered1, "hosted", Succeeded, "", 2, true, "0s start, 10s look, 10s start, 11s look, 12.25s look, 13.8125s look", 3812500 * time.Microsecond},
		{"3s", unanswered1, "fail", Failed, classUnknownStart, 1, false, "0s start", 0},
		{"3s", neverStarted, "findable", Succeeded, "", 2, false, "0s start, 10s look, 10s start, 11s look, 12.25s look, 13.8125s look", 3812500 * time.Microsecond},
	} {
		t.Run(test.backend+" "+test.do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a "+test.do)
				plan.random = always(1)
				f := newFake(t)
				h := newHosted(f)
				backend := map[string]Backend{"hosted": h, "findable": findable{h}, "fail": h}[test.backend]
				if test.backend == "fail" {
					plan.Retry.UnknownStart = "fail"
				}
				trace := traceOf(t, plan, "a", 1)
				handle, err := h.Start(t.Context(), "p", Inputs{"id": "a", "do": test.do}, StartOptions{TraceID: trace})
				if err != nil {
					t.Fatal(err)
				}
				l := newLedger()
				b := Begun{ID: "a", Attempt: 1, Handle: handle, At: time.Now()}
				if test.edit != nil {
					test.edit(plan, &b)
				}
				l.begun["a"] = b
				time.Sleep(10 * time.Second)
				n := play(t, t.Context(), resumed(plan, l), backend)
				r := n.results["a"]
				want(t, "status", r.Status, test.status)
				want(t, "attempts", r.Attempts, test.attempts)
				want(t, "duplicate", r.PossibleDuplicate, test.duplicate)
				want(t, "calls", callsOf(f, "a", "start", "find", "look", "terminate"), test.calls)
				want(t, "took", n.took, test.took)
				if test.attempts == 1 {
					want(t, "started", r.StartedAt, f.born)
				}
				if r.Error != nil {
					want(t, "class", r.Error.Class, test.class)
				}
			})
		})
	}
}

func timeout(d time.Duration) func(*Plan, *Begun) {
	return func(plan *Plan, _ *Begun) { plan.Timeout = d }
}

func forgotten(_ *Plan, b *Begun)   { b.Handle.TaskID = "run-9" }
func unanswered1(_ *Plan, b *Begun) { b.Handle.TaskID = "" }
func neverStarted(_ *Plan, b *Begun) {
	b.Handle.TaskID, b.Handle.TraceID = "", strings.Repeat("0", 32)
}

// TestPast: what has ended is not run again, and what went before counts.
func TestPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
		plan := newPlan(t, "a 1s", "b pay=5/1 1s", "c 1s", "d 1s", "e 1s")
		plan.Limit, plan.AnswersSince = 4, since
		l := newLedger()
		l.stands = map[string]Standing{
			"a": {Skip: true}, "c": {Skip: true},
			"b": {Attempts: 3, Usage: &Usage{InputTokens: 10, OutputTokens: 2, USD: 1}, AnswersSince: since.Add(time.Hour)},
			"d": {AnswersSince: since.Add(-time.Hour)},
		}
		f := newFake(t)
		n := play(t, t.Context(), resumed(plan, l), newHosted(f))
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 2}})
		want(t, "starts", f.log("start"), []string{"0s start b", "0s start d"})
		want(t, "attempts", n.results["b"].Attempts, 4)
		want(t, "trace id", n.results["b"].Handle.TraceID, traceOf(t, plan, "b", 4))
		want(t, "tokens", *n.results["b"].Usage, Usage{InputTokens: 15, OutputTokens: 3, USD: 1 + 7e-6})
		for _, o := range f.options {
			wanted := since
			if o.TraceID == n.results["b"].Handle.TraceID {
				wanted = since.Add(time.Hour)
			}
			want(t, "answers since", o.AnswersSince, wanted)
		}
	})
}

func TestNothingIsLeftToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdin := jsonl("a 1s") + "not JSON\n" + jsonl("b 1s")
		plan := stdinPlan(t, strings.NewReader(stdin))
		l := newLedger()
		first := play(t, t.Context(), plan, newHosted(newFake(t)))
		for id := range first.results {
			l.ended[id] = true
		}
		f := newFake(t)
		again := stdinPlan(t, strings.NewReader(stdin))
		n := play(t, t.Context(), resumed(again, l), newHosted(f))
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{}})
		want(t, "starts", f.log("start"), []string{})
	})
}

// TestOrphans: runs of items that are gone are terminated when it is known that
// they are, beside what is run.
func TestOrphans(t *testing.T) {
	for _, limit := range []int{0, 2} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a 100s", "b 2s")
				plan.Limit = limit
				f := newFake(t)
				h := newHosted(f)
				l := newLedger()
				for i := range 20 {
					handle, err := h.Start(t.Context(), "p", Inputs{"id": fmt.Sprint("gone", i), "do": "hang"}, StartOptions{TraceID: "t"})
					if err != nil {
						t.Fatal(err)
					}
					b := Begun{ID: fmt.Sprint("gone", i), Attempt: 1, Handle: handle, At: time.Now()}
					l.begun[b.ID] = b
					l.orphans = append(l.orphans, b)
				}
				handle, err := h.Start(t.Context(), "p", Inputs{"id": "b", "do": "5s"}, StartOptions{TraceID: "t"})
				if err != nil {
					t.Fatal(err)
				}
				l.begun["b"] = Begun{ID: "b", Attempt: 1, Handle: handle, At: time.Now()}
				l.orphans = append(l.orphans, l.begun["b"]) // it is there, and works
				n := play(t, t.Context(), resumed(plan, l), h)
				want(t, "succeeded", n.ids(Succeeded), []string{"a", "b"})
				terminated, wanted := f.log("terminate"), 20
				if limit > 0 { // there may be more items
					wanted = 0
				}
				want(t, "terminated", len(terminated), wanted)
				want(t, "still known", len(l.begun), 20-wanted)
				for _, call := range terminated {
					if !strings.HasPrefix(call, "0s ") {
						t.Errorf("late: %s", call)
					}
				}
			})
		})
	}
}

// TestOrphansAreBounded: a host that does not answer ends nothing late.
func TestOrphansAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a 1s")
		f := newFake(t)
		h := newHosted(f)
		l := newLedger()
		for i := range 1000 {
			handle, err := h.Start(t.Context(), "p", Inputs{"id": fmt.Sprint("gone", i), "do": "hang"}, StartOptions{TraceID: "t"})
			if err != nil {
				t.Fatal(err)
			}
			l.orphans = append(l.orphans, Begun{ID: fmt.Sprint("gone", i), Handle: handle, At: time.Now()})
		}
		f.slowTerms = true
		n := play(t, t.Context(), resumed(plan, l), h)
		want(t, "bounded", n.took <= orphansWithin+terminateWithin, true)
		want(t, "forgotten", len(l.lines), 2) // the start of a is written, and nothing of the others
		if n.err != nil && !errors.Is(n.err, errDiskFull) {
			t.Error(n.err)
		}
	})
}

// TestStaleRunIsTerminatedFirst: the run of an item with its old inputs, before one
// with the new inputs takes its place in the journal.
func TestStaleRunIsTerminatedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a 1s", "b 1s")
		l := newLedger()
		plan.Past, plan.Journal = l, l
		f := newFake(t)
		h := newHosted(f)
		old, err := h.Start(t.Context(), "p", Inputs{"id": "old", "do": "1h"}, StartOptions{TraceID: "t"})
		if err != nil {
			t.Fatal(err)
		}
		l.stands["a"] = Standing{Stale: &Begun{ID: "a", Digest: "other", Attempt: 1, Handle: old, At: time.Now()}}
		n := play(t, t.Context(), plan, h)
		want(t, "succeeded", n.ids(Succeeded), []string{"a", "b"})
		var calls []string // in their order
		for _, c := range f.calls {
			if c.id != "b" && c.what != "look" {
				calls = append(calls, c.what+" "+c.id)
			}
		}
		want(t, "calls", calls, []string{"start old", "terminate old", "start a"})
	})
}
