package runner

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most 1/32 wider than their
// lower end, so that percentiles of any number of runs take the same memory.
type histogram struct {
	buckets [2048]int
	count   int
	max     time.Duration
}

// A duration of n microseconds with more than 5 significant bits falls into the
// bucket of its exponent and its 5 bits after the leading one.
func bucketOf(d time.Duration) int {
	n := uint64(max(d.Microseconds(), 0))
	if n < 32 {
		return int(n)
	}
	exponent := bits.Len64(n) - 6
	return exponent*32 + int(n>>exponent)
}

// upperEnd is the longest duration of a bucket.
func upperEnd(bucket int) time.Duration {
	if bucket < 32 {
		return time.Duration(bucket) * time.Microsecond
	}
	exponent := bucket/32 - 1
	mantissa := uint64(bucket%32 + 32)
	return time.Duration((mantissa+1)<<exponent-1) * time.Microsecond
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucketOf(d)]++
	h.count++
	h.max = max(h.max, d)
}

// quantile gives a duration that the share q of all is not longer than.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q*float64(h.count) - 1e-9)) // 0.07*100 is a little more than 7
	for i, n := range h.buckets {
		if rank -= n; rank <= 0 && n > 0 {
			return min(upperEnd(i), h.max)
		}
	}
	return h.max
}
