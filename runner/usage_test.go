package runner

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nightshift/schema"
)

func TestUsageAdds(t *testing.T) {
	var none *Usage
	first := none.Add(Usage{InputTokens: 3, USD: 0.5, Cached: true})
	want(t, "the first", *first, Usage{InputTokens: 3, USD: 0.5, Cached: true})
	both := first.Add(Usage{InputTokens: 1, OutputTokens: 2, USD: 0.25, Unpriced: true, Cached: true})
	want(t, "both", *both, Usage{InputTokens: 4, OutputTokens: 2, USD: 0.75, Unpriced: true, Cached: true})
	want(t, "one was not from the cache", both.Add(Usage{}).Cached, false)
	want(t, "nor is it when others are", none.Add(Usage{}).Add(Usage{Cached: true}).Cached, false)
	want(t, "the first, still", *first, Usage{InputTokens: 3, USD: 0.5, Cached: true})
}

// TestUsageInALine: what a line says of usage and of the HTTP status is what was
// put in, and fits the published schema.
func TestUsageInALine(t *testing.T) {
	validator := schema.ResultValidator()
	rapid.Check(t, func(t *rapid.T) {
		r := &Result{ID: "a", Generation: "g", Status: Failed, FinishedAt: time.Now()}
		r.Error = &ErrorInfo{Class: "denied", StatusCode: rapid.SampledFrom([]int{0, 100, 401, 429, 503, 599}).Draw(t, "status")}
		if rapid.Bool().Draw(t, "known") {
			r.Usage = &Usage{
				InputTokens: rapid.Int64Range(0, 1<<53).Draw(t, "input"), OutputTokens: rapid.Int64Range(0, 1<<53).Draw(t, "output"),
				USD:      rapid.OneOf(rapid.Float64Range(0, 1e-6), rapid.Float64Range(0, 1e6), rapid.SampledFrom([]float64{0, 0.1 + 0.2, 1e21})).Draw(t, "usd"),
				Unpriced: rapid.Bool().Draw(t, "unpriced"), Cached: rapid.Bool().Draw(t, "cached"),
			}
		}
		line := r.AppendJSON(nil)
		decoded := decode(t, line)
		if err := validator.Validate(decoded); err != nil {
			t.Fatalf("%s: %#v", line, err)
		}
		var got struct {
			Error struct {
				StatusCode *int `json:"status_code"`
			}
			Usage map[string]any
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		if code := got.Error.StatusCode; (code == nil) != (r.Error.StatusCode == 0) || code != nil && *code != r.Error.StatusCode {
			t.Fatalf("status %d: %s", r.Error.StatusCode, line)
		}
		if r.Usage == nil {
			if got.Usage != nil {
				t.Fatalf("usage out of nothing: %s", line)
			}
			return
		}
		wanted := map[string]any{"input_tokens": float64(r.Usage.InputTokens), "output_tokens": float64(r.Usage.OutputTokens), "usd": nil, "cached": r.Usage.Cached}
		if usd, ok := got.Usage["usd"].(float64); ok && !r.Usage.Unpriced && math.Abs(usd-r.Usage.USD) <= 1e-9+r.Usage.USD*1e-12 {
			wanted["usd"] = usd // to a billionth of a dollar
		}
		if diff := gocmp.Diff(wanted, got.Usage); diff != "" {
			t.Fatalf("usage %+v (-want +got):\n%s", r.Usage, diff)
		}
	})
}

func TestUsageAsWritten(t *testing.T) {
	for wanted, usage := range map[string]*Usage{
		`null`: nil,
		`{"input_tokens":12,"output_tokens":345,"usd":0.3,"cached":false}`:      {InputTokens: 12, OutputTokens: 345, USD: 0.1 + 0.2},
		`{"input_tokens":0,"output_tokens":0,"usd":0,"cached":true}`:            {Cached: true},
		`{"input_tokens":1,"output_tokens":0,"usd":null,"cached":false}`:        {InputTokens: 1, USD: 2, Unpriced: true},
		`{"input_tokens":1,"output_tokens":0,"usd":0.000000015,"cached":false}`: {InputTokens: 1, USD: 1.5e-8},
	} {
		_, line, _ := bytes.Cut((&Result{Usage: usage}).AppendJSON(nil), []byte(`"usage":`))
		got, _, _ := strings.Cut(string(line), `,"possible`)
		want(t, "usage", got, wanted)
	}
}

// TestUsageOfEveryEnd: what a run took is in its result however it ended.
func TestUsageOfEveryEnd(t *testing.T) {
	const pay = "pay=10/5 "
	for name, variant := range map[string]func(*fake) Backend{
		"waiter": func(f *fake) Backend { return resuming{waiting{f}} },
		"polled": func(f *fake) Backend { return pollResuming{f} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, "ok "+pay+"1s", "fail "+pay+"1s fail", "cancel "+pay+"cancel", "deny "+pay+"2s deny", "twice "+pay+"refuse429=1s 1s "+pay+"ok",
					"giveup "+pay+"refuse429=1h*", "late "+pay+"hang", "parked "+pay+"park=1s hang", "never 1s", "refused refuse")
				plan.Concurrency, plan.Timeout, plan.Retry.MaxElapsed = 10, time.Minute, time.Minute
				plan.PollInterval = 300 * time.Millisecond
				n := play(t, t.Context(), plan, variant(newFake(t)))
				once, twice := &Usage{InputTokens: 10, OutputTokens: 5, USD: 20e-6}, &Usage{InputTokens: 20, OutputTokens: 10, USD: 40e-6}
				for id, wanted := range map[string]*Usage{
					"ok": once, "fail": once, "cancel": once, "deny": once, "twice": twice, "giveup": once, "late": once, "parked": once, "never": nil, "refused": nil,
				} {
					want(t, id, n.results[id].Usage, wanted)
				}
				want(t, "late", n.results["late"].Status, TimedOut)
				want(t, "parked", n.results["parked"].Status, TimedOut)
			})
		})
	}
}

