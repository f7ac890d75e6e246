package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestConcurrencyIsNeverAboveTheLimit: the server counts, while calls are refused,
// fail and hang up, runs are parked and resumed, and runs that failed are started
// again.
func TestConcurrencyIsNeverAboveTheLimit(t *testing.T) {
	const atOnce = 8
	words := []string{"", "[429]", "[503]", "[hang-up]", "[429]", ""}
	s := serveModel(t, 10*time.Millisecond, byWord)
	s.again = "0.01"
	t.Setenv("OPENAI_BASE_URL", s.URL+"/v1")
	t.Setenv("OPENAI_API_KEY", "none")
	dir := t.TempDir()
	var rows strings.Builder
	for i := range 240 {
		word := words[i%len(words)]
		if i < 60 {
			word = "" // full speed first: a storm of refusals slows it down
		}
		fmt.Fprintf(&rows, "question %d %s\n", i, word)
	}
	batch := filepath.Join(dir, "batch.yaml")
	for name, text := range map[string]string{"rows.txt": rows.String(), "batch.yaml": `version: 1
pipeline:
  name: asks
  nodes:
    in: {type: input}
    first: {type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}"}}
    json: {type: read_json_values, inputs: {json_string: "{{ first.response }}", keys: [a]}}
    out: {type: output, inputs: {value: "{{ json.json_values }}"}}
batches: {asks: {from: rows.txt, map: {in: "{{ row.text }}"}}}
run: {concurrency: 8, cache: false, retry: {failed_runs: true, max_attempts: 2, backoff: {initial: 10ms, max: 20ms}}}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	code := execute(context.Background(), []string{"run", batch}, streams{strings.NewReader(""), &said, &console{w: &said}})
	if code != exitItems { // what the model says is no JSON
		t.Fatalf("exit code %d\n%s", code, said.String())
	}
	if s.peak != atOnce {
		t.Errorf("%d calls at once, want %d and never more", s.peak, atOnce)
	}
	if s.requests < 480 {
		t.Errorf("%d calls: runs that failed were not started again", s.requests)
	}
}
