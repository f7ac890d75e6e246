package runner

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHowARunEnds(t *testing.T) {
	// The error as class, node and a piece of the message.
	tests := map[string]struct {
		status   State
		class    string
		node     string
		message  string
		duration time.Duration
		started  bool
	}{
		"3s":             {Succeeded, "", "", "", 3 * time.Second, true},
		"3s fail":        {Failed, "run_failed", "", "it failed", 3 * time.Second, true},
		"3s node":        {Failed, "run_failed", "llm", "run: node llm (llm): no answer", 3 * time.Second, true},
		"3s cancel":      {Cancelled, "cancelled", "", "the run was cancelled", 3 * time.Second, true},
		"refuse":         {Failed, "start_failed", "", "no more runs today", 0, false},
		"misfit":         {Failed, "invalid_input", "", "start: that does not fit", 0, false},
		"park=2s":        {Succeeded, "", "", "", 2 * time.Second, true},
		"park=2s 1s":     {Succeeded, "", "", "", 3 * time.Second, true},
		"park=2s fail":   {Failed, "run_failed", "", "it failed", 2 * time.Second, true},
		"park=0s node":   {Failed, "run_failed", "llm", "no answer", 0, true},
		"1s park=-1s":    {Succeeded, "", "", "", time.Second, true},
		"park=2s refuse": {Failed, "status_failed", "", "the run is forgotten", 2 * time.Second, true},
	}
	for do, test := range tests {
		t.Run(do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := newFake(t)
				n := play(t, t.Context(), newPlan(t, "a "+do, "b 1m"), resuming{waiting{backend}})
				r := n.results["a"]
				want(t, "status", r.Status, test.status)
				want(t, "duration", r.Duration, test.duration)
				want(t, "started", r.Handle != Handle{}, test.started)
				want(t, "attempts", r.Attempts, 1)
				want(t, "starts", backend.log("start"), []string{"0s start a", "0s start b"})
				want(t, "others", n.results["b"].Status, Succeeded)
				if (r.Status == Succeeded) != (r.Outputs != nil) {
					t.Errorf("outputs %v", r.Outputs)
				}
				if r.Error == nil {
					r.Error = &ErrorInfo{}
				}
				want(t, "class", r.Error.Class, test.class)
				want(t, "node", r.Error.Node, test.node)
				if !strings.Contains(r.Error.Message, test.message) {
					t.Errorf("message %q", r.Error.Message)
				}
			})
		})
	}
}

// TestTimeout counts the time at work only: e has worked for 2 s when it is parked
// or, where that is seen by polling, for 2.25 s.
func TestTimeout(t *testing.T) {
	variants := map[string]struct {
		backend func(*fake) Backend
		e       string
	}{
		"waiter": {func(f *fake) Backend { return resuming{waiting{f}} }, "7.5s"},
		"polled": {func(f *fake) Backend { return pollResuming{f} }, "7.25s"},
	}
	for name, variant := range variants {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a hang", "b 1s", "c 7s", "d 3s park=1h 2s", "e 2s park=1s hang")
				plan.Timeout = 6*time.Second + 500*time.Millisecond
				plan.Concurrency = 5
				backend := newFake(t)
				n := play(t, t.Context(), plan, variant.backend(backend))
				want(t, "terminated", backend.log("terminate"), []string{"6.5s terminate a", "6.5s terminate c", variant.e + " terminate e"})
				want(t, "timed out", n.ids(TimedOut), []string{"a", "c", "e"})
				want(t, "succeeded", n.ids(Succeeded), []string{"b", "d"})
				a := n.results["a"]
				want(t, "duration", a.Duration, plan.Timeout)
				want(t, "error", a.Error, &ErrorInfo{Class: "timed_out", Message: "the run took longer than its timeout of 6.5s and was terminated"})
			})
		})
	}
}

// TestTimeoutOfTroubledRuns: what a run waits for is bounded by the retry, and what
// it works for, in all of its parts together, by the timeout.
func TestTimeoutOfTroubledRuns(t *testing.T) {
	for do, test := range map[string]struct {
		status State
		took   time.Duration
	}{
		"4s refuse429=10s 4s":                       {TimedOut, 15 * time.Second},
		"4s refuse429=10s 900ms":                    {Succeeded, 14900 * time.Millisecond},
		"4s refuse429=5m 500ms lost 600ms":          {TimedOut, 305 * time.Second},
		"2s park=1h 2s park=1h 2s":                  {TimedOut, 2*time.Hour + 5*time.Second},
		"1s refuse429=5m 1s refuse429=5m 2900ms":    {Succeeded, 604900 * time.Millisecond},
		"1s refuse429=1m refuse429=1m refuse429 3s": {Succeeded, 124 * time.Second},
	} {
		t.Run(do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a "+do)
				plan.Timeout, plan.random = 5*time.Second, always(0)
				n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
				want(t, "status", n.results["a"].Status, test.status)
				want(t, "took", n.took, test.took)
			})
		})
	}
}

// TestClockOfATaskThatIsParked is for the race detector: who parks a task may not
// touch it any more, as another may have taken it.
func TestClockOfATaskThatIsParked(t *testing.T) {
	plan := newPlan(t, each(40, strings.Repeat("refuse429 ", 20))...)
	plan.Concurrency, plan.Timeout, plan.random = 8, time.Minute, always(0)
	n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
	want(t, "counts", n.Counts, map[State]int{Succeeded: 40})
}

// TestTimeoutDoesNotWaitForEver: the backend does not answer when the run is to
// be terminated.
func TestTimeoutDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a hang")
		plan.Timeout = time.Second
		backend := newFake(t)
		backend.slowTerms = true
		n := play(t, t.Context(), plan, waiting{backend})
		want(t, "timed out", n.ids(TimedOut), []string{"a"})
		want(t, "took", n.took, plan.Timeout+terminateWithin)
	})
}

// TestSuspendedByABackendThatCannotResume must not be waited for: nobody would
// go on with the run.
func TestSuspendedByABackendThatCannotResume(t *testing.T) {
	variants := map[string]struct {
		backend func(*fake) Backend
		seen    string
	}{
		"waiter": {func(f *fake) Backend { return waiting{f} }, "500ms"},
		"polled": {func(f *fake) Backend { return f }, "1s"},
	}
	for name, variant := range variants {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := newFake(t)
				n := play(t, t.Context(), newPlan(t, "a 500ms park=1h"), variant.backend(backend))
				want(t, "calls", backend.log("start", "terminate"), []string{"0s start a", variant.seen + " terminate a"})
				want(t, "error", n.results["a"].Error, &ErrorInfo{Class: "run_failed", Message: errSuspended.Error()})
			})
		})
	}
}
