package runner

import (
	"cmp"
	"errors"
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
		// Of nodes that are refused side by side, the longest pause counts.
		{"refuse429=1s+refuse429=3s 1s", 0, "3s", "4s"},
		{"refuse429=3s+refuse429=1s 1s", 1, "3.15s", "4.15s"},
		{"refuse429=3s+fail503+park=7s", 1, "3.15s", "3.15s"},
		// One that was held back asks again when another is due; of such, the first to be due ends the pause.
		{"refuse429=1s+park=1h park=50m 1s", 0, "1s 50m1s", "50m2s"},
		{"park=1h+refuse429=1s 1s", 0, "1s", "2s"},
		{"park=1h+park=10s+park=1m 1s", 0, "10s", "11s"},
		// Where anything got on in between, all begin anew.
		{strings.Repeat("got fail503 ", 9), 1, "1s 2s 3s 4s 5s 6s 7s 8s 9s", "9s"},
		{"got fail503 fail503 fail503 got fail503 fail503 fail503", 1, "1s 3s 7s 8s 10s 14s", "14s"},
		{"refuse429=5m refuse429=5m got refuse429=5m refuse429=5m", 0, "5m0s 10m0s 15m0s 20m0s", "20m0s"},
		{"fail503 fail503+closed closed+fail503", 1, "1s 3s 7s", "7s"},
		// One that is not met again has got on, and begins anew.
		{"refuse429=1ms+closed refuse429=1ms+closed refuse429=1ms refuse429=1ms+closed 1s", 1, "1s 3s 3.00105s 4.00105s", "5.00105s"},
		// A limiter that holds back a call counts for nothing, while others get on.
		{"park=20m park=20m park=20m park=20m park=20m", 1, "20m0s 40m0s 1h0m0s 1h20m0s 1h40m0s", "1h40m0s"},
		{"fail503 park=10s fail503 at=b park=10s at=llm fail503 1s", 1, "1s 11s 13s 23s 24s", "25s"},
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
	short := func(r *Retry) { r.MaxElapsed = 5 * time.Second }
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
		"refuse429 1s at=b refuse429*": {short, 5 * time.Second, ErrorInfo{"rate_limited", "given up after 3s: node b (llm): POST models.test/v1/chat answered 429 Too Many Requests: slow down", 429, "b"}},
		// What would be too late is not waited for.
		"refuse429=4m*":        {func(r *Retry) { r.MaxElapsed = 3 * time.Minute }, 0, ErrorInfo{"rate_limited", "given up after 0s: " + call + " answered 429 Too Many Requests: slow down", 429, "llm"}},
		"refuse429=24h*":       {func(r *Retry) { r.MaxElapsed = time.Minute }, 0, ErrorInfo{"rate_limited", "given up after 0s: " + call + " answered 429 Too Many Requests: slow down (to be tried again after 24h0m0s)", 429, "llm"}},
		"fail503 20s fail503*": {func(r *Retry) { r.MaxElapsed, r.MaxAttempts = 30*time.Second, 99 }, 27 * time.Second, ErrorInfo{"unavailable", "given up after 27s: " + call + " answered 503 Service Unavailable: busy", 503, "llm"}},
		// Held back, with nobody who gets on; the last call that was made tells why.
		"2s idle=1s*":           {short, 7 * time.Second, ErrorInfo{"rate_limited", "given up after 5s: node llm (llm): held back for 1s, as too many calls were refused", 0, "llm"}},
		"refuse429=1s idle=1s*": {short, 4050 * time.Millisecond, ErrorInfo{"rate_limited", "given up after 4.05s: " + call + " answered 429 Too Many Requests: slow down", 429, "llm"}},
		"fail503 idle=1s*":      {short, 5 * time.Second, ErrorInfo{"unavailable", "given up after 5s: " + call + " answered 503 Service Unavailable: busy", 503, "llm"}},
		"idle=2s refuse429=6s":  {short, 2 * time.Second, ErrorInfo{"rate_limited", "given up after 0s: " + call + " answered 429 Too Many Requests: slow down", 429, "llm"}},
		// Waiting for others who get on is not counted.
		"refuse429=2s park=1h refuse429=2s park=1h refuse429=2s": {short, 2*time.Hour + 4200*time.Millisecond, ErrorInfo{"rate_limited", "given up after 4.2s: " + call + " answered 429 Too Many Requests: slow down", 429, "llm"}},
		"idle=3s 1s at=b idle=1s*":                               {short, 9 * time.Second, ErrorInfo{"rate_limited", "given up after 5s: node b (llm): held back for 1s, as too many calls were refused", 0, "b"}},
		// An hour that was not waited, as another node was due before it, does not count as waiting.
		"refuse429=1s park=1h+refuse429=1s refuse429=5s": {short, 2100 * time.Millisecond, ErrorInfo{"rate_limited", "given up after 1.05s: " + call + " answered 429 Too Many Requests: slow down", 429, "llm"}},
		// Nothing got on after the first try.
		"got 1s fail503*": {nil, 8 * time.Second, ErrorInfo{"unavailable", "given up after 4 tries: " + call + " answered 503 Service Unavailable: busy", 503, "llm"}},
		// Any of the nodes that were met side by side ends the run.
		"refuse429=1s+fail503*": {nil, 7050 * time.Millisecond, ErrorInfo{"unavailable", "given up after 4 tries: node llm2 (llm): POST models.test/v1/chat answered 503 Service Unavailable: busy", 503, "llm2"}},
		"park=20m+lost*":        {nil, 7 * time.Second, ErrorInfo{"connection", "given up after 4 tries: node llm2 (llm): POST models.test/v1/chat: unexpected EOF", 0, "llm2"}},
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

// refusedAt is the suspension of a run that met err at its only node.
func refusedAt(at time.Time, err error) *Suspension { return &Suspension{At: at, Errs: []error{err}} }

// TestPausesOfARetry: whatever the retry and what was met, a pause is within its
// bounds, and there is an end to them.
func TestPausesOfARetry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, what))
		}
		retry := &Retry{MaxAttempts: rapid.IntRange(1, 5).Draw(t, "attempts"), MaxElapsed: draw("elapsed", time.Hour) + 1}
		retry.Backoff.Initial = draw("initial", 10*time.Second)
		retry.Backoff.Factor = rapid.Float64Range(1, 1000).Draw(t, "factor")
		retry.Backoff.Max = draw("max", 2*time.Minute)
		chance := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "chance")))
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"refuse429", "refuse429=1s", "refuse429=20m", "fail503", "closed", "park=1s", "idle=1s"}), 1, 60).Draw(t, "words")
		var met trouble
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		began, since := now, time.Time{} // of any trouble, and of calls that were made
		waited, refusals, failures := time.Duration(0), 0, 0
		var last error // of a call that was made
		for _, word := range words {
			name, arg, _ := strings.Cut(word, "=")
			err := troubleOf(name, arg)
			tries := 0
			switch name {
			case "park", "idle":
			case "refuse429":
				refusals++
				tries, last = refusals, err
			default:
				failures++
				tries, last = failures, err
			}
			if tries > 0 && since.IsZero() {
				since, waited = now, 0
			}
			pause, giveUp := met.meet(refusedAt(now, err), retry, chance.Float64)
			least, most := time.Duration(0), time.Duration(0)
			switch after, _ := time.ParseDuration(arg); {
			case tries == 0:
				least, most = time.Second, time.Second
			case arg != "":
				least = min(after, 5*time.Minute)
				most = least + least/20
			default:
				most = min(retry.Backoff.Max, time.Duration(min(float64(retry.Backoff.Initial)*math.Pow(retry.Backoff.Factor, float64(tries-1)), 1e12)))
			}
			elapsed := now.Sub(since) - waited
			if tries == 0 {
				elapsed = now.Sub(began)
				waited += time.Second
			}
			tired := tries > 0 && name != "refuse429" && failures >= retry.MaxAttempts
			switch {
			case name == "park" && giveUp != nil:
				t.Fatalf("given up although others get on: %v", giveUp)
			case giveUp != nil && elapsed+most <= retry.MaxElapsed && !tired:
				t.Fatalf("given up too soon: %v", giveUp)
			case giveUp != nil && !errors.Is(giveUp, cmp.Or(last, err)):
				t.Fatalf("given up with %v, and not with %v", giveUp, cmp.Or(last, err))
			case giveUp != nil:
				return
			case name != "park" && (elapsed+least > retry.MaxElapsed || tired):
				t.Fatalf("%s: not given up at %v, after %d failures", word, elapsed, failures)
			case pause < least || pause > most:
				t.Fatalf("%s: a pause of %v, want %v to %v", word, pause, least, most)
			}
			now = now.Add(pause + draw("work", time.Minute))
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
