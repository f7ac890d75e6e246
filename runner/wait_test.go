package runner

import (
	"strings"
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
					want(t, "error", r.Error, &ErrorInfo{Class: "status_failed", Message: "the status could not be had 10 times in a row; last: 503 busy; the run was terminated"})
				}
			})
		})
	}
}

// TestPace: from the second run on, nobody looks before nine tenths of the time
// that the shortest of the last ones took, but every 8 intervals, or half way.
func TestPace(t *testing.T) {
	for _, test := range []struct {
		items []string
		looks string // at the last of the items, since its start
	}{
		{[]string{"a 10s", "z 10s"}, "8s 10.132910155s"}, // a was seen to have ended at 11.258 s
		{[]string{"a 10s", "b 10s", "c 10s", "d 10s", "e 10s", "z 10s"}, "8s 9.087202351s 10.087202351s"},
		{[]string{"a 500ms", "z 500ms"}, "1s"},
		{[]string{"a 500ms", "b 10s", "z 3s"}, "1s 2s 3.25s"},
		{[]string{"a 30s", "z 30s"}, "14.96380634s 29.92761268s 31.423993314s"},
		{[]string{"a 10s fail", "z 1s"}, "8s"}, // which is the price
	} {
		t.Run(strings.Join(test.items, " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, test.items...)
				plan.Concurrency = 1
				f := newFake(t)
				n := play(t, t.Context(), plan, newHosted(f))
				started := n.results["z"].StartedAt.Sub(f.born)
				var looks []string
				for call := range strings.SplitSeq(callsOf(f, "z", "look"), ", ") {
					looks = append(looks, (duration(strings.Fields(call)[0]) - started).String())
				}
				want(t, "looks", strings.Join(looks, " "), test.looks)
			})
		})
	}
}

// TestPaceOfTheLastRuns forgets those that were short long ago.
func TestPaceOfTheLastRuns(t *testing.T) {
	var p pace
	want(t, "of nothing", p.first(time.Second), time.Duration(0))
	p.add(time.Second)
	for i := range paceRuns {
		want(t, "early", p.early(), 900*time.Millisecond)
		p.add(time.Duration(10+i) * time.Second)
	}
	want(t, "early", p.early(), 9*time.Second)
	for age, pause := range map[time.Duration]time.Duration{0: 8 * time.Second, 2 * time.Second: 7 * time.Second, 8500 * time.Millisecond: time.Second} {
		looks := pauses{interval: time.Second, pause: time.Second, tender: p.early()}
		want(t, "pause at "+age.String(), looks.after(age), pause)
	}
}

// TestLooksThatAreRefused are repeated, and leave the host alone as long as it
// asks for. They are given up when there was nothing else for retry.max_elapsed.
func TestLooksThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		do      string
		status  State
		class   string
		looks   int
		took    time.Duration
		elapsed time.Duration
	}{
		{"looks=r 1s", Succeeded, "", 2, 21 * time.Second, 0}, // with 5 % more
		{"looks=rr 1s", Succeeded, "", 3, 42 * time.Second, 0},
		{"looks=" + strings.Repeat("b", 25) + " 1s", Succeeded, "", 26, 0, time.Hour},
		{"looks=" + strings.Repeat("c", 25) + " 1s", Succeeded, "", 26, 0, time.Hour},
		{"looks=" + strings.Repeat("b", 40) + " 1s", Failed, classUnavailable, 15, 65252902979, time.Minute},
		{"looks=" + strings.Repeat("b", 40) + " 1s", Failed, classUnavailable, 10, 0, time.Second}, // but 10 looks at least
		{"looks=" + strings.Repeat("r", 9) + ". hang", TimedOut, classTimedOut, 0, 200 * time.Second, 20 * time.Second},
		{"looks=xxxxxxxxxb. 100s", Succeeded, "", 0, 0, time.Hour}, // what lasts did not last
		{"looks=xxxxxxxxxbx. 100s", Succeeded, "", 0, 0, time.Hour},
		{"looks=ggggggggg 1s", Succeeded, "", 10, 0, time.Hour},
		{"looks=gggggggggg 1s", Failed, classStatus, 10, 0, time.Hour},
	} {
		t.Run(test.do+" "+test.elapsed.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a "+test.do, "b 0s")
				plan.random, plan.Retry.MaxElapsed, plan.Timeout = always(1), test.elapsed, 200*time.Second
				f := newFake(t)
				n := play(t, t.Context(), plan, newHosted(f))
				r := n.results["a"]
				want(t, "status", r.Status, test.status)
				want(t, "starts", callsOf(f, "a", "start"), "0s start")
				if r.Error != nil {
					want(t, "class", r.Error.Class, test.class)
				}
				if test.looks > 0 {
					want(t, "looks", strings.Count(callsOf(f, "a", "look"), "look"), test.looks)
				}
				if test.took > 0 {
					want(t, "took", n.took, test.took)
				}
			})
		})
	}
}
