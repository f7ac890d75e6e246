package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// each gives every item the same script.
func each(n int, do string) []string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf("%02d %s", i, do))
	}
	return items
}

// TestBreaker has batches of runs that fail alike, or nearly. Chance always comes
// out the worst: the tries of a closed port are after 1, 2 and 4 s.
func TestBreaker(t *testing.T) {
	proven := func(p *Plan) { p.Proven = true }
	tests := map[string]struct {
		concurrency int
		items       []string
		edit        func(*Plan)
		stopped     StopReason
		succeeded   int
		failed      int
		starts      int
		took        time.Duration
	}{
		"a bad key":                        {1, each(99, "1s deny"), nil, Denied, 0, 0, 5, 5 * time.Second},
		"a bad key here":                   {1, each(99, "1s deny"), proven, Denied, 0, 0, 5, 5 * time.Second},
		"a bad key for some":               {1, append([]string{"x 1s"}, each(9, "1s deny")...), proven, NotStopped, 1, 9, 10, 10 * time.Second},
		"a model that others have":         {2, each(10, "1s unknown"), proven, NotStopped, 0, 10, 10, 5 * time.Second},
		"a port that was open for others":  {9, each(9, "closed*"), proven, NotStopped, 0, 9, 9, 7 * time.Second},
		"an empty account":                 {2, each(99, "1s quota"), nil, Denied, 0, 0, 6, 3 * time.Second},
		"refused at the start":             {1, each(99, "denied"), nil, Denied, 0, 0, 5, 0},
		"no such model":                    {1, each(99, "1s unknown"), nil, AllAlike, 0, 0, 5, 5 * time.Second},
		"not understood":                   {1, each(99, "1s garbled"), nil, AllAlike, 0, 0, 5, 5 * time.Second},
		"4 not understood are results":     {1, each(4, "1s garbled"), nil, NotStopped, 0, 4, 4, 4 * time.Second},
		"4 without a model":                {4, each(4, "1s unknown"), nil, AllAlike, 0, 0, 4, time.Second},
		"5 are none":                       {9, each(5, "1s unknown"), nil, AllAlike, 0, 0, 5, time.Second},
		"4 with a bad key":                 {1, each(4, "1s deny"), nil, Denied, 0, 0, 4, 4 * time.Second},
		"1 with a bad key":                 {1, each(1, "1s deny"), nil, Denied, 0, 0, 1, time.Second},
		"not understood, each for its own": {1, append(each(9, "garbled"), "x too_long"), nil, AllAlike, 0, 0, 5, 0},
		"another message in between":       {1, append([]string{"x too_long"}, each(9, "garbled")...), nil, NotStopped, 0, 10, 10, 0},
		"another reason for it in between": {1, append([]string{"x quota"}, each(9, "deny")...), nil, Denied, 0, 0, 5, 0},
		"who answers is somebody else":     {1, each(99, "1s foreign*"), nil, AllAlike, 0, 0, 3, 3 * time.Second},
		"4 tries there":                    {1, each(1, "foreign*"), nil, AllAlike, 0, 0, 1, 7 * time.Second},
		"a success before":                 {1, append([]string{"x 1s"}, each(9, "deny")...), nil, NotStopped, 1, 9, 10, time.Second},
		"another failure before":           {1, append([]string{"x fail"}, each(9, "deny")...), nil, NotStopped, 0, 10, 10, 0},
		"a failure of the other side":      {1, append([]string{"x teapot"}, each(9, "deny")...), nil, NotStopped, 0, 10, 10, 0},
		"a misfit before":                  {1, append([]string{"x misfit"}, each(9, "deny")...), nil, NotStopped, 0, 10, 10, 0},
		"one that was given up before": {1, append([]string{"x fail503"}, each(9, "deny")...),
			func(p *Plan) { p.Retry.MaxAttempts = 1 }, NotStopped, 0, 10, 10, 0},
		"a success in doubt": {2, append([]string{"x 2500ms"}, each(9, "1s deny")...), nil, NotStopped, 1, 9, 10, 6 * time.Second},
		// Who was under way at the first failure is waited for.
		"a success, later":       {3, append([]string{"x 9s"}, each(19, "1s deny")...), nil, NotStopped, 1, 19, 20, 14 * time.Second},
		"another, later":         {3, append([]string{"x 9s unknown"}, each(19, "1s deny")...), nil, NotStopped, 0, 20, 20, 14 * time.Second},
		"the same, later":        {3, append([]string{"x 9m deny"}, each(19, "1s deny")...), nil, Denied, 0, 0, 7, 9 * time.Minute},
		"the same, parked":       {2, append([]string{"x refuse429=9m deny"}, each(19, "1s deny")...), nil, Denied, 0, 0, 7, 5*time.Minute + 15*time.Second},
		"a success, late":        {2, append([]string{"x 1s deny", "y 2s deny", "z 9s"}, each(19, "1s deny")...), nil, NotStopped, 1, 21, 22, 18 * time.Second},
		"another, late":          {2, append([]string{"x 1s deny", "y 2s deny", "z 9s fail"}, each(19, "1s deny")...), nil, NotStopped, 0, 22, 22, 18 * time.Second},
		"the same, late":         {2, append([]string{"x 1s deny", "y 2s deny", "z 9s deny"}, each(19, "1s deny")...), nil, Denied, 0, 0, 6, 10 * time.Second},
		"late, and nothing left": {2, append([]string{"x 1s deny", "y 2s deny", "z 9s"}, each(3, "1s deny")...), nil, NotStopped, 1, 5, 6, 10 * time.Second},
		"refused ones in doubt":  {2, append([]string{"x refuse429=10s 1s", "y refuse429=10s 1s"}, each(19, "1s deny")...), nil, NotStopped, 2, 19, 21, 18500 * time.Millisecond},

		// A closed port is believed when somebody has met it twice, and for 1.5 s.
		"a closed port":            {8, each(99, "1s closed*"), nil, Unreachable, 0, 0, 12, 2500 * time.Millisecond},
		"one at a time":            {1, each(99, "closed*"), nil, Unreachable, 0, 0, 5, breakerPatience},
		"3 at a closed port":       {3, each(3, "closed*"), nil, Unreachable, 0, 0, 3, breakerPatience},
		"5 nodes at a closed port": {3, each(1, "closed+closed+closed+closed+closed*"), nil, Unreachable, 0, 0, 1, breakerPatience},
		"1 at a closed port":       {3, each(1, "closed*"), nil, Unreachable, 0, 0, 1, 7 * time.Second},
		"closed for an instant":    {5, each(99, "closed 1s"), nil, NotStopped, 99, 0, 99, 0},
		"closed for a while":       {2, each(3, "closed closed 1s"), nil, Unreachable, 0, 0, 3, breakerPatience},
		"closed for half a second": {9, each(99, "down=500ms 1s"), func(p *Plan) { p.random = always(0.2) }, NotStopped, 99, 0, 99, 0},
		"closed, and one refused":  {9, append([]string{"x 500ms refuse429=1s 1s"}, each(8, "closed closed 1s")...), nil, NotStopped, 9, 0, 9, 0},
		"closed, and one failed":   {9, append([]string{"x 500ms fail503 1s"}, each(8, "closed closed 1s")...), nil, NotStopped, 9, 0, 9, 0},
		"it answers, but badly":    {5, append([]string{"x fail503 lost 1s"}, each(3, "closed fail503 1s")...), nil, NotStopped, 4, 0, 4, 4 * time.Second},
		"broken off, not closed":   {5, each(9, "lost*"), nil, NotStopped, 0, 9, 9, 7 * time.Second},
		"a closed port, one try":   {8, each(99, "1s closed"), func(p *Plan) { p.Retry.MaxAttempts = 1 }, Unreachable, 0, 0, 0, 0},
		"one of them, one try":     {1, each(99, "1s closed"), func(p *Plan) { p.Retry.MaxAttempts = 1 }, Unreachable, 0, 0, 5, 5 * time.Second},
		"no time for another try":  {1, each(99, "1s closed"), func(p *Plan) { p.Retry.MaxElapsed = time.Millisecond }, Unreachable, 0, 0, 5, 5 * time.Second},
		"refused, nobody answered": {3, each(9, "refuse429*"), nil, NotStopped, 0, 9, 9, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, test.items...)
				plan.Concurrency, plan.random = test.concurrency, always(1)
				if test.edit != nil {
					test.edit(plan)
				}
				backend := newFake(t)
				n := play(t, t.Context(), plan, resuming{waiting{backend}})
				want(t, "stopped", n.Stopped, test.stopped)
				want(t, "succeeded", len(n.ids(Succeeded)), test.succeeded)
				want(t, "failed", len(n.ids(Failed)), test.failed)
				want(t, "left", n.Left, test.stopped != NotStopped)
				starts := len(backend.log("start"))
				if limit := test.concurrency + breakerProbes; test.starts == 0 && test.stopped != NotStopped && starts > limit {
					t.Errorf("%d starts, want %d at the most", starts, limit)
				} else if test.starts > 0 {
					want(t, "starts", starts, test.starts)
				}
				if test.took > 0 {
					want(t, "took", n.took, test.took)
				}
				if (n.Cause != nil) != (n.Stopped != NotStopped) {
					t.Errorf("stopped: %q, by %v", n.Stopped, n.Cause)
				}
				if kind, ok := alikeOf(n.Cause); n.Cause != nil && (!ok || kind.reason != n.Stopped) {
					t.Errorf("stopped: %q, by %v", n.Stopped, n.Cause)
				}
				want(t, "working", backend.working, 0)
			})
		})
	}
}

