package runner

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// byAttempt is a fake that takes the script of each attempt from what stands
// between slashes.
type byAttempt struct {
	resuming
	starts map[string]int
}

func (b byAttempt) Start(ctx context.Context, pipelineID string, in Inputs, opts StartOptions) (Handle, error) {
	id := in["id"].(string)
	b.mu.Lock()
	scripts := strings.Split(in["do"].(string), "/ ")
	script := scripts[b.starts[id]]
	b.starts[id]++
	b.mu.Unlock()
	return b.resuming.Start(ctx, pipelineID, Inputs{"id": id, "do": script}, opts)
}

// TestFailedRuns has the exact times of the starts of item a; chance always takes the
// longest pause.
func TestFailedRuns(t *testing.T) {
	for _, test := range []struct {
		do       string
		status   State
		class    string
		attempts int
		starts   string
	}{
		{"pay=3/1 1s fail / pay=5/1 2s", Succeeded, "", 2, "0s start, 2s start"},
		{"1s fail / fail / 1s node / 2s", Succeeded, "", 4, "0s start, 2s start, 4s start, 9s start"},
		{"fail / fail / fail / fail / 1s", Failed, classRun, 4, "0s start, 1s start, 3s start, 7s start"},
		{"cancel / 1s", Cancelled, classCancel, 1, "0s start"},
		{"hang / 1s", TimedOut, classTimedOut, 1, "0s start"},
		{"misfit / 1s", Failed, "invalid_input", 1, "0s start"},
		{"refuse / 1s", Failed, classStart, 1, "0s start"},
		// These are no failures of the run's own.
		{"deny / 1s", Failed, classDenied, 1, "0s start"},
		{"garbled / 1s", Failed, classBadRequest, 1, "0s start"},
		{"unknown / 1s", Failed, classRun, 1, "0s start"},
		{"fail503 fail503 fail503 fail503 / 1s", Failed, classUnavailable, 1, "0s start"},
		{"lost lost lost lost / 1s", Failed, classConnection, 1, "0s start"},
		{"teapot / 1s", Succeeded, "", 2, "0s start, 1s start"},
		{"fail503 fail / 1s", Succeeded, "", 2, "0s start, 2s start"},
	} {
		t.Run(test.do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "b 0s", "a "+test.do)
				plan.random, plan.Retry.FailedRuns, plan.Timeout = always(1), true, time.Minute
				f := newFake(t)
				n := play(t, t.Context(), plan, byAttempt{resuming{waiting{f}}, map[string]int{}})
				r := n.results["a"]
				want(t, "status", r.Status, test.status)
				want(t, "attempts", r.Attempts, test.attempts)
				want(t, "starts", callsOf(f, "a", "start"), test.starts)
				if r.Error != nil {
					want(t, "class", r.Error.Class, test.class)
				}
				if r.Status == Succeeded {
					want(t, "trace id", r.Handle.TraceID, traceOf(t, plan, "a", test.attempts))
				}
				for _, o := range f.options {
					for attempt := 2; attempt <= test.attempts; attempt++ {
						if o.TraceID == traceOf(t, plan, "a", attempt) && o.AnswersSince.Before(f.born) {
							t.Errorf("attempt %d may read the answers of the one before", attempt)
						}
					}
				}
			})
		})
	}
}

// TestUsageOfAllAttempts adds up, and the slot is free between them.
func TestUsageOfAllAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a pay=3/1 1s fail / pay=5/1 2s", "b 10s")
		plan.Concurrency, plan.random, plan.Retry.FailedRuns = 1, always(1), true
		l := newLedger()
		plan.Journal = l
		f := newFake(t)
		n := play(t, t.Context(), plan, byAttempt{resuming{waiting{f}}, map[string]int{}})
		want(t, "starts", f.log("start"), []string{"0s start a", "1s start b", "11s start a"})
		want(t, "usage", *n.results["a"].Usage, Usage{InputTokens: 8, OutputTokens: 2, USD: 12e-6})
		want(t, "duration", n.results["a"].Duration, 2*time.Second)
		want(t, "journal", linesOf(l, "a"), "intend began intend began")
		for _, e := range n.events {
			if e.Kind == Parked {
				want(t, "parked", Event{ID: e.ID, Attempt: e.Attempt, Reason: e.Reason, Until: e.Until}, Event{ID: "a", Attempt: 1, Reason: "it failed", Until: f.born.Add(2 * time.Second)})
				return
			}
		}
		t.Error("nobody was told")
	})
}

// TestAttemptsBefore do not count against those of now, if they had a result.
func TestAttemptsBefore(t *testing.T) {
	for _, begun := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, "a fail / fail / fail / fail / 1s")
			plan.random, plan.Retry.FailedRuns = always(1), true
			l := newLedger()
			l.stands["a"] = Standing{Attempts: 3}
			if begun {
				l.begun["a"] = Begun{ID: "a", Attempt: 3, Handle: Handle{TraceID: "t"}, At: time.Now()}
			}
			f := newFake(t)
			n := play(t, t.Context(), resumed(plan, l), byAttempt{resuming{waiting{f}}, map[string]int{}})
			want(t, "starts", len(f.log("start")), map[bool]int{false: 4, true: 1}[begun])
			want(t, "attempts", n.results["a"].Attempts, map[bool]int{false: 7, true: 4}[begun])
		})
	}
}
