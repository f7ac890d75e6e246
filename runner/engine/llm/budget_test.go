package llm

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// Calls go out at the pace that was set last, those in line as well; what was not used at
// one pace is not used at the next.
func TestBudgetIsSet(t *testing.T) {
	type change struct {
		at        time.Duration
		perMinute float64
	}
	const s, ms = time.Second, time.Millisecond
	for name, test := range map[string]struct {
		perMinute int
		callers   int
		changes   []change
		made      []time.Duration
	}{
		"grows":               {60, 6, []change{{2500 * ms, 600}}, []time.Duration{0, s, 2 * s, 2550 * ms, 2650 * ms, 2750 * ms}},
		"grows after a pause": {60, 0, []change{{time.Minute, 600}}, nil},
		"shrinks":             {60, 4, []change{{500 * ms, 30}}, []time.Duration{0, 1500 * ms, 3500 * ms, 5500 * ms}},
		"a fraction":          {60, 3, []change{{0, 7.5}}, []time.Duration{0, 8 * s, 16 * s}}, // the third is sent away, and comes back
		"there and back":      {60, 4, []change{{100 * ms, 6000}, {110 * ms, 60}}, []time.Duration{0, 109 * ms, 1010 * ms, 2010 * ms}},
		"stops, and goes on":  {60, 4, []change{{1500 * ms, 0}, {4 * s, 60}}, []time.Duration{0, s, 11500 * ms, 13375 * ms}},
		"the same":            {60, 3, []change{{500 * ms, 60}, {700 * ms, 60}}, []time.Duration{0, s, 2 * s}},
		"nonsense":            {60, 2, []change{{500 * ms, math.NaN()}, {600 * ms, -1}, {700 * ms, 60}}, []time.Duration{0, 10500 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBudget(test.perMinute)
				go func() {
					before := time.Duration(0)
					for _, c := range test.changes {
						time.Sleep(c.at - before)
						before = c.at
						b.set(c.perMinute)
					}
				}()
				if test.callers > 0 {
					made, _ := callers(b, test.callers)
					want(t, "calls", rounded(made), test.made)
					return
				}
				time.Sleep(time.Minute + time.Millisecond)
				made, _ := callers(b, 4) // one turn is left over, at either pace
				want(t, "calls", rounded(made), []time.Duration{0, 99 * ms, 199 * ms, 299 * ms})
			})
		})
	}
}

func rounded(all []time.Duration) []time.Duration {
	for i := range all {
		all[i] = all[i].Round(time.Millisecond)
	}
	return all
}

// At 0 no call is made, whoever had a turn left over; nobody is told to wait for long.
func TestBudgetOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(600)
		b.set(0)
		for range 20 {
			err := b.take(t.Context(), func() error { t.Error("a call was made"); return nil })
			held, ok := errors.AsType[*runner.HeldBack](err)
			if !ok || held.For < 10*time.Second || held.For > 70*time.Second {
				t.Errorf("%v, %+v", err, held)
			}
		}
		b.set(1e-9)
		for range 2 {
			_ = b.take(t.Context(), func() error { return nil })
			held, _ := errors.AsType[*runner.HeldBack](b.take(t.Context(), func() error { return nil }))
			if held == nil || held.For < longest || held.For > longest+spread {
				t.Errorf("%+v", held)
			}
		}
		var none *budget
		none.set(0)
		want(t, "no budget", none.take(t.Context(), func() error { return nil }), nil)
	})
}

// Whatever calls come when: in no time are there more of them than the rate and
// one second's worth, and nobody waits in place for more than 10 s.
func TestBudgetProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		perMinute := rapid.SampledFrom([]int{1, 7, 60, 100, 3000}).Draw(rt, "perMinute")
		paces := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0.5, 1, 60, 100, 3000}), 0, 5).Draw(rt, "paces") // a new one every 3 s
		starts := rapid.SliceOfN(rapid.IntRange(0, 30_000), 1, 60).Draw(rt, "starts")                           // ms
		fails := rapid.SliceOfN(rapid.IntRange(0, 3), len(starts), len(starts)).Draw(rt, "fails")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			b := newBudget(perMinute)
			var mu sync.Mutex
			var made []time.Time
			var group sync.WaitGroup
			began := time.Now()
			group.Go(func() {
				for _, pace := range paces {
					time.Sleep(3 * time.Second)
					b.set(pace)
				}
			})
			// allowed is how many calls may have been made until a time, but for the burst.
			allowed := func(at time.Time) (calls float64) {
				from, pace := began, float64(perMinute)
				for _, next := range paces {
					to := from.Add(3 * time.Second)
					if to.After(at) {
						break
					}
					calls += pace * to.Sub(from).Minutes()
					from, pace = to, next
				}
				return calls + pace*at.Sub(from).Minutes()
			}
			fastest := max(float64(perMinute), slices.Max(append([]float64{0}, paces...)))
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
						if time.Since(asked) > patience+time.Millisecond {
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
					most := max(1, fastest/60) + allowed(made[i]) - allowed(made[j]) + 1e-6
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
	wantError(t, "a share, in words", &overBudget{1500 * time.Millisecond, time.Time{}, 250. / 3}, "held back for 1.5s, as run.rate allows 83.33 calls a minute")
	c.SetRequestsPerMinute(1e6)
	if _, err := c.Ask(t.Context(), other, Call{}); err != nil {
		t.Error(err)
	}
	unlimited := newClient(t, Options{})
	unlimited.SetRequestsPerMinute(0)
	if _, err := unlimited.Ask(t.Context(), r, Call{}); err != nil {
		t.Error(err)
	}
}
