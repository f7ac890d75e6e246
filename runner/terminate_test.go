package runner

import (
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
		"term=503 term=400 10250ms":             {"10s terminate, 10.5s terminate", "has ended since"},
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
