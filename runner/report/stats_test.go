package report

import (
	"encoding/json"
	"testing"
	"time"

	"nightshift/runner"
)

func TestSum(t *testing.T) {
	other := failed(0, "z", "denied", "no")
	other.Batch, other.Generation = "figures", "last night"
	retried := succeeded(1, "b")
	retried.Attempts, retried.PossibleDuplicate = 3, true
	retried.Usage = &runner.Usage{InputTokens: 10, OutputTokens: 20, USD: 0.0125}
	kept := succeeded(2, "c")
	kept.Usage = &runner.Usage{Cached: true}
	late := failed(3, "d", "timed_out", "the run took longer than its timeout")
	late.Status = runner.TimedOut
	path := write(t, succeeded(0, "a"), other, failed(1, "b", "run_failed", "no"), kept, late)
	rerun(t, path, retried)
	r, _ := open(t, path)
	all, err := Sum(r)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "batches", len(all), 2)
	want(t, "facts", all[0].String(), `facts: `+path+`
  items                4
  succeeded            3 (75.0%)
  timed out            1 (25.0%)
  error timed_out      1 (25.0%)
  duration             p50 2.03s, p95 4s, max 4s
  tokens               10 in, 20 out
  cost                 0.0125 USD
  from the cache       1
  retries              2
  possible duplicates  1
  first start          2026-11-23 01:00:00 UTC
  last end             2026-11-23 01:00:04 UTC
`)
	want(t, "figures", all[1].String(), `figures: `+path+`
  items         1
  succeeded     0 (0.0%)
  failed        1 (100.0%)
  error denied  1 (100.0%)
  duration      p50 1s, p95 1s, max 1s
  retries       0
  first start   2026-11-23 01:00:00 UTC
  last end      2026-11-23 01:00:01 UTC
`)
	text, err := json.Marshal(all[1])
	want(t, "error", err, nil)
	want(t, "JSON", string(text), `{"batch":"figures","results":"`+path+`","generation":"last night",`+
		`"items":1,"statuses":{"cancelled":0,"failed":1,"succeeded":0,"timed_out":0},"classes":{"denied":1},"durations_ms":{"p50":1000,"p95":1000,"max":1000},`+
		`"usage":{"input_tokens":0,"output_tokens":0,"usd":0,"unpriced":0,"from_cache":0},"attempts":1,"retries":0,"possible_duplicates":0,`+
		`"started_at":"2026-11-23T01:00:00Z","finished_at":"2026-11-23T01:00:01Z"}`)
	want(t, "generations", []string{all[0].Generation, all[1].Generation}, []string{"tonight", "last night"})
}

func TestCost(t *testing.T) {
	want(t, "none known", cost(&runner.Tally{Asked: 2, Unpriced: 2}), "not known")
	want(t, "some known", cost(&runner.Tally{Asked: 2, Unpriced: 1, NanoUSD: 2e9}),
		"2.0000 USD, and that of 1 item whose models have no known price")
	want(t, "all known", cost(&runner.Tally{Asked: 2, NanoUSD: 1e5}), "0.0001 USD")
}

// TestSumIsWhatResultsSay holds reading against counting while a batch runs.
func TestSumIsWhatResultsSay(t *testing.T) {
	results := many(1000)
	var counted runner.Tally
	for i := range results {
		results[i].Duration += 1500 * time.Microsecond
		line := results[i].Line()
		counted.Add(&line)
	}
	r, _ := open(t, write(t, results...))
	all, err := Sum(r)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "max", all[0].Tally.Max(), counted.Max())
	for _, q := range []float64{0.01, 0.5, 0.95} {
		want(t, "quantile", all[0].Tally.Quantile(q), counted.Quantile(q))
	}
	want(t, "items", all[0].Tally.Items, 1000)
	want(t, "last end", all[0].Tally.LastEnd, counted.LastEnd)
}
