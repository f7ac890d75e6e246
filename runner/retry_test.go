package runner

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// always is a chance that comes out the same every time.
func always(f float64) func() float64 { return func() float64 { return f } }

// TestWhenATroubledRunGoesOn has the exact times of every try of item a, beside
// which b keeps the one slot busy now and then.
func TestWhenATroubledRunGoesOn(t *testing.T) {
	for _, test := range []struct {
		do      string
		random  float64
		resumes string
		took    string
	}{
		// As long as Retry-After says, never less, and 5 % more at the most.
		{"1s refuse429=10s 1s", 0, "11s", "12s"},
		{"1s refuse429=10s 1s", 0.5, "11.25s", "12.25s"},
		{"1s refuse429=10s 1s", 1, "11.5s", "12.5s"},
		{"refuse429=1ms refuse429=7s", 0, "1ms 7.001s", "7.001s"},
		// Not longer than 5 minutes.
		{"refuse429=5m", 0, "5m0s", "5m0s"},
		{"refuse429=5m1s", 0, "5m0s", "5m0s"},
		{"refuse429=24h 1s", 0, "5m0s", "5m1s"},
		{"refuse429=24h 1s", 1, "5m15s", "5m16s"},
		// Without it, a part of what doubles up to a minute.
		{"refuse429 refuse429 refuse429", 0, "0s 0s 0s", "0s"},
		{"refuse429 refuse429 refuse429", 1, "1s 3s 7s", "7s"},
		{"refuse429 refuse429 refuse429", 0.25, "250ms 750ms 1.75s", "1.75s"},
		{strings.Repeat("refuse429 ", 9), 1, "1s 3s 7s 15s 31s 1m3s 2m3s 3m3s 4m3s", "4m3s"},
		{"fail503 closed lost", 1, "1s 3s 7s", "7s"},
		// Refusals and failures are counted apart.
		{"fail503 refuse429 fail503 refuse429 fail503 refuse429", 1, "1s 2s 4s 6s 10s 14s", "14s"},
		// At another node the counts begin anew.
		{"fail503 fail503 fail503 at=b fail503 fail503 fail503", 1, "1s 3s 7s 8s 10s 14s", "14s"},
		// A limiter that holds back a call counts for nothing, and changes nothing.
		{"park=20m park=20m park=20m park=20m park=20m", 1, "20m0s 40m0s 1h0m0s 1h20m0s 1h40m0s", "1h40m0s"},
		{"fail503 park=10s fail503 at=b park=10s at=llm fail503 1s", 1, "1s 11s 13s 23s 27s", "28s"},
	} {
		t.Run(fmt.Sprint(test.do, " ", test.random), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "a "+test.do)
				plan.Concurrency, plan.random = 1, always(test.random)
				backend := newFake(t)
				n := play(t, t.Context(), plan, resuming{waiting{backend}})
				wanted := []string{}
				for at := range strings.FieldsSeq(test.resumes) {
					wanted = append(wanted, at+" resume a")
				}
				want(t, "resumes", backend.log("resume"), wanted)
				want(t, "took", n.took.String(), test.took)
				want(t, "succeeded", n.ids(Succeeded), []string{"a"})
				want(t, "attempts", n.results["a"].Attempts, 1)
				var parked []string
				for _, e := range n.events {
					if e.Kind == Parked {
						parked = append(parked, fmt.Sprintf("%v resume a", e.Until.Sub(backend.born)))
					}
				}
				want(t, "parked", parked, wanted)
			})
		})
	}
}

// TestWhoWaitsForARefusalHoldsNoSlot: with one slot, others are started and
// resumed in the meantime.
func TestWhoWaitsForARefusalHoldsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a 1s refuse429=10s 1s", "b 2s fail503 1s", "c 2s", "d 30s", "e 1s")
		plan.Concurrency, plan.random = 1, always(1)
		backend := newFake(t)
		n := play(t, t.Context(), plan, resuming{waiting{backend}})
		want(t, "calls", backend.log("start", "resume"), []string{
			"0s start a", "1s start b", "3s start c", "5s resume b", "6s start d", "36s resume a", "37s start e",
		})
		want(t, "most at work", backend.most, 1)
		want(t, "succeeded", n.ids(Succeeded), []string{"a", "b", "c", "d", "e"})
	})
}

