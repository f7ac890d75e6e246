package runner

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/spec"

	"pgregory.net/rapid"
)

// chanceOf makes a source of chance safe to be used by all runs.
func chanceOf(r *rand.Rand) func() float64 {
	var mu sync.Mutex
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return r.Float64()
	}
}

// TestFailuresAreSoonerThanAnswers: every tenth item is not understood, which is
// said at once; the others take their time.
func TestFailuresAreSoonerThanAnswers(t *testing.T) {
	for _, soon := range []string{"", "10ms "} {
		synctest.Test(t, func(t *testing.T) {
			items := each(200, "10s")
			for i := 0; i < len(items); i += 10 {
				items[i] = fmt.Sprintf("%02d %sgarbled", i, soon)
			}
			plan := newPlan(t, items...)
			plan.Concurrency = 64
			n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
			want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 180, Failed: 20}})
		})
	}
}

// TestWhoIsStartedFirstIsWaitedFor, even if others are faster to begin, and refused
// in the same moment. The first item is an answer.
func TestWhoIsStartedFirstIsWaitedFor(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			items := each(64, "1s")
			for i := 1; i < len(items); i += 3 {
				items[i] = fmt.Sprintf("%02d denied", i)
			}
			plan := newPlan(t, items...)
			plan.Concurrency = len(items)
			n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
			want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 43, Failed: 21}})
		})
	}
}

// TestFlakyNetworkIsNoClosedPort: a tenth of the calls are hung up on at once.
func TestFlakyNetworkIsNoClosedPort(t *testing.T) {
	for seed := range uint64(10) {
		for _, answer := range []string{"1s", "20s"} {
			synctest.Test(t, func(t *testing.T) {
				chance := rand.New(rand.NewPCG(1, seed))
				items := each(300, answer)
				for i := range items {
					for chance.IntN(10) == 0 {
						items[i] = strings.Replace(items[i], " ", " closed ", 1)
					}
				}
				plan := newPlan(t, items...)
				plan.Concurrency, plan.Retry.MaxAttempts, plan.random = 128, 99, chanceOf(chance)
				n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
				want(t, fmt.Sprint("outcome with seed ", seed), n.Outcome, Outcome{Counts: map[State]int{Succeeded: 300}})
			})
		}
	}
}

// TestPortThatIsClosedForAnInstant is survived if there are tries left, however
// long the answers take after it.
func TestPortThatIsClosedForAnInstant(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		chance := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "chance")))
		items := rapid.IntRange(1, 40).Draw(rt, "items")
		concurrency := rapid.IntRange(1, 20).Draw(rt, "concurrency")
		answer := rapid.SampledFrom([]string{"1ms", "1s", "1m"}).Draw(rt, "answer")
		var n night
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, each(items, "down=500ms "+answer)...)
			plan.Concurrency, plan.Retry.MaxAttempts, plan.random = concurrency, 99, chanceOf(chance)
			n = play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
		})
		if n.Stopped != NotStopped || len(n.ids(Succeeded)) != items {
			rt.Fatalf("the outcome is %+v after %v", n.Outcome, n.took)
		}
	})
}

// TestPortThatIsClosedForGood ends a batch of a few items in 3 s, whether they come
// back soon or late.
func TestPortThatIsClosedForGood(t *testing.T) {
	for percent := 0; percent <= 100; percent += 4 {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, each(3, "closed*")...)
			plan.Concurrency, plan.random = 3, always(float64(percent)/100)
			n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
			if n.Stopped != Unreachable || n.Total() > 0 || n.took > 3*time.Second {
				t.Errorf("%d %% of every pause: %+v after %v", percent, n.Outcome, n.took)
			}
		})
	}
}

// TestStartsOfADeniedBatch: however many may run at once and however long they
// take, 4 more are started at the most.
func TestStartsOfADeniedBatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		concurrency := rapid.IntRange(1, 40).Draw(rt, "concurrency")
		word := rapid.SampledFrom([]string{"deny", "quota", "unknown", "garbled", "closed*"}).Draw(rt, "word")
		attempts := rapid.SampledFrom([]int{1, 4}).Draw(rt, "attempts")
		chance := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "chance")))
		most := rapid.SampledFrom([]int64{1, 5, 10_000}).Draw(rt, "longest")
		var items []string
		for i := range concurrency + 10 {
			items = append(items, fmt.Sprintf("i%d %dms %s", i, chance.Int64N(most), word))
		}
		failure := ""
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, items...)
			plan.Concurrency, plan.random, plan.Retry.MaxAttempts = concurrency, always(0.5), attempts
			backend := newFake(t)
			n := play(t, t.Context(), plan, resuming{waiting{backend}})
			starts := len(backend.log("start"))
			if starts > concurrency+breakerProbes || n.Stopped == NotStopped || n.Total() > 0 || n.took > time.Minute {
				failure = fmt.Sprintf("%d starts in %v, the outcome is %+v", starts, n.took, n.Outcome)
			}
		})
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

// TestFewRejectedAmongThrottled: runs that wait to be tried again may yet succeed,
// so a few rejected items do not end the batch either.
func TestFewRejectedAmongThrottled(t *testing.T) {
	for _, do := range []string{"5ms refuse429=1s 1s", "15ms refuse429=1s 1s", "15ms park=1s 1s", "15ms fail503 1s", "15ms lost 1s"} {
		synctest.Test(t, func(t *testing.T) {
			items := each(200, do)
			for i := range 5 {
				items[3*i] = fmt.Sprintf("bad%d 10ms garbled", i)
			}
			plan := newPlan(t, items...)
			plan.Concurrency = 64
			n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
			want(t, do, n.Outcome, Outcome{Counts: map[State]int{Succeeded: 195, Failed: 5}})
		})
	}
}

// TestFewRejectedBeforeTheNextStarts: a few items may be rejected before the good one
// beside them has been started at all; it has its say too. One that is long in coming
// is not waited for.
func TestFewRejectedBeforeTheNextStarts(t *testing.T) {
	for _, test := range []struct {
		from    int // the items after so many come one by one
		pause   time.Duration
		outcome Outcome
	}{
		{0, 10 * time.Millisecond, Outcome{Counts: map[State]int{Succeeded: 1, Failed: 6}}},
		{5, 10 * time.Millisecond, Outcome{Counts: map[State]int{Succeeded: 1, Failed: 6}}},
		{5, time.Hour, Outcome{Counts: map[State]int{}, Stopped: AllAlike, Left: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, append(each(6, "1ms garbled"), "good 1ms")...)
			plan.Concurrency = 7
			over := make(chan struct{})
			plan.Items = func(yield func(spec.Item) bool) error {
				n := 0
				return plan.Batch.Items(nil, func(it spec.Item) bool {
					if n++; n > test.from {
						select {
						case <-time.After(test.pause):
						case <-over:
						}
					}
					return yield(it)
				})
			}
			n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
			close(over)
			n.Cause = nil
			want(t, fmt.Sprint("after ", test.from, ", ", test.pause), n.Outcome, test.outcome)
		})
	}
}

// TestServerThatCameBack: runs that have reached it at their second try are waited
// for, while others are still told that it cannot be reached.
func TestServerThatCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "00 closed closed 1s", "01 closed 10s", "02 closed 10s", "03 closed 10s", "04 closed 10s", "a closed closed 10s")
		plan.Concurrency, plan.random = 9, always(0.6)
		n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 6}})
	})
}
