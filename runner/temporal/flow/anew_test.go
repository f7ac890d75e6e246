package flow

import (
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"
)

// TestTenThousandShards: the workflow is continued as new time and again; each shard
// is begun once, the window is kept, and the sums are exact.
func TestTenThousandShards(t *testing.T) {
	const shards, window, perRun = 10_000, 100, 600
	n := &night{lasts: func(shard int) time.Duration {
		return time.Duration(1+shard*7919%13) * time.Minute // in no order
	}}
	start := time.Now()
	end, err := n.run(t, Batch{Store: "/s", Pass: "k", Shards: shards, Window: window, RunShards: perRun})
	want(t, "error", err, nil)
	want(t, "end", end, BatchEnd{Sum: Sum{Items: shards, Succeeded: shards, NanoUSD: shards * (shards + 1) / 2}, Ended: shards})
	want(t, "shards", n.shards(), count(shards))
	want(t, "at once", n.most, window)
	want(t, "runs", len(n.runs), (shards+perRun-1)/perRun)
	for i, run := range n.runs[1:] {
		sum := int64((i + 1) * perRun)
		want(t, "of an earlier run", run, Batch{
			Store: "/s", Pass: "k", Shards: shards, Window: window, RunShards: perRun,
			Next: int(sum) + 1, Ended: int(sum), Sum: Sum{Items: int(sum), Succeeded: int(sum), NanoUSD: sum * (sum + 1) / 2},
		})
	}
	t.Logf("%v of real time for %v", time.Since(start).Round(time.Millisecond), n.finished)
}

// TestAnewWhenTheServerSuggestsIt: but not before many windows were worked off, as each
// run of the workflow ends with draining one.
func TestAnewWhenTheServerSuggestsIt(t *testing.T) {
	n := &night{setUp: func(env *testsuite.TestWorkflowEnvironment) { env.SetContinueAsNewSuggested(true) }}
	end, err := n.run(t, Batch{Shards: 70, Window: 2})
	want(t, "error", err, nil)
	want(t, "ended", end.Ended, 70)
	want(t, "runs", len(n.runs), 3)
	want(t, "shards", n.shards(), count(70))
}

// TestSignalsWhileTheWindowDrains: before a run is continued as new, what has come in
// is heard, and the next run is told.
func TestSignalsWhileTheWindowDrains(t *testing.T) {
	const tenth = 6 * time.Second
	for _, c := range []struct {
		name   string
		signal string
		ended  int
		runs   int
		paused bool // the second run is
		lasts  time.Duration
	}{
		{"pause", PauseSignal, 4, 2, true, time.Hour + 3*time.Minute},
		{"drain", DrainSignal, 2, 1, false, 3 * time.Minute},
		{"cancel", CancelSignal, 0, 1, false, 2*time.Minute + tenth},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{
				lasts: func(shard int) time.Duration { return time.Duration(1+shard%2*2) * time.Minute },
				sends: []sending{{at: 2*time.Minute + tenth, signal: c.signal}, {at: time.Hour, signal: ResumeSignal}},
			}
			end, _ := n.run(t, Batch{Shards: 4, Window: 2, RunShards: 2})
			want(t, "ended", end.Ended, c.ended)
			want(t, "runs", len(n.runs), c.runs)
			want(t, "lasted", n.finished, c.lasts)
			if c.runs == 2 {
				want(t, "paused", n.runs[1].Paused, c.paused)
			}
		})
	}
}

// TestASignalAtTheLastMoment comes in together with the end of the last shard of a
// run of the workflow.
func TestASignalAtTheLastMoment(t *testing.T) {
	for _, signal := range []string{PauseSignal, DrainSignal, CancelSignal} {
		t.Run(signal, func(t *testing.T) {
			n := &night{}
			n.lasts = func(shard int) time.Duration {
				if shard == 2 {
					env := n.env
					env.RegisterDelayedCallback(func() { env.SignalWorkflowSkippingWorkflowTask(signal, nil) }, time.Minute)
				}
				return time.Minute
			}
			n.sends = []sending{{at: time.Hour, signal: DrainSignal}}
			_, _ = n.run(t, Batch{Shards: 9, Window: 1, RunShards: 2})
			want(t, "shards", n.shards(), count(2))
		})
	}
}
