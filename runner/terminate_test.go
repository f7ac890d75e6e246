package runner

import (
	"cmp"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTerminateIsTriedAgain where an error may pass: else the run would go on, and
// cost money.
func TestTerminateIsTriedAgain(t *testing.T) {
	tests := map[string]struct{ calls, message string }{
		"hang":                                  {"10s terminate", "was terminated"},
		"term=503 term=503 hang":                {"10s terminate, 10.5s terminate, 11.5s terminate", "was terminated"},
		"term=429/4s hang":                      {"10s terminate, 14s terminate", "was terminated"},
		"term=429/60s hang":                     {"10s terminate", "may go on, as it could not be terminated: "},
		"term=401 hang":                         {"10s terminate", "may go on, as it could not be terminated: "},
		"term=400 10500ms":                      {"10s terminate", "may go on, as it could not be terminated: "},
		"term=503 term=400 10250ms fail":        {"10s terminate, 10.5s terminate", "has ended since"},
		strings.Repeat("term=503 ", 9) + "hang": {"10s terminate, 10.5s terminate, 11.5s terminate, 13.5s terminate, 17.5s terminate", "may go on, as it could not be terminated: "},
	}
	for do, test := range tests {
		t.Run(do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a "+do)
				plan.Timeout = 10 * time.Second
				f := newFake(t)
				n := play(t, t.Context(), plan, newHosted(f))
				r := n.results["a"]
				want(t, "status", r.Status, TimedOut)
				want(t, "calls", callsOf(f, "a", "terminate"), test.calls)
				if !strings.Contains(r.Error.Message, test.message) {
					t.Errorf("message %q, want %q", r.Error.Message, test.message)
				}
			})
		})
	}
}

// TestTimeoutOfRunsThatAreNotSeen: why the run was not seen to end is said.
func TestTimeoutOfRunsThatAreNotSeen(t *testing.T) {
	for do, unseen := range map[string]bool{"looks=" + strings.Repeat("x", 99) + " hang": true, "looks=xx hang": false} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, "a "+do)
			plan.PollInterval, plan.Timeout = 2*time.Second, 10*time.Second
			r := play(t, t.Context(), plan, newFake(t)).results["a"]
			want(t, do, []any{r.Status, strings.Contains(r.Error.Message, "10s and was terminated; its status could not be had last: ")}, []any{TimedOut, unseen})
		})
	}
}

// TestInterruptWaitsForHandles: a start that is under way when the batch is
// interrupted is waited for a little, so that its run can be terminated.
func TestInterruptWaitsForHandles(t *testing.T) {
	for do, test := range map[string]struct {
		calls       string
		interrupted int
		known       bool // whether the journal still has the start
	}{
		"start=slow/4s hang":  {"4s start, 4s terminate", 1, false},
		"start=slow/20s hang": {"", 0, true}, // after 1 s and the grace of 5
	} {
		t.Run(do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a "+do)
				l := newLedger()
				plan.Journal = l
				f := newFake(t)
				ctx, cancel := context.WithCancel(t.Context())
				after(time.Second, cancel)
				n := play(t, ctx, plan, newHosted(f))
				want(t, "calls", callsOf(f, "a", "start", "terminate"), test.calls)
				want(t, "interrupted", n.Interrupted, test.interrupted)
				want(t, "known", !l.begun["a"].Over, test.known)
				want(t, "at the most", n.took <= 6*time.Second, true)
			})
		})
	}
}

// TestRunsThatEndUnseen: what has ended by itself is a result, whoever comes to end it.
func TestRunsThatEndUnseen(t *testing.T) {
	for name, test := range map[string]struct {
		do          string
		interrupted time.Duration // 0: its time is over instead, after 30 s
		status      State         // "": no result
		terminated  bool
	}{
		"time is over":           {"12s", 0, Succeeded, false},
		"time is over, failed":   {"12s fail", 0, Failed, false},
		"time is over, going":    {"hang", 0, TimedOut, true},
		"interrupted":            {"12s", 15 * time.Second, Succeeded, false},
		"interrupted, failed":    {"12s fail", 15 * time.Second, Failed, false},
		"interrupted, going":     {"40s", 15 * time.Second, "", true},
		"interrupted, cancelled": {"12s cancel", 15 * time.Second, Cancelled, false}, // by somebody else
		"interrupted, meanwhile": {"term=503 term=503 term=503 17s", 15 * time.Second, Succeeded, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a "+test.do)
				plan.PollInterval, plan.Timeout = time.Hour, 30*time.Second
				l := newLedger()
				plan.Journal = l
				f := newFake(t)
				ctx, cancel := context.WithCancel(t.Context())
				after(cmp.Or(test.interrupted, time.Hour), cancel)
				n := play(t, ctx, plan, newHosted(f))
				state := State("")
				if r := n.results["a"]; r != nil {
					state = r.Status
				}
				want(t, "status", state, test.status)
				want(t, "terminated", strings.Contains(callsOf(f, "a", "terminate"), "terminate"), test.terminated)
				want(t, "left", n.Left, test.status == "")
			})
		})
	}
}

// TestCancelledByUs: a run that an interrupted invocation was about to terminate, or
// did, without knowing, is no end of its item.
func TestCancelledByUs(t *testing.T) {
	for _, ending := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, "a hang")
			l := newLedger()
			plan.Journal = l
			f := newFake(t)
			backend := newHosted(f)
			detach(t, plan, backend, 5*time.Second)
			b := l.begun["a"]
			b.Ending = ending
			l.begun["a"] = b
			if err := f.Terminate(t.Context(), b.Handle); err != nil {
				t.Fatal(err)
			}
			again := resumed(plan, l)
			again.Timeout = time.Minute
			n := play(t, t.Context(), again, backend)
			want(t, "starts", len(f.log("start")), map[bool]int{true: 2, false: 1}[ending])
			want(t, "status", n.results["a"].Status, map[bool]State{true: TimedOut, false: Cancelled}[ending])
			want(t, "attempts", n.results["a"].Attempts, map[bool]int{true: 2, false: 1}[ending])
			want(t, "possible duplicate", n.results["a"].PossibleDuplicate, false)
		})
	}
}

// TestRefusedAtAnInterrupt: a start that was surely not taken is none, also where the
// batch is interrupted while it is answered.
func TestRefusedAtAnInterrupt(t *testing.T) {
	for do, intended := range map[string]bool{"start=slow/3s,429": false, "start=slow/3s,unsent": false, "start=slow/3s,401": false, "start=slow/3s,lost": true, "start=slow/3s,gone504": true} {
		t.Run(do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a "+do+" hang")
				l := newLedger()
				plan.Journal = l
				ctx, cancel := context.WithCancel(t.Context())
				after(time.Second, cancel)
				n := play(t, ctx, plan, newHosted(newFake(t)))
				_, known := l.begun["a"]
				want(t, "known to be begun", known, intended)
				want(t, "results", len(n.results), 0)
			})
		})
	}
}
