package runner

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// stoppers end a batch after 15 seconds without terminating runs.
var stoppers = map[StopReason]func(*Plan){
	AtDeadline: func(p *Plan) { p.Deadline = time.Now().Add(15 * time.Second) },
	Interrupted: func(p *Plan) {
		drain := make(chan struct{})
		p.Drain = drain
		after(15*time.Second, func() { close(drain) })
	},
}

func eachStop(t *testing.T, test func(t *testing.T, reason StopReason, stop func(*Plan))) {
	for reason, stop := range stoppers {
		t.Run(string(reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, reason, stop) })
		})
	}
}

func TestStopLetsRunsEnd(t *testing.T) {
	eachStop(t, func(t *testing.T, reason StopReason, stop func(*Plan)) {
		plan := newPlan(t, "a 10s", "b 14s", "c 10s", "d 10s", "e 1s")
		stop(plan)
		backend := newFake(t)
		n := play(t, t.Context(), plan, waiting{backend})
		want(t, "calls", backend.log("start", "terminate"), []string{"0s start a", "0s start b", "10s start c", "14s start d"})
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 4}, Left: true, Stopped: reason})
		want(t, "took", n.took, 24*time.Second)
		for _, e := range n.events {
			if e.Kind == Stopped {
				want(t, "stopped at", e.Time, backend.born.Add(15*time.Second))
				want(t, "reason", e.Reason, "stopped: "+string(reason))
				return
			}
		}
		t.Error("nobody was told of the stop")
	})
}

// TestStopWhenNothingIsLeft: all items were started before, so the batch is whole.
func TestStopWhenNothingIsLeft(t *testing.T) {
	eachStop(t, func(t *testing.T, _ StopReason, stop func(*Plan)) {
		plan := newPlan(t, "a 20s", "b 30s")
		stop(plan)
		n := play(t, t.Context(), plan, waiting{newFake(t)})
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 2}})
		want(t, "events", len(n.events), 6)
	})
}

// TestStopAbandonsWhatIsParked: a is parked at the stop, b parks after it.
func TestStopAbandonsWhatIsParked(t *testing.T) {
	for _, ids := range [][]string{{"a"}, {"b"}, {"a", "b"}} {
		eachStop(t, func(t *testing.T, reason StopReason, stop func(*Plan)) {
			scripts := map[string]string{"a": "a 2s park=1h", "b": "b 20s park=1h 1s"}
			items := []string{"c 30s"}
			terminated := []string{}
			for _, id := range ids {
				items = append(items, scripts[id])
				terminated = append(terminated, "30s terminate "+id)
			}
			plan := newPlan(t, items...)
			plan.Concurrency = 3
			stop(plan)
			backend := newFake(t)
			n := play(t, t.Context(), plan, resuming{waiting{backend}})
			want(t, "terminated", backend.log("resume", "terminate"), terminated)
			want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 1}, Interrupted: len(ids), Left: true, Stopped: reason})
		})
	}
}

func TestStoppedBeforeItBegan(t *testing.T) {
	for range 50 { // a stop that comes a moment too late starts something now and then
		eachStop(t, func(t *testing.T, reason StopReason, _ func(*Plan)) {
			plan := newPlan(t, "a 1s", "b 1s")
			if reason == AtDeadline {
				plan.Deadline = time.Now().Add(-time.Second)
			} else {
				drain := make(chan struct{})
				close(drain)
				plan.Drain = drain
			}
			backend := newFake(t)
			n := play(t, t.Context(), plan, waiting{backend})
			want(t, "calls", backend.log("start"), []string{})
			want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{}, Left: true, Stopped: reason})
		})
	}
}

// TestStopDoesNotWaitForABlockedSource, of which nobody knows whether more comes.
func TestStopDoesNotWaitForABlockedSource(t *testing.T) {
	eachStop(t, func(t *testing.T, reason StopReason, stop func(*Plan)) {
		stdin, rows := io.Pipe()
		go func() { _, _ = io.WriteString(rows, jsonl("a 1s")) }()
		defer rows.Close()
		plan := stdinPlan(t, stdin)
		stop(plan)
		n := play(t, t.Context(), plan, waiting{newFake(t)})
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 1}, Left: true, Stopped: reason})
		want(t, "took", n.took, 15*time.Second)
	})
}

// lastRow gives one row, a second after it was asked.
type lastRow struct{ given bool }

func (r *lastRow) Read(p []byte) (int, error) {
	if r.given {
		return 0, io.EOF
	}
	r.given = true
	time.Sleep(time.Second)
	return copy(p, jsonl("a 1s")), nil
}

// TestStopDropsNoItemSilently: the last row arrives in the very moment of the
// stop. Either it is run, or the outcome says that something is left.
func TestStopDropsNoItemSilently(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			plan := stdinPlan(t, &lastRow{})
			plan.Deadline = time.Now().Add(time.Second)
			n := play(t, t.Context(), plan, waiting{newFake(t)})
			if n.results["a"] == nil && !n.Left {
				t.Fatal("the item was dropped, and nothing is left")
			}
		})
	}
}

func TestCancelTerminatesWhatRuns(t *testing.T) {
	for name, variant := range map[string]func(*fake) Backend{
		"waiter": func(f *fake) Backend { return resuming{waiting{f}} },
		"polled": func(f *fake) Backend { return pollResuming{f} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a 900ms", "b 1900ms park=1h", "c 10s", "d hang", "e stuck", "f 900ms", "g 900ms")
				plan.Concurrency = 4 // f takes the place of a, g that of f, and nothing is left but e
				plan.Timeout = time.Hour
				backend := newFake(t)
				ctx, cancel := context.WithCancel(t.Context())
				after(5500*time.Millisecond, cancel)
				n := play(t, ctx, plan, variant(backend))
				want(t, "terminated", backend.log("terminate"), []string{"5.5s terminate c", "5.5s terminate d", "10.5s terminate b"}) // b waits for e, which may yet be started
				want(t, "took", n.took, 10500*time.Millisecond)
				if n.err != nil {
					t.Error(n.err)
				}
				for _, id := range []string{"b", "c", "d", "e"} {
					if n.results[id] != nil {
						t.Errorf("item %s has a result, but is to be run again", id)
					}
				}
				want(t, "interrupted", n.Interrupted, 3) // of e nobody knows whether it was started
				want(t, "stopped", n.Stopped, Interrupted)
				want(t, "left", n.Left, true)
				want(t, "working", backend.working, 0)
			})
		})
	}
}

func TestCancelDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := newFake(t)
		backend.slowTerms = true
		ctx, cancel := context.WithCancel(t.Context())
		after(time.Second, cancel)
		n := play(t, ctx, newPlan(t, "a hang", "b hang", "c 1s"), waiting{backend})
		want(t, "took", n.took, time.Second+terminateWithin)
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{}, Detached: 2, Left: true, Stopped: Interrupted})
	})
}

// TestCancelAfterDrain is an impatient user: the second interrupt ends the runs.
func TestCancelAfterDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := newFake(t)
		plan := newPlan(t, "a 10s", "b hang", "c 1s")
		drain := make(chan struct{})
		plan.Drain = drain
		ctx, cancel := context.WithCancel(t.Context())
		after(5*time.Second, func() { close(drain) })
		after(15*time.Second, cancel)
		n := play(t, ctx, plan, waiting{backend})
		want(t, "calls", backend.log("start", "terminate"), []string{"0s start a", "0s start b", "15s terminate b"})
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 1}, Interrupted: 1, Left: true, Stopped: Interrupted})
	})
}
