package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// crowd is 64 workers at many items: one that is told to wait, or is refused, is
// put aside, and the worker takes another.
type crowd struct {
	*limited
	latency time.Duration         // of calls that are taken, more or less
	refuse  func(n int) *APIError // with so many calls in flight

	mu      sync.Mutex
	calls   int         // in flight
	peak    map[int]int // of them, by second
	taken   map[int]int // calls that have ended, by second
	refused int
}

const workers = 64

func (c *crowd) work(until time.Duration) {
	c.limited, c.peak, c.taken = newLimited(), map[int]int{}, map[int]int{}
	free := make(chan bool, workers)
	var all sync.WaitGroup
	for range 6 * workers {
		all.Go(func() {
			for time.Since(c.start) < until {
				free <- true
				pause := c.Admit()
				if pause == 0 {
					pause = c.call()
				}
				<-free
				time.Sleep(pause)
			}
		})
	}
	all.Wait()
}

// call says how long its item has to back off.
func (c *crowd) call() time.Duration {
	began := time.Now()
	c.mu.Lock()
	c.calls++
	c.peak[c.second()] = max(c.peak[c.second()], c.calls)
	refusal := c.refuse(c.calls)
	c.mu.Unlock()
	if refusal != nil {
		time.Sleep(5 * time.Millisecond)
		c.Answered(began, refusal)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls--
		c.refused++
		return time.Second/2 + rand.N(time.Second)
	}
	time.Sleep(c.latency*7/10 + rand.N(c.latency*6/10))
	c.Answered(began, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
	c.taken[c.second()]++
	return 0
}

func (c *crowd) second() int { return int(time.Since(c.start) / time.Second) }

// speed is how many calls were taken between two seconds, as a part of what so
// many at once can be.
func (c *crowd) speed(from, to, atOnce int) float64 {
	calls := 0
	for second := from; second < to; second++ {
		calls += c.taken[second]
	}
	return float64(calls) / float64(to-from) / float64(atOnce) * c.latency.Seconds()
}

// TestAFifthRefusedFor10Seconds leaves a good part of full speed, and all of it
// is back within 5 s.
func TestAFifthRefusedFor10Seconds(t *testing.T) {
	for _, limits := range []Limits{LimitsConcurrency, LimitsRate} {
		for _, latency := range []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second} {
			t.Run(fmt.Sprintf("%s, %v", limits, latency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := crowd{latency: latency}
					c.refuse = func(int) *APIError {
						if at := time.Since(c.start); at > 3*time.Second && at < 13*time.Second && rand.N(5) == 0 {
							return refusal(limits, 0)
						}
						return nil
					}
					c.work(24 * time.Second)
					t.Logf("while refused %.2f of full speed, afterwards %.2f: %v", c.speed(4, 13, workers), c.speed(18, 24, workers), c.told)
					if c.speed(4, 13, workers) < 0.2 || c.speed(18, 24, workers) < 0.9 || c.peak[17] < workers {
						t.Error("too slow")
					}
				})
			})
		}
	}
}

// TestServerOfFewPlaces: nearly all of them are in use, and few calls are
// refused; with no limiter, 12,000 would be.
func TestServerOfFewPlaces(t *testing.T) {
	for _, places := range []int{1, 4, 32} {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := crowd{latency: 300 * time.Millisecond}
				c.refuse = func(n int) *APIError {
					if n <= places {
						return nil
					}
					return refusal(LimitsUnsaid, 0)
				}
				c.work(30 * time.Second)
				t.Logf("%.2f of what it can take, %d refusals: %v", c.speed(10, 30, places), c.refused, c.told)
				if c.speed(10, 30, places) < 0.6 || c.refused > 4000 {
					t.Error("too slow, or too fast")
				}
			})
		})
	}
}

// limiterStep is a pause, then calls that begin, then one that is answered.
type limiterStep struct {
	pause  time.Duration
	begin  int
	answer int // which of those in flight, if there are so many
	err    error
}

