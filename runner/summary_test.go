package runner

import (
	"testing"
	"testing/synctest"
	"time"
)

// sumUp runs items and gives the summary.
func sumUp(t *testing.T, edit func(*Plan), items ...string) string {
	summary := ""
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, items...)
		edit(plan)
		var s Summary
		if _, err := Run(t.Context(), plan, resuming{waiting{newFake(t)}}, &memory{}, &s); err != nil {
			t.Error(err)
		}
		summary = s.String()
	})
	return summary
}

func TestSummary(t *testing.T) {
	nothing := func(*Plan) {}
	want(t, "one", sumUp(t, nothing, "a 1500ms"),
		"b: 1 item in 1.5s: 1 succeeded; p50 1.5s, p95 1.5s, max 1.5s")
	want(t, "not started", sumUp(t, func(p *Plan) { p.Deadline = time.Now() }, "a 1s"),
		"b: 0 items in 0s: 0 succeeded; stopped at the deadline")
	want(t, "of every kind", sumUp(t, func(p *Plan) { p.Concurrency, p.Timeout = 9, 20*time.Second },
		"a 1s", "b 2s", "c 2s fail", "d 2s cancel", "e hang", "f hang", "g refuse"),
		"b: 7 items in 20s: 2 succeeded, 2 failed, 1 cancelled, 2 timed out; p50 2.03s, p95 20s, max 20s")
	want(t, "deadline", sumUp(t, func(p *Plan) { p.Deadline = time.Now().Add(time.Second) },
		"a 90m", "b 3s", "c 3s"),
		"b: 2 items in 1h30m0s: 2 succeeded; p50 3.01s, p95 1h30m0s, max 1h30m0s; stopped at the deadline")
	drained := func(p *Plan) {
		drain := make(chan struct{})
		p.Drain = drain
		after(time.Second, func() { close(drain) })
	}
	want(t, "drained", sumUp(t, drained, "a 2s", "b 2s", "c 2s"),
		"b: 2 items in 2s: 2 succeeded; p50 2s, p95 2s, max 2s; interrupted")
	counted := func(p *Plan) { drained(p); p.Total = 3 }
	want(t, "of how many", sumUp(t, counted, "a 2s", "b 2s", "c 2s"),
		"b: 2 of 3 items in 2s: 2 succeeded; p50 2s, p95 2s, max 2s; interrupted")
	again := func(p *Plan) { counted(p); p.Before = resultsBefore(4, Succeeded, nil) }
	want(t, "of how many, with those that stay", sumUp(t, again, "a 2s", "b 2s", "c 2s"),
		"b: 2 of 7 items in 2s: 2 succeeded; p50 2s, p95 2s, max 2s; interrupted")
	want(t, "one terminated", sumUp(t, drained, "a park=1h", "b 2s", "c 2s"),
		"b: 2 items in 2s: 2 succeeded; p50 2s, p95 2s, max 2s; interrupted, 1 run terminated")
	want(t, "more terminated", sumUp(t, drained, "a park=1h", "b park=1h", "c 900ms park=1h", "d 1s"),
		"b: 1 item in 1s: 1 succeeded; p50 1s, p95 1s, max 1s; interrupted, 3 runs terminated")
}

// TestSummaryOfARehearsal advises nothing: there is nothing to go on with.
func TestSummaryOfARehearsal(t *testing.T) {
	rehearsed := func(p *Plan) { p.Rehearsal, p.Concurrency, p.Stop.FailureCount = true, 1, 1 }
	want(t, "rehearsal", sumUp(t, rehearsed, "a 1s fail", "b 1s"),
		"b: 1 item in 1s: 0 succeeded, 1 failed; p50 1s, p95 1s, max 1s; stopped, as 1 item has not succeeded, and run.stop.failures is 1")
}

// TestSummaryOfTheNextBatch must not count what the one before did.
func TestSummaryOfTheNextBatch(t *testing.T) {
	var s Summary
	at := time.Now()
	for _, batch := range []string{"first", "second"} {
		s.Handle(Event{Kind: Planned, Batch: batch, Time: at, Plan: &Plan{Total: -1}})
		s.Handle(Event{Kind: Finished, Result: &Result{Status: Failed}})
		s.Handle(Event{Kind: Ended, Time: at.Add(time.Minute), Outcome: &Outcome{}})
	}
	want(t, "summary", s.String(), "second: 1 item in 1m0s: 0 succeeded, 1 failed")
}

func TestRound(t *testing.T) {
	for d, wanted := range map[time.Duration]string{
		0:                                  "0s",
		123:                                "123ns",
		1234:                               "1.23µs",
		12_345_678:                         "12.3ms",
		999_600 * time.Microsecond:         "1s",
		1234 * time.Millisecond:            "1.23s",
		83*time.Second + 4e8:               "1m23.4s",
		754*time.Second + 6e8:              "12m35s",
		2*time.Hour + 5*time.Minute + 17e9: "2h5m17s",
		30*time.Hour + 500*time.Second:     "30h8m20s",
		300*time.Hour + 1e9 + 4e8:          "300h0m1s",
	} {
		want(t, d.String(), round(d).String(), wanted)
	}
}