func TestSummaryTellsTheCost(t *testing.T) {
	sum := func(usages ...*Usage) string {
		var s Summary
		at := time.Now()
		s.Handle(Event{Kind: Planned, Batch: "b", Time: at, Plan: &Plan{Total: -1}})
		for _, u := range usages {
			s.Handle(Event{Kind: Finished, Result: &Result{Status: Succeeded, Usage: u}})
		}
		s.Handle(Event{Kind: Ended, Time: at.Add(time.Second), Outcome: &Outcome{}})
		_, cost, _ := strings.Cut(s.String(), " succeeded")
		return cost
	}
	priced, unpriced, cached := &Usage{InputTokens: 100, OutputTokens: 7, USD: 0.00125}, &Usage{InputTokens: 5, OutputTokens: 1, Unpriced: true}, &Usage{Cached: true}
	want(t, "nothing asked", sum(nil, nil), "")
	want(t, "asked, and nothing taken", sum(&Usage{}), "")
	want(t, "one", sum(priced), "; 100 tokens in, 7 out, 0.0013 USD")
	want(t, "two", sum(priced, nil, priced), "; 200 tokens in, 14 out, 0.0025 USD")
	want(t, "no price", sum(unpriced), "; 5 tokens in, 1 out")
	want(t, "some have no price", sum(unpriced, priced), "; 105 tokens in, 8 out, 0.0013 USD and what has no known price")
	want(t, "all kept", sum(cached, cached), "; 2 answered from the cache")
	want(t, "some kept", sum(cached, priced), "; 100 tokens in, 7 out, 0.0013 USD, 1 answered from the cache")
}

// TestSummaryOfABrokenBatch says that it was stopped, and how many items were run.
func TestSummaryOfABrokenBatch(t *testing.T) {
	alone := func(p *Plan) { p.Concurrency, p.Total, p.random = 1, 9, always(1) }
	want(t, "denied", sumUp(t, alone, each(9, "1s deny")...),
		"b: 0 of 9 items in 5s: 0 succeeded; stopped as all runs failed alike")
	want(t, "unreachable", sumUp(t, alone, each(9, "closed*")...),
		"b: 0 of 9 items in 1.5s: 0 succeeded; stopped as all runs failed alike, 5 runs terminated")
}
