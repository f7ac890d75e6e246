package runner

import (
	"fmt"
	"regexp"
	"testing"
	"time"
)

// TestTraceIDStaysTheSame: other processes and later versions must find a run
// by what this one sent.
func TestTraceIDStaysTheSame(t *testing.T) {
	want(t, "trace id", traceID("20260304-00112233", "facts", "a", "d", 1), "6b9b4dd009071c38c1c6a506c48a317d")
}

func TestTraceIDsDiffer(t *testing.T) {
	// Pieces that could be mistaken for one another where they are joined.
	pieces := []string{"", "a", "b", "ab", "1", "11", "a1", "-", "a-1"}
	form := regexp.MustCompile(`^[0-9a-f]{32}$`)
	seen := map[string]string{}
	for _, generation := range pieces {
		for _, batch := range pieces {
			for _, id := range pieces {
				for _, digest := range pieces[:3] {
					for attempt := range 12 {
						trace := traceID(generation, batch, id, digest, attempt)
						said := fmt.Sprintf("%q %q %q %q %d", generation, batch, id, digest, attempt)
						if seen[trace] != "" || !form.MatchString(trace) {
							t.Fatalf("%s is %s, as is %s", said, trace, seen[trace])
						}
						seen[trace] = said
					}
				}
			}
		}
	}
}

func TestGenerationsDiffer(t *testing.T) {
	now := time.Date(2026, 3, 4, 23, 59, 59, 0, time.FixedZone("", 3600))
	a, b := NewGeneration(now), NewGeneration(now)
	if a == b || !regexp.MustCompile(`^20260304-[0-9a-f]{8}$`).MatchString(a) {
		t.Errorf("%s and %s", a, b)
	}
}
