package llm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"nightshift/runner"
)

// callers ask a budget for a call, n at once, and come back when they are told to.
// It gives when each call was made, from now on, and how long those sent away at
// first were told to wait.
func callers(b *budget, n int) (made, told []time.Duration) {
	began := time.Now()
	var mu sync.Mutex
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			for try := 0; ; try++ {
				err := b.take(context.Background(), func() error {
					mu.Lock()
					defer mu.Unlock()
					made = append(made, time.Since(began))
					return nil
				})
				held, ok := errors.AsType[*runner.HeldBack](err)
				if !ok {
					return
				}
				if try == 0 {
					mu.Lock()
					told = append(told, held.For)
					mu.Unlock()
				}
				time.Sleep(held.For)
			}
		})
	}
	group.Wait()
	slices.Sort(made)
	slices.Sort(told)
	return made, told
}

func TestBudget(t *testing.T) {
	for _, test := range []struct {
		perMinute, burst int
		every            time.Duration
	}{{1, 1, time.Minute}, {60, 1, time.Second}, {90, 1, 2 * time.Second / 3}, {250, 4, 240 * time.Millisecond}, {600, 10, 100 * time.Millisecond}} {
		t.Run(fmt.Sprint(test.perMinute), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 40
				made, _ := callers(newBudget(test.perMinute), n)
				for i := range n {
					due := time.Duration(max(0, i-test.burst+1)) * test.every
					if late := (made[i] - due).Abs(); late > time.Microsecond && test.perMinute > 1 { // where there is one a minute, they come up to 2 s late
						t.Errorf("call %d was made at %v, want %v", i, made[i], due)
					}
					if i > 0 && test.perMinute == 1 && (made[i]-made[i-1] < time.Minute || made[i]-made[i-1] > 62*time.Second) {
						t.Errorf("call %d was made %v after the one before", i, made[i]-made[i-1])
					}
				}
			})
		})
	}
}

// Who would wait for more than 10 s is sent away; of those, no two come back at once.
func TestBudgetSendsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, told := callers(newBudget(60), 61)
		for i := range made {
			want(t, "call", made[i], time.Duration(i)*time.Second)
		}
		want(t, "sent away", len(told), 50) // one goes at once, and ten wait
		for i := range told {
			want(t, "told", told[i], time.Duration(11+i)*time.Second)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, told := callers(newBudget(60), 500)
		at := map[time.Duration]int{}
		for _, wait := range told {
			at[wait]++
			if wait < 11*time.Second || wait > 71*time.Second || at[wait] > 9 {
				t.Fatalf("%d are told to come back in %v", at[wait], wait)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(60)
		began := time.Now()
		_, _ = callers(b, 11)
		want(t, "in line", time.Since(began), 10*time.Second)
		time.Sleep(time.Minute) // what was not used in a minute is no more than what is used in a second
		made, _ := callers(b, 3)
		want(t, "after a pause", made, []time.Duration{0, time.Second, 2 * time.Second})
	})
}

// A turn that comes to no call is not lost, and delays nobody.
func TestBudgetIsUsedByCallsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(60)
		refused := errors.New("the limiter says no")
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		var made []string
		var group sync.WaitGroup
		stand := func(name string, ctx context.Context, says, wanted error) {
			group.Go(func() {
				err := b.take(ctx, func() error {
					made = append(made, fmt.Sprintf("%v %s", time.Since(began), name)) // the first in line alone
					return says
				})
				if !errors.Is(err, wanted) {
					t.Errorf("%s: error %v, want %v", name, err, wanted)
				}
			})
			synctest.Wait()
		}
		stand("a", t.Context(), nil, nil)
		stand("b", t.Context(), refused, refused)
		stand("c", t.Context(), refused, refused)
		stand("d", t.Context(), nil, nil)
		stand("e", ctx, nil, context.DeadlineExceeded) // when it is the first
		stand("f", ctx, nil, context.DeadlineExceeded) // in line
		stand("g", t.Context(), nil, nil)
		group.Go(func() {
			defer func() { _ = recover() }()
			_ = b.take(t.Context(), func() error { panic("a bug") })
		})
		synctest.Wait()
		stand("h", t.Context(), nil, nil)
		group.Wait()
		want(t, "calls", made, []string{"0s a", "1s b", "1s c", "1s d", "2s g", "3s h"})
		want(t, "line", b.line, 0)
	})
}

// Whatever calls come when: in no time are there more of them than the rate and
// one second's worth, and nobody waits in place for more than 10 s.
func TestBudgetProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		perMinute := rapid.SampledFrom([]int{1, 7, 60, 100, 3000}).Draw(rt, "perMinute")
		starts := rapid.SliceOfN(rapid.IntRange(0, 30_000), 1, 60).Draw(rt, "starts") // ms
		fails := rapid.SliceOfN(rapid.IntRange(0, 3), len(starts), len(starts)).Draw(rt, "fails")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			b := newBudget(perMinute)
			var mu sync.Mutex
			var made []time.Time
			var group sync.WaitGroup
			for i, start := range starts {
				group.Go(func() {
					time.Sleep(time.Duration(start) * time.Millisecond)
					asked := time.Now()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if fails[i] == 1 {
						time.AfterFunc(time.Second, cancel)
					}
					_ = b.take(ctx, func() error {
						mu.Lock()
						defer mu.Unlock()
						if time.Since(asked) > patience {
							problem = fmt.Sprintf("a call waited for %v", time.Since(asked))
						}
						if fails[i] == 2 {
							return errors.New("no")
						}
						made = append(made, time.Now())
						return nil
					})
				})
			}
			group.Wait()
			for i := range made {
				for j := range i {
					most := float64(max(1, perMinute/60)) + made[i].Sub(made[j]).Minutes()*float64(perMinute) + 1e-6
					if float64(i-j+1) > most {
						problem = fmt.Sprintf("%d calls from %v to %v", i-j+1, made[j], made[i])
					}
				}
			}
			if b.line != 0 {
				problem = fmt.Sprintf("%d are left in line", b.line)
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// The budget is that of all models together; kept answers are free.
func TestAskWithinABudget(t *testing.T) {
	t.Parallel()
	s := provide(t, says("ok"))
	c := newClient(t, Options{RequestsPerMinute: 1, Cache: tempCache(t)})
	r := s.at("openai")
	for range 5 {
		if _, err := c.Ask(t.Context(), r, Call{}); err != nil {
			t.Fatal(err)
		}
	}
	other := s.at("anthropic")
	other.Model = "n"
	_, err := c.Ask(t.Context(), other, Call{})
	held, ok := errors.AsType[*runner.HeldBack](err)
	if !ok || held.For < 50*time.Second || held.For > time.Minute || held.Taken.Before(time.Now()) {
		t.Fatalf("error %v, %+v", err, held)
	}
	want(t, "requests", len(s.requests()), 1)
	wantError(t, "in words", &overBudget{1500 * time.Millisecond, time.Time{}, 7}, "held back for 1.5s, as run.rate allows 7 calls a minute")
}