func drawLimiterStep(t *rapid.T) limiterStep {
	refusals := rapid.SampledFrom([]error{
		refusal(LimitsUnsaid, 0), refusal(LimitsUnsaid, -time.Second), refusal(LimitsConcurrency, time.Second),
		refusal(LimitsRate, 0), refusal(LimitsRate, time.Hour),
	})
	return limiterStep{
		pause:  time.Duration(rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 20), rapid.IntRange(1, 3000)).Draw(t, "ms")) * time.Millisecond,
		begin:  rapid.IntRange(0, 40).Draw(t, "begin"),
		answer: rapid.IntRange(0, 20).Draw(t, "answer"),
		err: rapid.OneOf(
			rapid.SampledFrom([]error{nil, &APIError{StatusCode: http.StatusServiceUnavailable}, errors.New("no"), context.Canceled}),
			refusals, refusals, refusals,
		).Draw(t, "error"),
	}
}

// TestWhatIsTrueOfEveryLimiter: calls are counted, those that have to wait are
// told a time within bounds, and once nothing is refused any more they all get
// through, even if none of the calls in flight ends.
func TestWhatIsTrueOfEveryLimiter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Many are answered alike, for a storm to come of it.
		steps := rapid.SliceOfN(rapid.Custom(drawLimiterStep), 1, 60).Draw(rt, "steps")
		repeat := rapid.IntRange(1, 20).Draw(rt, "repeat")
		failure := ""
		synctest.Test(t, func(*testing.T) { failure = playLimiter(steps, repeat) })
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

func playLimiter(steps []limiterStep, repeat int) string {
	l := newLimited()
	var inFlight []time.Time
	for i, step := range steps {
		time.Sleep(step.pause)
		for range step.begin {
			paused := max(time.Until(l.closed), 0)
			wait := l.Admit()
			switch {
			case wait != 0 && (wait < leastWait || wait > paused+mostWait):
				return fmt.Sprintf("step %d: told to wait %v, paused for %v", i, wait, paused)
			case wait == 0 && paused > 0:
				return fmt.Sprintf("step %d: admitted although paused for %v", i, paused)
			case wait == 0 && l.atOnce.full > 0 && len(inFlight) >= int(l.atOnce.full):
				return fmt.Sprintf("step %d: %d are in flight already, before the storm there were %v", i, len(inFlight), l.atOnce.full)
			case wait == 0:
				inFlight = append(inFlight, time.Now())
			}
		}
		for range repeat {
			if step.answer < len(inFlight) {
				l.Answered(inFlight[step.answer], step.err)
				inFlight = append(inFlight[:step.answer], inFlight[step.answer+1:]...)
			}
		}
		if l.inFlight != len(inFlight) {
			return fmt.Sprintf("step %d: %d are in flight, counted are %d", i, len(inFlight), l.inFlight)
		}
	}
	calm := later(time.Now(), l.closed)
	for waiter := range 50 {
		for {
			wait := l.Admit()
			if wait == 0 {
				break
			}
			time.Sleep(wait)
		}
		if took := time.Since(calm); took > 5*time.Second {
			return fmt.Sprintf("number %d got through after %v: %v", waiter, took, l.told)
		}
	}
	time.Sleep(time.Until(calm.Add(stormHold + stormGrowth)))
	if l.Admit() != 0 || len(l.told) > 0 && !strings.HasSuffix(l.told[len(l.told)-1], " open") {
		return fmt.Sprintf("not open in the end: %v", l.told)
	}
	return ""
}

// BenchmarkLimiter makes calls as they are nearly always: none is held back.
func BenchmarkLimiter(b *testing.B) {
	l := NewLimiter()
	b.ReportAllocs()
	for b.Loop() {
		if l.Admit() == 0 {
			l.Answered(time.Now(), nil)
		}
	}
}

func BenchmarkLimiterInAStorm(b *testing.B) {
	l := NewLimiter()
	b.ReportAllocs()
	began := time.Now()
	for range 100 {
		l.Admit()
	}
	err := refusal("", time.Minute)
	for range 50 {
		l.Answered(began, err)
	}
	for b.Loop() {
		l.Admit()
	}
}
