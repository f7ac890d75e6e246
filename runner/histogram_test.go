package runner

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestQuantileAgainstSorted: a quantile is the duration that this share of all
// is not longer than, up to the width of a bucket (1/32) and microseconds.
func TestQuantileAgainstSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		magnitude := rapid.Int64Range(1, int64(10*365*24*time.Hour)).Draw(t, "magnitude")
		all := rapid.SliceOfN(rapid.Int64Range(0, magnitude), 1, 200).Draw(t, "durations")
		percent := rapid.IntRange(1, 100).Draw(t, "percent")
		var h histogram
		for _, d := range all {
			h.add(time.Duration(d))
		}
		slices.Sort(all)
		rank := (len(all)*percent + 99) / 100 // rounded up: one less would be too small a share
		exact := time.Duration(all[rank-1])
		got := h.quantile(float64(percent) / 100)
		if got < exact-time.Microsecond || got > exact+exact/32+time.Microsecond {
			t.Fatalf("p%d is %v, want %v", percent, got, exact)
		}
		if longest := time.Duration(all[len(all)-1]); h.max != longest || got > longest {
			t.Fatalf("p%d is %v, the maximum %v; want %v", percent, got, h.max, longest)
		}
	})
}

func TestQuantileOfFew(t *testing.T) {
	var h histogram
	want(t, "of nothing", h.quantile(0.5), 0*time.Second)
	for i := range 31 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	want(t, "p50", h.quantile(0.5), 16*time.Microsecond)
	want(t, "p95", h.quantile(0.95), 30*time.Microsecond) // 29 are 93.5 % of them
	want(t, "p100", h.quantile(1), 31*time.Microsecond)
}

// TestBucketsAreWithoutGaps: every duration lies in its bucket, and the next
// microsecond after a bucket's end in the next one.
func TestBucketsAreWithoutGaps(t *testing.T) {
	for bucket := range 1280 {
		end := upperEnd(bucket)
		if bucketOf(end) != bucket || bucketOf(end+time.Microsecond) != bucket+1 {
			t.Fatalf("bucket %d ends at %v, which lies in %d, and what follows in %d", bucket, end, bucketOf(end), bucketOf(end+time.Microsecond))
		}
	}
	var h histogram
	for _, d := range []time.Duration{-time.Hour, math.MinInt64, math.MaxInt64} {
		h.add(d) // neither a clock that was set back nor an endless run may crash the batch
	}
	want(t, "count", h.count, 3)
}

func TestHistogramAsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h, got histogram
		durations := rapid.SliceOf(rapid.OneOf(rapid.Int64Range(0, int64(time.Hour)), rapid.Int64Range(0, math.MaxInt64))).Draw(t, "durations")
		for _, d := range slices.Sorted(slices.Values(durations)) {
			h.add(time.Duration(d))
		}
		text, err := json.Marshal(&h)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &got); err != nil || got != h {
			t.Fatalf("%s is read as another (%v)", text, err)
		}
	})
	for _, text := range []string{`{"buckets":[[2048,1]]}`, `{"buckets":[[-1,1]]}`, `{"buckets":[[0,-1]]}`, `{"buckets":1}`} {
		var h histogram
		if err := json.Unmarshal([]byte(text), &h); err == nil || !strings.Contains(err.Error(), "bucket") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