// TestInDoubt has the exact times of a batch whose doubt is dispelled: 5 runs are
// under way when the first fails, 4 more are started, then none until one of them
// has succeeded. The results that were held come first.
func TestInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := append([]string{"a 1s deny", "b 10s", "c 10s", "d 10s", "e 10s"}, each(8, "1h")...)
		items[5], items[6] = "00 20s", "01 1s park=30s 1s"
		plan := newPlan(t, items...)
		plan.Concurrency = 7
		backend := newFake(t)
		n := play(t, t.Context(), plan, resuming{waiting{backend}})
		want(t, "calls", backend.log("start", "resume"), []string{
			"0s start 00", "0s start 01", "0s start a", "0s start b", "0s start c", "0s start d", "0s start e",
			"1s start 02", "1s start 03", "10s start 04", "10s start 05", "10s start 06", "10s start 07",
			"31s resume 01",
		})
		var ended []string
		for _, e := range n.events {
			if e.Kind == Finished {
				ended = append(ended, e.ID)
			}
		}
		want(t, "first result", ended[0], "a")
		want(t, "its end", n.results["a"].FinishedAt, backend.born.Add(time.Second))
		want(t, "its duration", n.results["a"].Duration, time.Second)
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 12, Failed: 1}})
	})
}

// TestNoMoreThanFourInDoubt: 9 of 20 slots come free at once, as their runs are
// parked. 4 of them are taken, the others when a success has dispelled the doubt.
func TestNoMoreThanFourInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := slices.Concat(each(9, "1s closed 1h"), []string{"b 5s"}, each(40, "1h")[9:])
		plan := newPlan(t, items...)
		plan.Concurrency, plan.random = 20, always(1)
		plan.Retry.Backoff.Initial = 10 * time.Second
		backend := newFake(t)
		n := play(t, t.Context(), plan, resuming{waiting{backend}})
		want(t, "counts", n.Counts, map[State]int{Succeeded: 41})
		starts := map[string]int{}
		for _, call := range backend.log("start") {
			at, _, _ := strings.Cut(call, " ")
			starts[at]++
		}
		want(t, "starts", starts, map[string]int{"0s": 20, "1s": 4, "5s": 6, "1h0m0s": 1, "1h0m1s": 4, "1h0m5s": 6})
	})
}

