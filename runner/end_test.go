package runner

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlotIsKeptUntilTheResultIsWritten: a crash repeats what is in flight, and no
// more. Runs that end at once have cost nothing, and need not wait.
func TestSlotIsKeptUntilTheResultIsWritten(t *testing.T) {
	for do, startedBefore := range map[string]int{"1s": 2, "1ms": 2, "999us": 20} {
		synctest.Test(t, func(t *testing.T) {
			var items []string
			for i := range 20 {
				items = append(items, fmt.Sprintf("i%d %s", i, do))
			}
			plan := newPlan(t, items...)
			plan.Concurrency = 2
			m := &memory{block: make(chan struct{})}
			f := newFake(t)
			done := make(chan Outcome)
			go func() {
				outcome, err := Run(t.Context(), plan, waiting{f}, m)
				want(t, "error", err, nil)
				done <- outcome
			}()
			time.Sleep(time.Hour) // while nothing can be written
			want(t, do+": started", len(f.log("start")), startedBefore)
			close(m.block)
			want(t, "succeeded", (<-done).Counts[Succeeded], 20)
		})
	}
}
