package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func refusal(limits Limits, retryAfter time.Duration) *APIError {
	return &APIError{StatusCode: http.StatusTooManyRequests, Limits: limits, RetryAfter: retryAfter}
}

// limited is a limiter and what it has told, each with the time since its start.
type limited struct {
	*Limiter
	start time.Time
	told  []string
}

func newLimited() *limited {
	l := &limited{Limiter: NewLimiter(), start: time.Now()}
	l.OnChange = func(s LimiterState) {
		l.told = append(l.told, fmt.Sprintf("%v %v", time.Since(l.start).Round(time.Millisecond), s))
	}
	return l
}

// begin makes as many calls as are admitted, up to n.
func (l *limited) begin(n int) (admitted int) {
	for admitted < n && l.Admit() == 0 {
		admitted++
	}
	return admitted
}

func (l *limited) answer(n int, began time.Time, err error) {
	for range n {
		l.Answered(began, err)
	}
}

// calls makes n calls, one after the other, of a millisecond each.
func (l *limited) calls(n int, err error) {
	for range n {
		l.begin(1)
		began := time.Now()
		time.Sleep(time.Millisecond)
		l.Answered(began, err)
	}
}

// storm is 13 refusals 10 ms after 76 calls have begun, which are just enough,
// with 64 in flight at the last.
func (l *limited) storm(refusal error) {
	began := time.Now()
	l.begin(76)
	time.Sleep(10 * time.Millisecond)
	l.answer(13, began, refusal)
}

func TestLimiterStateReadsWell(t *testing.T) {
	for text, state := range map[string]LimiterState{
		"open":                                 {},
		"4 of 64 at once":                      {AtOnce: 4, Before: 64},
		"3.5 calls/s":                          {PerSecond: 3.46},
		"120 calls/s":                          {PerSecond: 120},
		"4 of 64 at once, 0.5 calls/s":         {AtOnce: 4, Before: 64, PerSecond: 0.5},
		"none for 30s, then 3.5 calls/s":       {PerSecond: 3.5, Pause: 30 * time.Second},
		"none for 1.5s, then 32 of 64 at once": {AtOnce: 32, Before: 64, Pause: 1500 * time.Millisecond},
	} {
		want(t, "text", state.String(), text)
	}
}

func TestAFewRefusalsSlowNobody(t *testing.T) {
	tests := map[string]func(l *limited){
		"5 in a row": func(l *limited) { l.calls(5, refusal("", 0)) },
		"14 of 100":  func(l *limited) { l.calls(86, nil); l.calls(14, refusal("", 0)); l.calls(86, nil) },
		"so many, and again": func(l *limited) {
			for range 10 {
				l.calls(86, nil)
				l.calls(14, refusal("", 0))
			}
		},
		"every 20th of 2000": func(l *limited) {
			for range 100 {
				l.calls(1, refusal("", 0))
				l.calls(19, nil)
			}
		},
		"before slow answers": func(l *limited) {
			began := time.Now()
			l.begin(512)
			time.Sleep(time.Millisecond)
			l.answer(14, began, refusal("", 0))
			l.answer(498, began, nil)
		},
		"other errors": func(l *limited) {
			l.calls(100, &ConnectionError{Timeout: true, Err: context.DeadlineExceeded})
			l.calls(100, &APIError{StatusCode: http.StatusServiceUnavailable})
			l.calls(100, &APIError{StatusCode: http.StatusTooManyRequests, Account: true})
			l.calls(100, context.Canceled)
		},
		"between other errors": func(l *limited) { l.calls(5, refusal("", 0)); l.calls(100, errors.New("no")) },
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimited()
				test(l)
				want(t, "told", l.told, []string(nil))
				want(t, "in flight", l.inFlight, 0)
				want(t, "admitted", l.begin(1000), 1000)
			})
		})
	}
}

// TestATwentiethRefusedAtRandom: chance alone makes a storm of it in few of
// many batches.
func TestATwentiethRefusedAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storms := 0
		for seed := range uint64(50) {
			l, random := newLimited(), rand.New(rand.NewPCG(seed, 0))
			for range 2000 {
				var err error
				if random.IntN(20) == 0 {
					err = refusal("", 0)
				}
				l.calls(1, err)
			}
			storms += min(len(l.told), 1)
		}
		if storms > 2 {
			t.Errorf("%d storms in 50 batches", storms)
		}
	})
}