// TestInDoubtAtADeadline: a bad key is told also where something else has ended
// the batch; calls that were not understood are results then.
func TestInDoubtAtADeadline(t *testing.T) {
	for do, wanted := range map[string]Outcome{
		"deny":    {Counts: map[State]int{}, Stopped: Denied, Left: true},
		"unknown": {Counts: map[State]int{}, Stopped: AllAlike, Left: true},
		"garbled": {Counts: map[State]int{Failed: 4}, Stopped: AtDeadline, Left: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, "a 1s "+do, "b 1s "+do, "c 2s "+do, "d 2s "+do, "e 1s")
			plan.Deadline = time.Now().Add(1500 * time.Millisecond)
			n := play(t, t.Context(), plan, resuming{waiting{newFake(t)}})
			n.Cause = nil
			want(t, do, n.Outcome, wanted)
			want(t, "took", n.took, 3*time.Second)
		})
	}
}

// TestInDoubtAtAnInterrupt: who interrupts a batch in doubt need not be told why
// it would have ended.
func TestInDoubtAtAnInterrupt(t *testing.T) {
	for how, interrupt := range map[string]func(*Plan, context.CancelFunc){
		"drain": func(p *Plan, _ context.CancelFunc) {
			drain := make(chan struct{})
			p.Drain = drain
			after(1500*time.Millisecond, func() { close(drain) })
		},
		"cancel": func(_ *Plan, cancel context.CancelFunc) { after(1500*time.Millisecond, cancel) },
	} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, each(9, "1s deny")...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			interrupt(plan, cancel)
			n := play(t, ctx, plan, resuming{waiting{newFake(t)}})
			n.Interrupted = 0
			want(t, how, n.Outcome, Outcome{Counts: map[State]int{}, Stopped: Interrupted, Left: true})
		})
	}
}