// TestGivenUp: the last chance is always taken to be the worst. The company of a
// run that succeeds keeps the breaker out of it.
func TestGivenUp(t *testing.T) {
	const call = "node llm (llm): POST models.test/v1/chat"
	tests := map[string]struct {
		retry func(*Retry)
		at    time.Duration
		err   ErrorInfo
	}{
		"1s fail503*": {nil, 8 * time.Second, ErrorInfo{"unavailable", "given up after 4 tries: " + call + " answered 503 Service Unavailable: busy", 503, "llm"}},
		"at=b lost*":  {nil, 7 * time.Second, ErrorInfo{"connection", "given up after 4 tries: node b (llm): POST models.test/v1/chat: unexpected EOF", 0, "b"}},
		"closed*":     {nil, 7 * time.Second, ErrorInfo{"connection", "given up after 4 tries: " + call + ": unexpected EOF", 0, "llm"}},
		"2s fail503":  {func(r *Retry) { r.MaxAttempts = 1 }, 2 * time.Second, ErrorInfo{"unavailable", "given up after 1 try: " + call + " answered 503 Service Unavailable: busy", 503, "llm"}},
		// The fourth failure, whatever was refused in between.
		"fail503 refuse429 fail503 refuse429 fail503 refuse429 fail503": {nil, 14 * time.Second, ErrorInfo{"unavailable", "given up after 4 tries: " + call + " answered 503 Service Unavailable: busy", 503, "llm"}},
		// 1, 3, 7, 15, 31, 63 s, then every minute up to 903 s, which is too late.
		"refuse429*": {nil, 843 * time.Second, ErrorInfo{"rate_limited", "given up after 14m3s: " + call + " answered 429 Too Many Requests: slow down", 429, "llm"}},
		// Of the tries at one node only: the second node is at 2 s when it begins.
		"refuse429 1s at=b refuse429*": {func(r *Retry) { r.MaxElapsed = 5 * time.Second }, 5 * time.Second, ErrorInfo{"rate_limited", "given up after 3s: node b (llm): POST models.test/v1/chat answered 429 Too Many Requests: slow down", 429, "b"}},
		// What would be too late is not waited for.
		"refuse429=4m*":        {func(r *Retry) { r.MaxElapsed = 3 * time.Minute }, 0, ErrorInfo{"rate_limited", "given up after 0s: " + call + " answered 429 Too Many Requests: slow down", 429, "llm"}},
		"fail503 20s fail503*": {func(r *Retry) { r.MaxElapsed, r.MaxAttempts = 30*time.Second, 99 }, 27 * time.Second, ErrorInfo{"unavailable", "given up after 27s: " + call + " answered 503 Service Unavailable: busy", 503, "llm"}},
		// An empty account does not fill up in a minute.
		"1s quota": {nil, time.Second, ErrorInfo{"denied", call + " answered 429 Too Many Requests: the account is empty", 429, "llm"}},
		"garbled":  {nil, 0, ErrorInfo{"bad_request", call + " answered 400 Bad Request: what is that", 400, "llm"}},
		"unknown":  {nil, 0, ErrorInfo{"run_failed", call + " answered 404 Not Found: no such model", 404, "llm"}},
		"denied":   {nil, 0, ErrorInfo{"denied", "POST models.test/v1/chat answered 401 Unauthorized: no such key", 401, ""}},
	}
	for do, test := range tests {
		t.Run(do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "b 0s", "a pay=7/5 "+do)
				if do == "denied" {
					plan = newPlan(t, "b 0s", "a denied")
				}
				plan.Concurrency, plan.random = 1, always(1)
				if test.retry != nil {
					test.retry(&plan.Retry)
				}
				backend := newFake(t)
				n := play(t, t.Context(), plan, resuming{waiting{backend}})
				r := n.results["a"]
				want(t, "status", r.Status, Failed)
				want(t, "error", *r.Error, test.err)
				want(t, "ended", r.FinishedAt.Sub(backend.born), test.at)
				want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{Succeeded: 1, Failed: 1}})
				terminated := []string{}
				if strings.Contains(r.Error.Message, "given up") { // its run would wait for ever
					terminated = []string{fmt.Sprintf("%v terminate a", test.at)}
				}
				want(t, "terminated", backend.log("terminate"), terminated)
				if do != "denied" {
					want(t, "usage", r.Usage, &Usage{InputTokens: 7, OutputTokens: 5, USD: 17e-6})
				}
			})
		})
	}
}

