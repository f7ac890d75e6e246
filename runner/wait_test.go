package runner

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPollSchedule: every pause is a quarter longer than the one before, up to
// eight times the first.
func TestPollSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a 170s")
		plan.PollInterval = 4 * time.Second
		backend := newFake(t)
		n := play(t, t.Context(), plan, backend)
		want(t, "looks", backend.log("start", "look"), []string{
			"0s look a", "0s start a",
			"4s look a",
			"9s look a",
			"15.25s look a",
			"23.0625s look a",
			"32.828125s look a",
			"45.03515625s look a",
			"1m0.293945312s look a",
			"1m19.367431639s look a",
			"1m43.209289547s look a",
			"2m13.011611932s look a",
			"2m45.011611932s look a", // 32 s from here on
			"3m17.011611932s look a",
		})
		want(t, "duration", n.results["a"].Duration.Round(time.Millisecond), 197012*time.Millisecond)
	})
}

func TestWaiterIsNotPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := newFake(t)
		n := play(t, t.Context(), newPlan(t, "a 170s"), waiting{backend})
		want(t, "looks", backend.log("look"), []string{})
		want(t, "duration", n.results["a"].Duration, 170*time.Second)
	})
}

func TestLooksThatFail(t *testing.T) {
	tests := map[string]struct {
		status State
		looks  int
	}{
		"looks=xxxxxxxxx":             {Succeeded, 10}, // nine in a row
		"looks=xxxxxxxxxx":            {Failed, 10},
		"looks=xxxxxxxxxxxx":          {Failed, 10}, // two more are not tried
		"looks=.xxxxxxxxx.xxxxxxxxx":  {Succeeded, 21},
		"looks=.xxxxxxxxx.xxxxxxxxxx": {Failed, 21},
	}
	for do, test := range tests {
		t.Run(do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := newFake(t)
				plan := newPlan(t, "a "+do+" 100s")
				if test.looks <= 10 {
					plan = newPlan(t, "a "+do+" 1s")
				}
				n := play(t, t.Context(), plan, backend)
				r := n.results["a"]
				want(t, "status", r.Status, test.status)
				want(t, "looks", len(backend.log("look")), test.looks)
				want(t, "starts", backend.log("start"), []string{"0s start a"})
				if test.status == Failed {
					want(t, "error", r.Error, &ErrorInfo{Class: "status_failed", Message: "the status could not be had 10 times in a row; last: 503 busy"})
				}
			})
		})
	}
}
