package runner

import (
	"encoding/json"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// sameTally compares histograms too, which go-cmp cannot look into.
var sameTally = gocmp.AllowUnexported(histogram{})

func tallyOf(lines []Line) *Tally {
	t := &Tally{}
	for i := range lines {
		t.Add(&lines[i])
	}
	return t
}

func TestTally(t *testing.T) {
	clock := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	got := tallyOf([]Line{
		{
			Status: Succeeded, Attempts: 1, Duration: 2 * time.Second, StartedAt: clock.Add(time.Hour), FinishedAt: clock.Add(3 * time.Hour),
			Usage: &Usage{InputTokens: 100, OutputTokens: 20, USD: 0.1},
		},
		{
			Status: Succeeded, Attempts: 3, Duration: 4 * time.Second, StartedAt: clock, FinishedAt: clock.Add(2 * time.Hour),
			Usage: &Usage{InputTokens: 1, OutputTokens: 2, USD: 0.2}, PossibleDuplicate: true,
		},
		{Status: Succeeded, Attempts: 1, Usage: &Usage{Cached: true}},
		{Status: Failed, Class: "run_failed", Attempts: 2, Usage: &Usage{InputTokens: 1, Unpriced: true}},
		{Status: Failed, Class: "invalid_input", FinishedAt: clock},
	})
	want(t, "quantile", got.Quantile(0.5), got.Quantile(0.25)) // 0s 0s 2s 4s
	want(t, "p100", got.Quantile(1), 4*time.Second)
	want(t, "max", got.Max(), 4*time.Second)
	want(t, "usd", got.USD(), 0.3)
	want(t, "not succeeded", got.NotSucceeded(), 2)
	if diff := gocmp.Diff(&Tally{
		Items: 5, Statuses: map[State]int{Succeeded: 3, Failed: 2}, Classes: map[string]int{"run_failed": 1, "invalid_input": 1},
		Attempts: 7, Retries: 3, PossibleDuplicates: 1,
		InputTokens: 102, OutputTokens: 22, NanoUSD: 300_000_000, Asked: 4, Unpriced: 1, FromCache: 1,
		Durations: got.Durations, FirstStart: clock, LastEnd: clock.Add(3 * time.Hour),
	}, got, sameTally); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want(t, "durations", got.Durations.count, 4)
}

// TestTallyIsTheSameInAnyOrder, counted live or from what was written, and also
// if it was put down as JSON and read again in between.
func TestTallyIsTheSameInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		results := rapid.SliceOfN(completeResult, 0, 8).Draw(t, "results")
		var live, read []Line
		for _, r := range results {
			live = append(live, r.Line())
			var line Line
			if err := ParseLine(trimmed(r), &line); err != nil {
				t.Fatal(err)
			}
			read = append(read, line)
		}
		wanted := tallyOf(live)

		read = rapid.Permutation(read).Draw(t, "order")
		cut := rapid.IntRange(0, len(read)).Draw(t, "cut")
		text, err := json.Marshal(tallyOf(read[:cut]))
		if err != nil {
			t.Fatal(err)
		}
		var got Tally
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := gocmp.Diff(tallyOf(read[:cut]), &got, sameTally); diff != "" {
			t.Fatalf("-put down +read again:\n%s", diff)
		}
		for i := range read[cut:] {
			got.Add(&read[cut+i])
		}
		if diff := gocmp.Diff(wanted, &got, sameTally); diff != "" {
			t.Fatalf("-live +read:\n%s", diff)
		}
	})
}

func TestTallyAsJSON(t *testing.T) {
	line := typicalResult(1).Line()
	line.Class = "c"
	text, err := json.Marshal(tallyOf([]Line{line, line}))
	want(t, "error", err, nil)
	want(t, "tally", string(text), `{"items":2,"statuses":{"succeeded":2},"classes":{"c":2},"attempts":2,"retries":0,"possible_duplicates":0,`+
		`"input_tokens":200,"output_tokens":40,"nano_usd":250000,"asked":2,"unpriced":0,"from_cache":0,`+
		`"durations":{"max_ns":1500000000,"buckets":[[525,2]]},"first_start":"2026-11-23T01:02:03.001Z","last_end":"2026-11-23T01:02:04.501Z"}`)

	// What little a hand has left can be added to.
	var little Tally
	want(t, "error", json.Unmarshal([]byte(`{"items":1,"statuses":{"failed":1},"classes":null}`), &little), nil)
	little.Add(&line)
	want(t, "items", little.Items, 2)
}
