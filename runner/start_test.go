package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/spec"
)

// TestStartsThatFail has the exact times of all calls for item a, whose run takes
// 3 s where there is one; chance always takes the longest pause. b keeps the
// breaker out of it, and succeeds before.
func TestStartsThatFail(t *testing.T) {
	type ends struct {
		status    State
		class     string
		attempts  int
		duplicate bool
		runs      int
	}
	succeeded := ends{Succeeded, "", 1, false, 1}
	for _, test := range []struct {
		do      string
		backend string // hosted; findable; fail: hosted that starts nothing twice
		calls   string
		ends    ends
		journal string
	}{
		// Refused: the same attempt later, bounded by time alone.
		{"start=429", "hosted", "0s start, 1s start", succeeded, "intend drop intend began"},
		{"start=429/10s", "hosted", "0s start, 10.5s start", succeeded, "intend drop intend began"},
		{"start=429/24h", "hosted", "0s start, 5m15s start", succeeded, "intend drop intend began"},
		{strings.Repeat("start=429 ", 6), "hosted", "0s start, 1s start, 3s start, 7s start, 15s start, 31s start, 1m3s start", succeeded,
			strings.Repeat("intend drop ", 6) + "intend began"},
		{strings.Repeat("start=429/5m ", 3), "hosted", "0s start, 5m15s start, 10m30s start", ends{Failed, classRefused, 0, false, 0}, strings.Repeat("intend drop ", 3)},
		// There is no run, and it is nobody's wish: bounded by tries, too.
		{"start=503", "hosted", "0s start, 1s start", succeeded, "intend drop intend began"},
		{"start=unsent start=503 start=unsent", "hosted", "0s start, 1s start, 3s start, 7s start", succeeded, strings.Repeat("intend drop ", 3) + "intend began"},
		{strings.Repeat("start=503 ", 4), "hosted", "0s start, 1s start, 3s start, 7s start", ends{Failed, classUnavailable, 0, false, 0}, strings.Repeat("intend drop ", 4)},
		{strings.Repeat("start=unsent ", 4), "findable", "0s start, 1s start, 3s start, 7s start", ends{Failed, classConnection, 0, false, 0}, strings.Repeat("intend drop ", 4)},
		{"start=503 start=429 start=503 start=429 start=503 start=429", "fail", "0s start, 1s start, 2s start, 4s start, 6s start, 10s start, 14s start", succeeded,
			strings.Repeat("intend drop ", 6) + "intend began"},
		// Nothing to be tried again.
		{"start=401", "hosted", "0s start", ends{Failed, classDenied, 1, false, 0}, "intend drop"},
		{"misfit", "findable", "0s start", ends{Failed, "invalid_input", 1, false, 0}, "intend drop"},
		{"refuse", "findable", "0s start", ends{Failed, classStart, 1, false, 0}, "intend drop"},
		// Nobody knows: it is looked for.
		{"start=lost", "findable", "0s start, 1s find", succeeded, "intend began"},
		{"start=lost502", "findable", "0s start, 1s find", succeeded, "intend began"},
		{"start=gone", "findable", "0s start, 1s find, 1s start", ends{Succeeded, "", 2, false, 1}, "intend intend began"},
		{"start=gone start=gone504 start=lost", "findable", "0s start, 1s find, 1s start, 3s find, 3s start, 7s find", ends{Succeeded, "", 3, false, 1}, "intend intend intend began"},
		{"start=lost find=503 find=429", "findable", "0s start, 1s find, 3s find, 4s find", succeeded, "intend began"},
		{"start=lost find=503 find=503 find=503", "findable", "0s start, 1s find, 3s find, 7s find", ends{Failed, classUnknownStart, 1, false, 1}, "intend"},
		{"start=lost find=401", "findable", "0s start, 1s find", ends{Failed, classUnknownStart, 1, false, 1}, "intend"},
		{"start=gone start=503", "findable", "0s start, 1s find, 1s start, 3s start", ends{Succeeded, "", 2, false, 1}, "intend intend over intend began"},
		// The last try is looked for, too.
		{"start=gone start=gone start=gone start=lost", "findable", "0s start, 1s find, 1s start, 3s find, 3s start, 7s find, 7s start, 8s find", ends{Succeeded, "", 4, false, 1}, "intend intend intend intend began"},
		{strings.Repeat("start=gone ", 4), "findable", "0s start, 1s find, 1s start, 3s find, 3s start, 7s find, 7s start, 8s find", ends{Failed, classConnection, 4, false, 0}, "intend intend intend intend"},
		// Nor can it be looked for: it is started again.
		{"start=gone", "hosted", "0s start, 1s start", ends{Succeeded, "", 2, true, 1}, "intend intend began"},
		{"start=lost", "hosted", "0s start, 1s start", ends{Succeeded, "", 2, true, 2}, "intend intend began"},
		{"start=lost start=429", "hosted", "0s start, 1s start, 2s start", ends{Succeeded, "", 2, true, 2}, "intend intend over intend began"},
		{strings.Repeat("start=lost ", 4), "hosted", "0s start, 1s start, 3s start, 7s start", ends{Failed, classUnknownStart, 4, true, 4}, "intend intend intend intend"},
		// An answer that does not come is lost.
		{"stuck", "hosted", "0s start, 5m1s start, 10m3s start, 15m7s start", ends{Failed, classUnknownStart, 4, true, 0}, "intend intend intend intend"},
		{"stuck", "fail", "0s start", ends{Failed, classUnknownStart, 1, false, 0}, "intend"},
		// Nothing is started twice.
		{"start=lost", "fail", "0s start", ends{Failed, classUnknownStart, 1, false, 1}, "intend"},
		{"start=gone504", "fail", "0s start", ends{Failed, classUnknownStart, 1, false, 0}, "intend"},
	} {
		t.Run(test.backend+" "+test.do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				do := test.do + " 3s"
				if !strings.Contains(do, "=") {
					do = test.do
				}
				plan := newPlan(t, "b 0s", "a "+do)
				plan.random = always(1)
				l := newLedger()
				plan.Journal = l
				f := newFake(t)
				h := newHosted(f)
				backend := Backend(h)
				switch test.backend {
				case "findable":
					backend = findable{h}
				case "fail":
					plan.Retry.UnknownStart = "fail"
				}
				n := play(t, t.Context(), plan, backend)
				r := n.results["a"]
				got := ends{status: r.Status, attempts: r.Attempts, duplicate: r.PossibleDuplicate, runs: h.more.starts["a"]}
				if r.Error != nil {
					got.class = r.Error.Class
				}
				want(t, "end", fmt.Sprint(got), fmt.Sprint(test.ends))
				want(t, "calls", callsOf(f, "a", "start", "find"), test.calls)
				want(t, "journal", linesOf(l, "a"), strings.TrimSpace(test.journal))
				want(t, "others", n.results["b"].Status, Succeeded)
				want(t, "left", n.Left, false)
				want(t, "started", r.StartedAt.IsZero(), r.Attempts == 0)
				trace := traceOf(t, plan, "a", max(r.Attempts, 1))
				if got.class == classUnknownStart {
					want(t, "handle", r.Handle, Handle{PipelineID: "p", TraceID: trace})
					if !strings.Contains(r.Error.Message, trace) {
						t.Errorf("the message does not say the trace id: %s", r.Error.Message)
					}
				} else if r.Status == Succeeded {
					want(t, "trace id", r.Handle.TraceID, trace)
				}
			})
		})
	}
}

