package runner

import (
	"encoding/json"
	"fmt"
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

// histogramForm is a histogram as JSON: only the buckets that hold something,
// each as its number and its count.
type histogramForm struct {
	Max     time.Duration `json:"max_ns"`
	Buckets [][2]int      `json:"buckets"`
}

func (h histogram) MarshalJSON() ([]byte, error) {
	form := histogramForm{Max: h.max, Buckets: [][2]int{}}
	for i, n := range h.buckets {
		if n > 0 {
			form.Buckets = append(form.Buckets, [2]int{i, n})
		}
	}
	return json.Marshal(form)
}

func (h *histogram) UnmarshalJSON(text []byte) error {
	var form histogramForm
	if err := json.Unmarshal(text, &form); err != nil {
		return err
	}
	*h = histogram{max: form.Max}
	for _, b := range form.Buckets {
		if i, n := b[0], b[1]; i < 0 || i >= len(h.buckets) || n < 0 {
			return fmt.Errorf("durations have no bucket %d of %d", i, n)
		}
		h.buckets[b[0]] += b[1]
		h.count += b[1]
	}
	return nil
}
