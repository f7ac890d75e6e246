package temporal

import (
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflow/v1"
)

// TestTroubles: what fails again and again is said once, with the shards, the cause and
// what becomes of it.
func TestTroubles(t *testing.T) {
	said := func(words string) *failure.Failure { return &failure.Failure{Message: words} }
	late := func(kind enums.TimeoutType) *failure.Failure {
		return &failure.Failure{Message: "activity timeout", FailureInfo: &failure.Failure_TimeoutFailureInfo{TimeoutFailureInfo: &failure.TimeoutFailureInfo{TimeoutType: kind}}}
	}
	pending := func(id string, attempt int32, why *failure.Failure) *workflow.PendingActivityInfo {
		return &workflow.PendingActivityInfo{ActivityId: id, Attempt: attempt, LastFailure: why}
	}
	for name, c := range map[string]struct {
		pending []*workflow.PendingActivityInfo
		says    []string
	}{
		"nothing":        {nil, nil},
		"one mishap":     {[]*workflow.PendingActivityInfo{pending("shard-3", 2, said("x"))}, nil},
		"not failed yet": {[]*workflow.PendingActivityInfo{pending("shard-3", 3, nil)}, nil},
		"one":            {[]*workflow.PendingActivityInfo{pending("shard-3", 3, said("store s: disk\nfull"))}, []string{"nightshift: shard 3 fails again and again: store s: disk full; it is tried on"}},
		"many": {[]*workflow.PendingActivityInfo{pending("shard-11", 3, said("x")), pending("shard-9", 4, said("x")), pending("shard-10", 9, said("x"))},
			[]string{"nightshift: shard 9 and 2 more fail again and again: x; they are tried on"}},
		"two causes": {[]*workflow.PendingActivityInfo{pending("shard-1", 3, said("x")), pending("shard-2", 3, said("y"))},
			[]string{"nightshift: shard 1 fails again and again: x; it is tried on", "nightshift: shard 2 fails again and again: y; it is tried on"}},
		"a run":      {[]*workflow.PendingActivityInfo{pending("run", 3, said("x"))}, []string{"nightshift: the run fails again and again: x; it is tried on"}},
		"heartbeats": {[]*workflow.PendingActivityInfo{pending("shard-1", 3, late(enums.TIMEOUT_TYPE_HEARTBEAT))}, []string{"shard 1 fails again and again: its worker gave no sign of life; it is tried on"}},
		"too long":   {[]*workflow.PendingActivityInfo{pending("shard-1", 3, late(enums.TIMEOUT_TYPE_START_TO_CLOSE))}, []string{"it did not end in the time that a try may take"}},
		"in silence": {[]*workflow.PendingActivityInfo{pending("shard-1", 3, said(""))}, []string{"workers do not say why"}},
		"percent":    {[]*workflow.PendingActivityInfo{pending("shard-1", 3, said("100%d"))}, []string{"again: 100%d; it"}},
	} {
		t.Run(name, func(t *testing.T) {
			var said heard
			tr := (&Client{}).Backend(BackendOptions{Say: said.say}).newTroubles("batch-g:b:n")
			for range 3 {
				tr.activities(c.pending)
			}
			want(t, "lines", said.count(""), len(c.says))
			for _, line := range c.says {
				want(t, line, said.count(line), 1)
			}
		})
	}
	var all heard
	tr := (&Client{}).Backend(BackendOptions{Say: all.say}).newTroubles("batch-g:b:n")
	for n := range 20 {
		tr.activities([]*workflow.PendingActivityInfo{pending("shard-1", 3, said(strings.Repeat("x", n+1)))})
	}
	want(t, "lines of many causes", all.count(""), mostTroubles)
}
