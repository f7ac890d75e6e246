package spec

import (
	"strings"
	"testing"
	"time"
)

func TestRehearse(t *testing.T) {
	for text, want := range map[string]Rehearse{
		"":                           {Latency: 2 * time.Second},
		"rehearse: {latency: 300ms}": {Latency: 300 * time.Millisecond},
		"rehearse: {latency: 0s}":    {},
		"rehearse: {failures: 2.5%}": {Latency: 2 * time.Second, Failures: 0.025},
		"rehearse: {latency: {median: 1s, p95: 4s}, failures: 1%}": {Latency: time.Second, P95: 4 * time.Second, Failures: 0.01},
		"rehearse: {latency: {median: 1s, p95: 1s}}":               {Latency: time.Second, P95: time.Second},
	} {
		f := parsed(t, t.TempDir(), oneInput+"batches:\n  b: {inputs: [{topic: a}]}\n"+text+"\n", Options{})
		if f.Rehearse != want {
			t.Errorf("%s: %+v, not %+v", text, f.Rehearse, want)
		}
	}
}

func TestBadRehearse(t *testing.T) {
	for text, want := range map[string]string{
		"{latency: {median: 3s, p95: 2s}}":          "batch.yaml:9:39: p95 is less than the median: 19 of 20 calls cannot take less time than half of them do",
		"{latency: {median: 3s}}":                   `batch.yaml:9:21: "p95" is missing in rehearse.latency`,
		"{latency: soon}":                           `batch.yaml:9:21: rehearse.latency is the text "soon", but must be a duration such as 500ms or 2s, or {median: 2s, p95: 6s}`,
		"{latency: {median: 0s, p95: 1s}}":          "batch.yaml:9:30: median must be longer than nothing",
		"{latency: {median: 1s, p95: 2s, p99: 3s}}": `batch.yaml:9:43: unknown key "p99" in rehearse.latency; did you mean "p95"?`,
	} {
		_, problems := Parse("batch.yaml", []byte(oneInput+"batches:\n  b: {inputs: [{topic: a}]}\nrehearse: "+text+"\n"), Options{})
		if len(problems) != 1 || strings.Split(problems.Error(), "\n")[0] != want {
			t.Errorf("%s: %v, not %s", text, problems, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	drawn := Rehearse{Latency: 2 * time.Second, P95: 6 * time.Second}
	for q, want := range map[float64]time.Duration{0.5: 2 * time.Second, 0.95: 6 * time.Second, 0.05: 667 * time.Millisecond, 0: 0} {
		if got := drawn.Quantile(q); got.Round(time.Millisecond) != want {
			t.Errorf("%v: %v, not %v", q, got, want)
		}
	}
	if got := drawn.Quantile(1); got < time.Hour {
		t.Errorf("the longest of all: %v", got)
	}
	for _, q := range []float64{0, 0.5, 0.99} {
		if got := (Rehearse{Latency: time.Second}).Quantile(q); got != time.Second {
			t.Errorf("%v of equal ones: %v", q, got)
		}
	}
}