// TestWhatFailuresHaveInCommon: two failures are alike that give the same text.
func TestWhatFailuresHaveInCommon(t *testing.T) {
	elsewhere := &ConnectionError{Endpoint: "other.test", Err: errClosed}
	for _, test := range []struct {
		err    error
		wanted string
	}{
		{nil, "false"},
		{errClosed, "false"},
		{&HeldBack{}, "false"},
		{broken(true), "false"},
		{troubleOf("foreign", ""), "true all alike models.test/v1/chat"},
		{broken(false), "true unreachable"},
		{&RunError{Err: fmt.Errorf("given up: %w", broken(false))}, "true unreachable"},
		{elsewhere, "true unreachable"},
		{answered(401, "key a"), "true denied"},
		{answered(402, ""), "true denied"},
		{answered(403, ""), "true denied"},
		{&startError{answered(403, "")}, "true denied"},
		{refusals["quota"], "true denied"},
		{&APIError{StatusCode: 400, Account: true}, "true denied"},
		{answered(429, ""), "false"},
		{answered(404, "this"), "true all alike models.test/v1/chat404"},
		{answered(405, ""), "true all alike models.test/v1/chat405"},
		{answered(410, ""), "true all alike models.test/v1/chat410"},
		{answered(400, "this"), "true all alike models.test/v1/chat400this"},
		{answered(422, "this"), "true all alike models.test/v1/chat422this"},
		{answered(409, ""), "false"},
		{answered(418, ""), "false"},
		{answered(500, ""), "false"},
	} {
		kind, ok := alikeOf(test.err)
		if !ok {
			kind = alike{}
		}
		want(t, fmt.Sprint(test.err), strings.TrimSpace(fmt.Sprintf("%v %s %s", ok, kind.reason, kind.what)), test.wanted)
		want(t, fmt.Sprint("reason of ", test.err), ReasonOf(test.err), kind.reason)
	}
}

var errClosed = errors.New("connection refused")

// TestBreakerByTurns: runs end at the same time, so that one dispels the doubt, or
// ends the batch, after another has failed and before it has handed in its result.
func TestBreakerByTurns(t *testing.T) {
	denied := answered(401, "")
	var lines []string
	line := func(name string) func() { return func() { lines = append(lines, name) } }

	b := breaker{stop: func() { t.Error("stopped") }}
	b.met(denied, 1)
	b.ended(denied, line("a"))
	b.met(denied, 1)
	want(t, "admits 1", b.admits(), true)
	b.ended(nil, line("success"))
	b.ended(denied, line("b"))
	want(t, "lines", lines, []string{"a", "success", "b"})
	for range 9 {
		b.met(denied, 1)
		b.started()
	}
	want(t, "admits when dispelled", b.admits(), true)
	reason, dropped, err := b.close()
	want(t, "closed", reason == NotStopped && !dropped && err == nil, true)

	stops := 0
	b, lines = breaker{stop: func() { stops++ }}, nil
	for i := range 4 {
		b.met(denied, 1)
		want(t, "admits", b.admits(), true)
		b.started()
		b.ended(denied, line(fmt.Sprint(i)))
	}
	want(t, "admits a fifth", b.admits(), false)
	want(t, "stops", stops, 0)
	b.met(denied, 1)
	want(t, "stops", stops, 1)
	b.ended(denied, line("4"))
	b.met(denied, 1)
	b.ended(denied, line("5"))
	want(t, "lines", lines, []string(nil))
	b.ended(nil, line("success"))
	b.ended(denied, line("the last"))
	want(t, "stops", stops, 1)
	want(t, "lines", lines, []string{"0", "1", "2", "3", "4", "5", "success", "the last"})
	reason, dropped, err = b.close()
	want(t, "closed", reason == Denied && !dropped && errors.Is(err, denied), true)
}