// TestNodesThatTakeTurns are refused side by side: the run is suspended for the
// one or the other, and is given up all the same.
func TestNodesThatTakeTurns(t *testing.T) {
	retry := &Retry{MaxAttempts: 4, MaxElapsed: time.Minute}
	retry.Backoff.Initial, retry.Backoff.Factor, retry.Backoff.Max = time.Second, 2, time.Minute
	for word, most := range map[string]time.Duration{"fail503": 20 * time.Second, "refuse429": 2 * time.Minute} {
		var met trouble
		var giveUp error
		began := time.Now()
		now := began
		for try := 0; giveUp == nil && try < 1000; try++ {
			var pause time.Duration
			err := &RunError{Node: string("ab"[try%2]), Type: "llm", Err: troubleOf(word, "")}
			pause, giveUp = met.meet(err, retry, now, always(1))
			now = now.Add(pause)
		}
		if took := now.Sub(began); giveUp == nil || took > most {
			t.Errorf("%s at two nodes by turns: %v after %v", word, giveUp, took)
		}
	}
}

// TestPausesOfARetry: whatever the retry and what was met, a pause is within its
// bounds, and there is an end to them.
func TestPausesOfARetry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		duration := func(what string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, what))
		}
		retry := &Retry{MaxAttempts: rapid.IntRange(1, 5).Draw(t, "attempts"), MaxElapsed: duration("elapsed", time.Hour) + 1}
		retry.Backoff.Initial = duration("initial", 10*time.Second)
		retry.Backoff.Factor = rapid.Float64Range(1, 1000).Draw(t, "factor")
		retry.Backoff.Max = duration("max", 2*time.Minute)
		chance := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "chance")))
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"refuse429", "refuse429=1s", "refuse429=20m", "fail503", "closed", "held"}), 1, 60).Draw(t, "words")
		var met trouble
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		began := time.Time{}
		refusals, failures := 0, 0
		for _, word := range words {
			name, arg, _ := strings.Cut(word, "=")
			var err error = &HeldBack{For: time.Second}
			tries := 0
			switch name {
			case "held":
			case "refuse429":
				refusals++
				err, tries = troubleOf(name, arg), refusals
			default:
				failures++
				err, tries = troubleOf(name, ""), failures
			}
			if began.IsZero() && name != "held" {
				began = now
			}
			pause, giveUp := met.meet(err, retry, now, chance.Float64)
			least, most := time.Duration(0), time.Duration(0)
			switch after, _ := time.ParseDuration(arg); {
			case name == "held":
				least, most = time.Second, time.Second
			case arg != "":
				least = min(after, 5*time.Minute)
				most = least + least/20
			default:
				most = min(retry.Backoff.Max, time.Duration(min(float64(retry.Backoff.Initial)*math.Pow(retry.Backoff.Factor, float64(tries-1)), 1e12)))
			}
			late := !began.IsZero() && now.Add(most).Sub(began) > retry.MaxElapsed
			early := !began.IsZero() && now.Add(least).Sub(began) > retry.MaxElapsed
			switch {
			case name == "held" && giveUp != nil:
				t.Fatalf("given up although nothing was refused: %v", giveUp)
			case giveUp != nil && name == "refuse429" && !late, giveUp != nil && name != "refuse429" && !late && failures < retry.MaxAttempts:
				t.Fatalf("given up too soon: %v", giveUp)
			case giveUp != nil:
				return
			case name != "held" && (early || name != "refuse429" && failures >= retry.MaxAttempts):
				t.Fatalf("not given up at %v, after %d failures", now.Sub(began), failures)
			case pause < least || pause > most:
				t.Fatalf("%s: a pause of %v, want %v to %v", word, pause, least, most)
			}
			now = now.Add(pause + duration("work", time.Minute))
		}
	})
}

// TestBackoffOfNothing: no growth makes a pause of none, or of one without end.
func TestBackoffOfNothing(t *testing.T) {
	retry := &Retry{}
	retry.Backoff.Factor, retry.Backoff.Max = 2, time.Minute
	for _, tries := range []int{1, 2, 1000, 1025, 5000} { // 2^1024 is no float64 any more
		want(t, fmt.Sprint(tries, " without a first pause"), backoff(retry, tries, always(0.5)), time.Duration(0))
		long := *retry
		long.Backoff.Initial = time.Hour
		want(t, fmt.Sprint(tries, " with a long one"), backoff(&long, tries, always(0.5)), 30*time.Second)
	}
}
