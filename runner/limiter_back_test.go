package runner

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		l.storm(refusal("", 0))
		l.answer(63, l.start, nil)
		atOnce := map[time.Duration]int{0: 32, 999: 32, 1000: 32, 1109: 32, 1110: 33, 2750: 48, 4390: 62, 4400: 63, 4499: 63, 4500: 1000}
		for _, ms := range slices.Sorted(maps.Keys(atOnce)) {
			time.Sleep(time.Until(l.start.Add((10 + ms) * time.Millisecond)))
			l.begin(1000 - l.inFlight) // none of them is answered: calls may be slow
			want(t, fmt.Sprintf("in flight after %d ms", ms), l.inFlight, atOnce[ms])
		}
		want(t, "told", l.told, []string{"10ms 32 of 64 at once", "4.51s open"})
	})
}

func TestWayBackOfARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		l.begin(76)
		time.Sleep(time.Second) // after which their rate is known
		l.answer(13, l.start, refusal(LimitsRate, 0))
		time.Sleep(500 * time.Millisecond)
		want(t, "at once, after a pause", l.begin(1000), 4) // a tenth of a second, and one
		time.Sleep(500 * time.Millisecond)
		for _, calls := range []int{43 + 4, 54, 65} { // in a second; 38 are left, of 76
			began := 0
			for range 1000 {
				time.Sleep(time.Millisecond)
				began += l.begin(1)
			}
			if began < calls-1 || began > calls+1 {
				t.Errorf("%v: %d calls in a second, want %d", time.Since(l.start), began, calls)
			}
		}
		time.Sleep(500 * time.Millisecond)
		want(t, "admitted", l.begin(1000), 1000)
	})
}

// TestLimitStaysWhereItIs when it has grown and more is refused, but no storm.
func TestLimitStaysWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		l.storm(refusal("", 0))
		l.answer(63, l.start, nil)
		time.Sleep(2750 * time.Millisecond)
		began := time.Now()
		want(t, "half way back", l.begin(1000), 48)
		time.Sleep(10 * time.Millisecond)
		l.answer(8, began, refusal("", 0))
		time.Sleep(time.Second)
		l.begin(1000)
		want(t, "in flight after a second", l.inFlight, 48)
		time.Sleep(3500 * time.Millisecond)
		l.begin(1)
		want(t, "told", l.told, []string{"10ms 32 of 64 at once", "7.27s open"})
	})
}

// TestOldRefusalsAreForgotten when all is open: with the 10 of before, these 5
// would be a storm.
func TestOldRefusalsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		l.storm(refusal("", 0))
		l.answer(63, l.start, nil)
		time.Sleep(time.Millisecond)
		l.calls(90, nil)
		l.calls(10, refusal("", 0))
		time.Sleep(5 * time.Second)
		l.calls(5, refusal("", 0))
		want(t, "told", l.told, []string{"10ms 32 of 64 at once", "5.111s open"})
	})
}

// TestLimitsStayWhileMoreThanATenthIsRefused, and grow while fewer are.
func TestLimitsStayWhileMoreThanATenthIsRefused(t *testing.T) {
	told := map[int][]string{
		5:  {"10ms 32 of 64 at once", "1.051s 25 of 64 at once", "14.46s open"},
		20: {"10ms 32 of 64 at once", "4.51s open"},
	}
	for share, told := range told {
		t.Run(fmt.Sprintf("every %dth", share), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimited()
				l.storm(refusal("", 0))
				l.answer(63, l.start, nil)
				for n := 1; time.Since(l.start) < 16*time.Second; n++ {
					if n%share == 0 && time.Since(l.start) < 10*time.Second {
						l.calls(1, refusal("", 0))
					} else {
						l.calls(1, nil)
					}
					time.Sleep(9 * time.Millisecond)
				}
				want(t, "told", l.told, told)
			})
		})
	}
}

// TestRetryAfterHoldsAllBackOnce: the refusals of calls that were under way ask
// for the same once more, and are not heard.
func TestRetryAfterHoldsAllBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pause = 3 * time.Second
		l := newLimited()
		l.storm(refusal("", pause))
		open := time.Now().Add(pause)
		for range 62 {
			time.Sleep(40 * time.Millisecond)
			l.Answered(l.start, refusal("", pause))
			if wait := l.Admit(); wait < time.Until(open)+leastWait || wait > time.Until(open)+mostWait {
				t.Fatalf("told to wait %v, but the pause is over in %v", wait, time.Until(open))
			}
		}
		time.Sleep(time.Until(open) - time.Nanosecond)
		want(t, "admitted before", l.begin(1000), 0)
		time.Sleep(time.Nanosecond)
		want(t, "admitted after", l.begin(1000), 31) // one of the 32 is still there
		time.Sleep(3499 * time.Millisecond)          // the pause was the second in which limits stay
		want(t, "admitted before full speed", l.begin(1000), 31)
		time.Sleep(time.Millisecond)
		l.begin(1)
		want(t, "told", l.told, []string{"10ms none for 3s, then 32 of 64 at once", "6.51s open"})
	})
}

func TestThoseWhoWaitAreSpread(t *testing.T) {
	storms := map[string]func(l *limited, pause time.Duration){
		"concurrency": func(l *limited, pause time.Duration) { l.storm(refusal(LimitsConcurrency, pause)) },
		"rate":        func(l *limited, pause time.Duration) { l.storm(refusal(LimitsRate, pause)) },
		"slow calls": func(l *limited, pause time.Duration) {
			l.begin(50)
			time.Sleep(time.Minute)
			l.answer(10, l.start, refusal(LimitsUnsaid, pause))
		},
	}
	for name, storm := range storms {
		for _, pause := range []time.Duration{0, 30 * time.Second} {
			for _, passed := range []time.Duration{0, 4400 * time.Millisecond} {
				t.Run(fmt.Sprintf("%s, pause %v, %v later", name, pause, passed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						l := newLimited()
						storm(l, pause)
						open := time.Now().Add(pause + stormHold + stormGrowth)
						time.Sleep(passed)
						l.begin(1000)
						most := min(max(time.Until(l.closed), 0)+mostWait, time.Until(open)+lateWait)
						waits := map[time.Duration]int{}
						for range 128 {
							wait := l.Admit()
							if wait < leastWait || wait > most {
								t.Fatalf("told to wait %v, want %v to %v", wait, leastWait, most)
							}
							if waits[wait]++; waits[wait] > 8 {
								t.Fatalf("%d are told to wait %v", waits[wait], wait)
							}
						}
					})
				})
			}
		}
	}
}

func TestOnlyNewsIsTold(t *testing.T) {
	l := newLimited()
	for _, s := range []LimiterState{
		{AtOnce: 32, Before: 64},
		{AtOnce: 32, Before: 64},
		{AtOnce: 16, Before: 64},
		{AtOnce: 17, Before: 64},
		{AtOnce: 20, Before: 64, PerSecond: 5},
		{AtOnce: 20, Before: 64, PerSecond: 6},
		{AtOnce: 20, Before: 64, PerSecond: 6, Pause: time.Second},
		{AtOnce: 20, Before: 64, PerSecond: 6, Pause: time.Second},
		{},
		{AtOnce: 40, Before: 64},
	} {
		l.tell(s)
	}
	want(t, "told", len(l.told), 7)
}