func TestStorm(t *testing.T) {
	tests := map[string]struct {
		storm func(l *limited)
		told  string
	}{
		"unsaid":        {func(l *limited) { l.storm(refusal(LimitsUnsaid, 0)) }, "10ms 32 of 64 at once"},
		"concurrency":   {func(l *limited) { l.storm(refusal(LimitsConcurrency, 0)) }, "10ms 32 of 64 at once"},
		"rate, unknown": {func(l *limited) { l.storm(refusal(LimitsRate, 0)) }, "10ms 32 of 64 at once"},
		"rate of a burst after a pause": {func(l *limited) {
			l.calls(1, nil)
			time.Sleep(time.Minute)
			l.storm(refusal(LimitsRate, 0))
		}, "1m0.011s 32 of 64 at once"},
		"rate of the last seconds": {func(l *limited) {
			for range 60 {
				l.calls(10, nil)
				time.Sleep(990 * time.Millisecond)
			}
			for range 15 {
				l.calls(1, refusal(LimitsRate, 0))
				time.Sleep(99 * time.Millisecond)
			}
		}, "1m1.401s 5.1 calls/s"},
		"rate of calls long ago": {func(l *limited) {
			began := time.Now()
			l.begin(20)
			time.Sleep(time.Minute)
			l.answer(20, began, refusal(LimitsRate, 0))
		}, "1m0s 7 of 14 at once"},
		"alone":          {func(l *limited) { l.calls(6, refusal("", 0)) }, "6ms 1 of 1 at once"},
		"15 of 100":      {func(l *limited) { l.calls(85, nil); l.calls(15, refusal("", 0)) }, "100ms 1 of 1 at once"},
		"wrapped":        {func(l *limited) { l.storm(fmt.Errorf("node llm: %w", refusal(LimitsRate, 0))) }, "10ms 32 of 64 at once"},
		"with a pause":   {func(l *limited) { l.storm(refusal("", 3*time.Second)) }, "10ms none for 3s, then 32 of 64 at once"},
		"a pause capped": {func(l *limited) { l.storm(refusal(LimitsRate, time.Hour)) }, "10ms none for 1m0s, then 32 of 64 at once"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimited()
				test.storm(l)
				want(t, "told", l.told, []string{test.told})
			})
		})
	}
}

// TestBurstIsOneStorm: what is refused of calls begun before does not slow down
// once more, nor does it hold up the way back.
func TestBurstIsOneStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		l.storm(refusal("", 0))
		for range 63 {
			time.Sleep(50 * time.Millisecond)
			l.Answered(l.start, refusal("", time.Hour))
		}
		time.Sleep(time.Until(l.start.Add(4510 * time.Millisecond)))
		l.begin(1)
		want(t, "told", l.told, []string{"10ms 32 of 64 at once", "4.51s open"})
	})
}

// TestStormThatGoesOn is slowed more once a second, down to one call at once
// where all are refused.
func TestStormThatGoesOn(t *testing.T) {
	tests := map[Limits][]string{
		LimitsConcurrency: {"10ms 32 of 64 at once", "1.01s 16 of 64 at once", "2.01s 8 of 64 at once", "3.01s 4 of 64 at once",
			"4.01s 2 of 64 at once", "5.01s 1 of 64 at once", "13s open"},
		LimitsRate: {"10ms 32 of 64 at once", "1.01s 32 of 64 at once, 532.7 calls/s", "2.01s 32 of 64 at once, 266.3 calls/s",
			"3.011s 32 of 64 at once, 133.2 calls/s", "4.062s 32 of 64 at once, 66.6 calls/s", "5.062s 32 of 64 at once, 33.3 calls/s",
			"6.062s 32 of 64 at once, 16.6 calls/s", "7.062s 32 of 64 at once, 8.3 calls/s", "8.144s 32 of 64 at once, 4.2 calls/s", "13s open"},
	}
	for limits, told := range tests {
		t.Run(string(limits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimited()
				l.storm(refusal(limits, 0))
				l.answer(63, l.start, nil)
				for time.Since(l.start) < 8500*time.Millisecond {
					if wait := l.Admit(); wait > 0 {
						time.Sleep(wait)
						continue
					}
					began := time.Now()
					time.Sleep(time.Millisecond)
					l.Answered(began, refusal(limits, 0))
				}
				time.Sleep(time.Until(l.start.Add(13 * time.Second)))
				l.begin(1)
				want(t, "told", l.told, told)
			})
		})
	}
}
