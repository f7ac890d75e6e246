package runner

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWindowAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Bool(), 1, 250).Draw(t, "refused")
		inFlight := rapid.IntRange(0, 150).Draw(t, "in flight")
		var w window
		for _, refused := range all {
			w.add(refused)
		}
		last := all[max(0, len(all)-100):]
		refused := 0.0
		for _, r := range last {
			if r {
				refused++
			}
		}
		known := float64(min(len(last)+inFlight, 100))
		share, excess := w.judge(inFlight)
		if share != refused/known || excess != refused-known/10 {
			t.Fatalf("share %v, excess %v; %v of %v were refused", share, excess, refused, known)
		}
	})
}

// TestMeterAgainstList: the rate is that of the calls of the last 8 seconds, of
// which the current one is not over, since the first that had one.
func TestMeterAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pauses := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 50), rapid.IntRange(0, 20_000)), 1, 100).Draw(t, "milliseconds")
		start := time.Now()
		now := start
		var m meter
		seconds := map[int]int{}
		for i, ms := range pauses {
			if i > 0 {
				now = now.Add(time.Duration(ms) * time.Millisecond)
			}
			m.add(now)
			seconds[int(now.Sub(start)/time.Second)]++
		}
		now = now.Add(time.Duration(pauses[0]) * time.Millisecond)
		current := int(now.Sub(start) / time.Second)
		calls, first := 0, current
		for second := current; second > current-8; second-- {
			if seconds[second] > 0 {
				calls, first = calls+seconds[second], second
			}
		}
		over := max(now.Sub(start)-time.Duration(first)*time.Second, time.Second)
		wanted := max(float64(calls)/over.Seconds(), leastRate)
		if got, _ := m.rate(now); got != wanted {
			t.Fatalf("rate %v, want %v", got, wanted)
		}
	})
}

func TestBrake(t *testing.T) {
	// From 64: what is left after each storm with that share of refusals.
	tests := map[string]struct {
		refused []float64
		low     []float64
	}{
		"all":               {[]float64{1, 1, 1, 1, 1, 1, 1, 1}, []float64{32, 16, 8, 4, 2, 1, 1, 1}},
		"a tenth":           {[]float64{0.125, 0.125, 0.125}, []float64{32, 28, 28}},
		"half":              {[]float64{0.5, 0.5, 0.5}, []float64{32, 16, 16}},
		"all, then a tenth": {[]float64{1, 1, 1, 0.125}, []float64{32, 16, 8, 8}},
		"a tenth, then all": {[]float64{0.125, 0.125, 1, 1}, []float64{32, 28, 14, 7}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var b brake
			var low []float64
			for _, refused := range test.refused {
				b.slow(64, refused, 1)
				low = append(low, b.low)
			}
			want(t, "low", low, test.low)
			want(t, "half way back", b.limit(0.5), (b.low+64)/2)
			want(t, "all the way", b.share(1), 1.0)
		})
	}
}
