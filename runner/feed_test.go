package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestConcurrencyIsReachedAndNeverExceeded(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		synctest.Test(t, func(t *testing.T) {
			var items []string
			for i := range 50 {
				items = append(items, fmt.Sprintf("%d %ds", i, 1+i%5))
			}
			plan := newPlan(t, items...)
			plan.Concurrency = limit
			backend := newFake(t)
			n := play(t, t.Context(), plan, waiting{backend})
			want(t, "most in flight", backend.most, limit)
			want(t, "succeeded", n.Counts, map[State]int{Succeeded: 50})
			if work := 150 * time.Second; n.took < work/time.Duration(limit) || limit == 1 && n.took != work {
				t.Errorf("%v of work by %d took %v", work, limit, n.took)
			}
		})
	}
}

func TestSuspendedRunFreesItsSlot(t *testing.T) {
	variants := map[string]struct {
		backend  func(*fake) Backend
		calls    []string
		duration time.Duration
	}{
		"waiter": {
			func(f *fake) Backend { return resuming{waiting{f}} },
			[]string{"0s start a", "1s start b", "3s start c", "11s resume a", "15s resume a"},
			16 * time.Second,
		},
		"polled": { // looks 700 ms, 1.575 s, 2.66875 s after the start
			func(f *fake) Backend { return pollResuming{f} },
			[]string{"0s start a", "1.575s start b", "4.24375s start c", "11s resume a", "15s resume a"},
			16*time.Second + 575*time.Millisecond,
		},
	}
	for name, variant := range variants {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a 1s park=10s 1s park=3s 1s", "b 2s", "c 4s")
				plan.Concurrency, plan.PollInterval = 1, 700*time.Millisecond
				backend := newFake(t)
				n := play(t, t.Context(), plan, variant.backend(backend))
				want(t, "calls", backend.log("start", "resume"), variant.calls)
				want(t, "succeeded", n.ids(Succeeded), []string{"a", "b", "c"})
				// Two suspensions are one attempt, which lasts from its start to its end.
				a := n.results["a"]
				want(t, "attempts", a.Attempts, 1)
				want(t, "duration", a.Duration, variant.duration)
				var parked []Event
				for _, e := range n.events {
					if e.Kind == Parked {
						parked = append(parked, Event{Until: e.Until, Reason: e.Reason, Held: e.Held, ID: e.ID, Attempt: e.Attempt})
					}
				}
				want(t, "parked", parked, []Event{
					{ID: "a", Attempt: 1, Until: backend.born.Add(11 * time.Second), Held: true, Reason: "node llm (llm): held back for 10s, as too many calls were refused"},
					{ID: "a", Attempt: 1, Until: backend.born.Add(15 * time.Second), Held: true, Reason: "node llm (llm): held back for 3s, as too many calls were refused"},
				})
			})
		})
	}
}

func TestParkedItemsComeBeforeNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a park=2s 1s", "b park=1s 1s", "c 5s", "d 1s", "e 1s")
		plan.Concurrency = 1
		backend := newFake(t)
		play(t, t.Context(), plan, resuming{waiting{backend}})
		want(t, "calls", backend.log("start", "resume"), []string{
			"0s start a", "0s start b", "0s start c",
			"5s resume b", "6s resume a", // the one first that was due first
			"7s start d", "8s start e",
		})
	})
}

// rowByRow gives one row of an endless source with every Read, and counts them.
type rowByRow struct {
	do   string
	read atomic.Int64
}

func (r *rowByRow) Read(p []byte) (int, error) {
	return copy(p, jsonl(fmt.Sprintf("%d %s", r.read.Add(1), r.do))), nil
}

func TestReadingStopsWhenTooManyAreParked(t *testing.T) {
	for concurrency, most := range map[int]int{1: 1000, 3: 1000, 300: 1200} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rows := &rowByRow{do: "park=1h 1s"}
				plan := stdinPlan(t, rows)
				plan.Concurrency = concurrency
				backend := newFake(t)
				ctx, cancel := context.WithCancel(t.Context())
				after(30*time.Minute, func() {
					want(t, "started", len(backend.log("start")), most)
					// As many are read ahead as the channel holds, and one is in the reader's hand.
					want(t, "rows read", int(rows.read.Load()), most+64+1)
				})
				after(time.Hour+30*time.Minute, func() {
					want(t, "resumed", len(backend.log("resume")) >= most, true)
					want(t, "rows read since", int(rows.read.Load()) > most+64+1, true)
					cancel()
				})
				n := play(t, ctx, plan, resuming{waiting{backend}})
				want(t, "stopped", n.Stopped, Interrupted)
			})
		})
	}
}

func TestBlockedSourceDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdin, rows := io.Pipe()
		go func() { _, _ = io.WriteString(rows, jsonl("a park=10s 1s")+jsonl("b 5s")) }()
		after(time.Minute, func() { _ = rows.Close() })
		backend := newFake(t)
		n := play(t, t.Context(), stdinPlan(t, stdin), resuming{waiting{backend}})
		want(t, "calls", backend.log("start", "resume"), []string{"0s start a", "0s start b", "10s resume a"})
		want(t, "end of a", n.results["a"].FinishedAt, backend.born.Add(11*time.Second))
		want(t, "took", n.took, time.Minute)
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a 1s", "b 1s", "c 1s", "d 1s")
		plan.Limit = 3
		n := play(t, t.Context(), plan, waiting{newFake(t)})
		want(t, "succeeded", n.ids(Succeeded), []string{"a", "b", "c"})
		want(t, "left", n.Left, false)
	})
}

// TestLimitDoesNotWaitForMore: nothing follows the two rows, but the other side
// keeps the pipe open.
func TestLimitDoesNotWaitForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdin, rows := io.Pipe()
		go func() { _, _ = io.WriteString(rows, jsonl("a 1s")+jsonl("b 1s")) }()
		after(time.Minute, func() { _ = rows.Close() })
		plan := stdinPlan(t, stdin)
		plan.Limit = 2
		n := play(t, t.Context(), plan, waiting{newFake(t)})
		want(t, "succeeded", n.ids(Succeeded), []string{"a", "b"})
		want(t, "took", n.took, time.Second)
	})
}

func TestItemsThatCannotBeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdin := jsonl("a 1s") + "not JSON\n" + jsonl("a 2s") + jsonl("b 1s")
		backend := newFake(t)
		n := play(t, t.Context(), stdinPlan(t, strings.NewReader(stdin)), waiting{backend})
		want(t, "calls", backend.log("start", "terminate"), []string{"0s start a", "0s start b"})
		want(t, "counts", n.Counts, map[State]int{Succeeded: 2, Failed: 2})
		want(t, "left", n.Left, false)
		classes := map[int]string{}
		for _, r := range n.events {
			if r.Kind == Finished && r.Result.Error != nil {
				classes[r.Result.Index] = r.Result.Error.Class
				want(t, "handle", r.Result.Handle, Handle{})
				want(t, "attempts", r.Result.Attempts, 0)
				want(t, "started at", r.Result.StartedAt, time.Time{})
			}
		}
		want(t, "classes", classes, map[int]string{1: "invalid_input", 2: "duplicate_key"})
	})
}

// brokenOff is a source that ends with an error.
type brokenOff struct{ io.Reader }

var errBroken = errors.New("the wire is cut")

func (b brokenOff) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errBroken
	}
	return n, err
}

func TestSourceErrorEndsTheBatchAfterItsItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := stdinPlan(t, brokenOff{strings.NewReader(jsonl("a 5s") + jsonl("b park=9s 1s"))})
		n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
		want(t, "succeeded", n.ids(Succeeded), []string{"a", "b"})
		want(t, "left", n.Left, true)
		want(t, "took", n.took, 10*time.Second)
		if _, ok := errors.AsType[*SourceError](n.err); !ok || !strings.Contains(n.err.Error(), errBroken.Error()) {
			t.Errorf("error %v", n.err)
		}
	})
}

// TestSourceErrorIsNotLostInAStop: the error comes first, the stop while the
// last run goes on.
func TestSourceErrorIsNotLostInAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := stdinPlan(t, brokenOff{strings.NewReader(jsonl("a 5s"))})
		plan.Deadline = time.Now().Add(2 * time.Second)
		n := play(t, t.Context(), plan, waiting{newFake(t)})
		want(t, "succeeded", n.ids(Succeeded), []string{"a"})
		want(t, "left", n.Left, true)
		if _, ok := errors.AsType[*SourceError](n.err); !ok {
			t.Errorf("error %v", n.err)
		}
	})
}