// callsOf lists the calls for one item.
func callsOf(f *fake, id string, whats ...string) string {
	var calls []string
	for _, line := range f.log(whats...) {
		if call, ok := strings.CutSuffix(line, " "+id); ok {
			calls = append(calls, call)
		}
	}
	return strings.Join(calls, ", ")
}

// linesOf lists what a ledger noted of an item.
func linesOf(l *ledger, id string) string {
	var lines []string
	for _, line := range l.lines {
		if what, ok := strings.CutSuffix(line, " "+id); ok {
			lines = append(lines, what)
		}
	}
	return strings.Join(lines, " ")
}

// TestWhoWaitsToBeStartedHoldsNoSlot, and others are started in the meantime.
func TestWhoWaitsToBeStartedHoldsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a start=429/10s 1s", "b 2s", "c start=gone 2s", "d 30s")
		plan.Concurrency, plan.random = 1, always(1)
		f := newFake(t)
		n := play(t, t.Context(), plan, newHosted(f))
		var order []string
		for _, call := range f.log("start") {
			order = append(order, strings.Fields(call)[2])
		}
		want(t, "starts", strings.Join(order, " "), "a b c d c a") // the one first that was due first
		want(t, "most in flight", f.most, 1)
		want(t, "succeeded", len(n.ids(Succeeded)), 4)
	})
}

