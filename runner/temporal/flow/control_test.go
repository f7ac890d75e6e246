package flow

import (
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
)

// TestSignals: a batch of 6 shards, 2 at once, of a minute each.
func TestSignals(t *testing.T) {
	const (
		tenth  = 6 * time.Second
		minute = time.Minute
		cancel = "" // of the workflow itself
	)
	all := BatchEnd{Sum: Sum{Items: 6, Succeeded: 6, NanoUSD: 21}, Ended: 6}
	first := func(n int) BatchEnd {
		end := BatchEnd{Ended: n, Stopped: Stop{Why: StoppedInterrupted}}
		for i := range n {
			end.Sum = end.Sum.Add(Sum{Items: 1, Succeeded: 1, NanoUSD: int64(i + 1)})
		}
		return end
	}
	send := func(pairs ...any) (sends []sending) {
		for i := 0; i < len(pairs); i += 2 {
			sends = append(sends, sending{at: pairs[i].(time.Duration), signal: pairs[i+1].(string)})
		}
		return sends
	}
	for _, c := range []struct {
		name      string
		sends     []sending
		begun     int
		end       BatchEnd // zero: cancelled
		lasts     time.Duration
		cancelled bool
	}{
		{"none", nil, 6, all, 3 * minute, false},
		{"pause and resume", send(tenth, PauseSignal, 60*minute, ResumeSignal), 6, all, 62 * minute, false},
		{"resume without a pause", send(tenth, ResumeSignal, 2*tenth, PauseSignal, 60*minute, ResumeSignal), 6, all, 62 * minute, false},
		{"pause twice, resume once", send(tenth, PauseSignal, 2*tenth, PauseSignal, 60*minute, ResumeSignal), 6, all, 62 * minute, false},
		{"pause when all have begun", send(2*minute+tenth, PauseSignal), 6, all, 3 * minute, false},
		{"drain", send(minute+tenth, DrainSignal), 4, first(4), 2 * minute, false},
		{"drain while paused", send(tenth, PauseSignal, 60*minute, DrainSignal), 2, first(2), 60 * minute, false},
		{"drain that comes too late", send(2*minute+tenth, DrainSignal), 6, all, 3 * minute, false},
		{"drain twice, then resume", send(tenth, DrainSignal, 2*tenth, DrainSignal, 3*tenth, ResumeSignal), 2, first(2), minute, false},
		{"cancel", send(minute+tenth, cancel), 4, BatchEnd{}, minute + tenth, true},
		{"cancel by signal", send(minute+tenth, CancelSignal), 4, BatchEnd{}, minute + tenth, true},
		{"cancel while paused", send(tenth, PauseSignal, 60*minute, CancelSignal), 2, BatchEnd{}, 60 * minute, true},
		{"cancel while drained", send(tenth, DrainSignal, 2*tenth, cancel), 2, BatchEnd{}, 2*tenth + 2*time.Second, true}, // when the shards ask again
		{"cancel in two ways", send(tenth, CancelSignal, tenth, cancel), 2, BatchEnd{}, tenth, true},
		{"cancel of the last shards", send(2*minute+tenth, cancel), 6, BatchEnd{}, 2*minute + tenth, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{sends: c.sends}
			end, err := n.run(t, Batch{Shards: 6, Window: 2})
			want(t, "shards", n.shards(), count(c.begun))
			want(t, "lasted", n.finished, c.lasts)
			want(t, "end", end, c.end)
			if !c.cancelled {
				want(t, "error", err, nil)
			} else if !temporal.IsCanceledError(err) {
				t.Errorf("a cancelled batch ends with %v", err)
			} else {
				want(t, "stopped", n.progress(t).Stopped, Stop{Why: StoppedInterrupted})
			}
		})
	}
}

func TestProgressTellsOfSignals(t *testing.T) {
	n := &night{
		sends: []sending{
			{at: 10 * time.Second, signal: PauseSignal},
			{at: 30 * time.Second, signal: ResumeSignal},
			{at: 50 * time.Second, signal: DrainSignal},
		},
		ask: []time.Duration{20 * time.Second, 40 * time.Second, 55 * time.Second},
	}
	_, err := n.run(t, Batch{Shards: 6, Window: 1})
	want(t, "error", err, nil)
	under := Progress{Shards: 6, Begun: 1, Open: []int{1}, Running: 1}
	paused, drained := under, under
	paused.Paused = true
	drained.Stopped = Stop{Why: StoppedInterrupted}
	want(t, "answers", n.answers, []Progress{paused, under, drained})
}

// TestSignalsThatComeTogether, since no worker was there: pauses and resumes are told
// apart by how many there are, as their order is lost, and nothing is begun before
// they are heard.
func TestSignalsThatComeTogether(t *testing.T) {
	const begin, rest = true, false
	for _, c := range []struct {
		name    string
		paused  bool // before
		signals []string
		begins  bool
	}{
		{"none", false, nil, begin},
		{"pause", false, []string{PauseSignal}, rest},
		{"pause, resume", false, []string{PauseSignal, ResumeSignal}, begin},
		{"pause, resume, pause", false, []string{PauseSignal, ResumeSignal, PauseSignal}, rest},
		{"paused, none", true, nil, rest},
		{"paused, resume", true, []string{ResumeSignal}, begin},
		{"paused, resume, pause", true, []string{ResumeSignal, PauseSignal}, rest},
		{"paused, resume, pause, resume", true, []string{ResumeSignal, PauseSignal, ResumeSignal}, begin},
		{"paused, resume, drain", true, []string{ResumeSignal, DrainSignal}, rest},
		{"drain", false, []string{DrainSignal}, rest},
		{"cancel", false, []string{CancelSignal}, rest},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{
				sends: []sending{{at: time.Hour, signal: CancelSignal}},
				lasts: func(int) time.Duration { return 2 * time.Hour },
				setUp: func(env *testsuite.TestWorkflowEnvironment) {
					// The first workflow task is the one that hears them.
					for _, signal := range c.signals {
						env.RegisterDelayedCallback(func() { env.SignalWorkflowSkippingWorkflowTask(signal, nil) }, 0)
					}
				},
			}
			_, _ = n.run(t, Batch{Shards: 6, Window: 2, Paused: c.paused})
			want(t, "has begun", len(n.begun) > 0, c.begins)
		})
	}
}
