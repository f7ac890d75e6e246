package spec

import (
	"testing"
	"time"
)

// TestSet puts values of flags into a file.
func TestSet(t *testing.T) {
	const text = oneInput + "batches:\n  b: {inputs: [{topic: a}, {topic: b}]}\nrun:\n  retry:\nrehearse: {latency: 3s}\n"
	opts := Options{Env: lookupIn(map[string]string{"N": "9"}), Set: []string{
		"run.concurrency=4", "run.timeout=5m", "run.retry.backoff={initial: 7s, factor: 1.5}", "run.stop.failures=5%",
		"batches.b.inputs[1].topic=set", "pipeline.name=other", "results.path=out=${N}-{{ batch }}.jsonl", "run.rate.requests_per_minute=${N}",
		"pipeline.description=# no comment", "batches.c={inputs: [{topic: c}]}", "run.concurrency=5", "pipeline.nodes.out.inputs.value={{ topic.text }}!",
	}}
	f := parsed(t, "", text, opts)
	if f.Run.Concurrency != 5 || f.Run.Timeout != 5*time.Minute || f.Run.Retry.Backoff.Initial != 7*time.Second ||
		f.Run.Retry.Backoff.Factor != 1.5 || f.Run.Stop.FailureShare != 0.05 || f.Run.Rate.RequestsPerMinute != 9 {
		t.Errorf("run: %+v", f.Run)
	}
	if f.Pipeline.Name != "other" || f.Pipeline.Description != "# no comment" || f.Results != "out=9-{{ batch }}.jsonl" {
		t.Errorf("pipeline %q (%q), results %q", f.Pipeline.Name, f.Pipeline.Description, f.Results)
	}
	if got := f.Pipeline.Node("out").Inputs["value"]; got != "{{ topic.text }}!" {
		t.Errorf("a reference became %v", got)
	}
	if f.Rehearse.Latency != 3*time.Second || f.Run.Retry.MaxAttempts != 4 {
		t.Error("what was not set has changed")
	}
	got := inputsOf(itemsOf(t, f.Batch("b"), nil))
	if got[0] != `{"topic":"a"}` || got[1] != `{"topic":"set"}` || f.Batch("c") == nil {
		t.Errorf("batches: %v", got)
	}
}

// TestNumbersOfYAML: every way in which YAML writes a number arrives.
func TestNumbersOfYAML(t *testing.T) {
	for text, want := range map[string]int64{"5000000": 5_000_000, "5_000_000": 5_000_000, "0x10": 16, "0b11": 3, "0o17": 15, "1e6": 1_000_000, "+7": 7, "5.0": 5} {
		f := parsed(t, "", oneInput+"batches: {b: {inputs: [{topic: a}]}}\nrun: {stop: {budget: {tokens: "+text+"}}}\n", Options{})
		if f.Run.Stop.BudgetTokens != want {
			t.Errorf("%s: %d", text, f.Run.Stop.BudgetTokens)
		}
	}
}