// TestHostThatFailsAll ends the batch, as does a host that is not there.
func TestHostThatFailsAll(t *testing.T) {
	for do, reason := range map[string]StopReason{
		strings.Repeat("start=401 ", 9):    Denied,
		strings.Repeat("start=unsent ", 9): Unreachable,
		strings.Repeat("start=gone ", 9):   Unreachable,
	} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, each(99, do+"1s")...)
			plan.Concurrency, plan.random = 8, always(1)
			n := play(t, t.Context(), plan, newHosted(newFake(t)))
			want(t, do, n.Stopped, reason)
			want(t, "results", n.Total(), 0)
			if n.took > 5*time.Second {
				t.Errorf("it took %v", n.took)
			}
		})
	}
}

// TestJournalThatCannotBeWritten ends the batch, whatever it was to note.
func TestJournalThatCannotBeWritten(t *testing.T) {
	for _, line := range []string{"intend a", "began a", "drop a"} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "z 10s", "a start=429 5s", "c 10s")
				l := newLedger()
				plan.Journal, plan.Concurrency, l.fail = l, 3, line
				f := newFake(t)
				n := play(t, t.Context(), plan, newHosted(f))
				want(t, "error", errors.Is(n.err, errDiskFull), true)
				want(t, "stopped", n.Stopped, ResultsFailed)
				want(t, "left", n.Left, true)
				want(t, "results", n.Total(), 0)
				want(t, "runs that go on", f.working, 0)
			})
		})
	}
}

// noting is a hosted that looks into the ledger when a run is started.
type noting struct {
	hosted
	ledger *ledger
	noted  []Begun
}

func (n *noting) Start(ctx context.Context, pipelineID string, in Inputs, opts StartOptions) (Handle, error) {
	n.noted = append(n.noted, n.ledger.begun[in["id"].(string)])
	return n.hosted.Start(ctx, pipelineID, in, opts)
}

// TestNoRunIsStartedUnnoted: the start is on the disk before it is made.
func TestNoRunIsStartedUnnoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "key-hunter2 5s")
		plan.Redactor = spec.NewRedactor([]string{"hunter2"})
		backend := &noting{hosted: newHosted(newFake(t)), ledger: newLedger()}
		plan.Journal = &secretive{backend.ledger}
		began := time.Now()
		n := play(t, t.Context(), plan, backend)
		id := plan.Redactor.ID("key-hunter2")
		handle := Handle{PipelineID: "p", TraceID: traceOf(t, plan, "key-hunter2", 1)}
		want(t, "noted", backend.noted, []Begun{{ID: id, Digest: n.results[id].Digest, Attempt: 1, Handle: handle, At: began}})
		want(t, "lines", backend.ledger.lines, []string{"intend key-hunter2", "began key-hunter2"})
	})
}

// secretive keeps a ledger under the ids as they are in the source.
type secretive struct{ *ledger }

func (s *secretive) Intend(b Begun) error {
	if strings.Contains(b.ID, "hunter2") {
		return errDiskFull
	}
	return s.write("intend key-hunter2", func() { s.begun["key-hunter2"] = b })
}

func (s *secretive) Began(b Begun) error {
	return s.write("began key-hunter2", func() { s.begun["key-hunter2"] = b })
}
