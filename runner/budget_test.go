package runner

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestRate: so many calls are made in a minute, whatever they are for.
func TestRate(t *testing.T) {
	for _, rate := range []int{6, 60, 600} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, each(20, "start=gone find=ok 3s")...)
				plan.Concurrency, plan.Rate, plan.Retry.MaxElapsed = 8, rate, time.Hour
				f := newFake(t)
				n := play(t, t.Context(), plan, findable{newHosted(f)})
				want(t, "succeeded", len(n.ids(Succeeded)), 20)
				calls := f.log("start", "look", "find")
				burst := max(1, rate/60)
				if most := burst + int(n.took.Minutes()*float64(rate)) + 1; len(calls) > most {
					t.Errorf("%d calls in %v, want %d at the most", len(calls), n.took, most)
				}
				want(t, "twice", callTimes(calls, burst), true)
			})
		})
	}
}

// callTimes tells whether no more than so many calls have the same time.
func callTimes(calls []string, most int) bool {
	times := map[string]int{}
	for _, call := range calls {
		var at, what, id string
		_, _ = fmt.Sscan(call, &at, &what, &id)
		if times[at]++; times[at] > most {
			return false
		}
	}
	return true
}

// TestRateIsNoReasonToTimeOut: what a start waits for is not the run's time.
func TestRateIsNoReasonToTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, each(3, "1s")...)
		plan.Concurrency, plan.Rate, plan.Timeout = 3, 1, 10*time.Minute
		n := play(t, t.Context(), plan, newHosted(newFake(t)))
		want(t, "succeeded", len(n.ids(Succeeded)), 3)
	})
}

func TestBudgetEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(1)
		if err := b.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := b.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		want(t, "waited", time.Since(began), 10*time.Second) // not less, although it was in vain
		var served atomic.Int64
		for range 3 { // whoever has left takes no place
			go func() {
				if b.wait(t.Context()) == nil {
					served.Add(1)
				}
			}()
		}
		time.Sleep(time.Until(began.Add(3*time.Minute + time.Second)))
		synctest.Wait()
		want(t, "served", served.Load(), int64(3))
		var none *budget
		if err := none.wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
