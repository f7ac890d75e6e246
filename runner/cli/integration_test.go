//go:build integration

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestIntegrationTickets labels a thousand tickets with a real model, and then
// again with the answers that were kept.
func TestIntegrationTickets(t *testing.T) {
	dir := t.TempDir()
	batch := copyTickets(t, dir)
	server := startCounter(t, startOllama(t, "ticket-tiny"))
	env := []string{"OLLAMA_HOST=" + server.URL}

	nightshift(t, env, "run", batch)
	first := readResults(t, filepath.Join(dir, "results", "tickets.jsonl"))
	checkLabels(t, first)
	for id, r := range first {
		if u := r.Usage; u == nil || u.InputTokens == 0 || u.OutputTokens == 0 || u.Cached {
			t.Fatalf("%s: usage is %+v, want tokens that were paid for", id, u)
		}
	}
	asked := server.requests.Load()
	if asked != int64(len(first)) {
		t.Errorf("the model was asked %d times for %d tickets", asked, len(first))
	}

	again := filepath.Join(dir, "again.jsonl")
	nightshift(t, env, "run", batch, "--output", again)
	for id, r := range readResults(t, again) {
		if diff := cmp.Diff(first[id].Outputs, r.Outputs); diff != "" {
			t.Errorf("%s: outputs differ from those of the first run:\n%s", id, diff)
		}
		if r.Usage == nil || !r.Usage.Cached {
			t.Fatalf("%s: usage is %+v, want a kept answer", id, r.Usage)
		}
	}
	if n := server.requests.Load() - asked; n != 0 {
		t.Errorf("the model was asked %d times for what was kept", n)
	}

	nightshift(t, env, "run", batch, "--output", again, "--fresh", "--limit", "20")
	if n := server.requests.Load() - asked; n != 20 {
		t.Errorf("with --fresh, the model was asked %d times for 20 tickets", n)
	}
}

// TestIntegrationFaults labels them through a server that fails a fifth of the
// requests, in every way there is: none may be lost, and none asked again that
// was answered.
func TestIntegrationFaults(t *testing.T) {
	dir := t.TempDir()
	batch := copyTickets(t, dir)
	model := startCounter(t, startOllama(t, "ticket-tiny"))
	faulty := startLLMock(t, model.URL,
		"--chaos-ratelimit", "0.1", "--chaos-drop", "0.05", "--chaos-disconnect", "0.03", "--chaos-malformed", "0.02")

	nightshift(t, []string{"OLLAMA_HOST=" + faulty}, "run", batch)
	lines := readResults(t, filepath.Join(dir, "results", "tickets.jsonl"))
	checkLabels(t, lines)

	faults := readFaults(t, faulty)
	t.Logf("faults: %v", faults)
	total := 0
	for _, kind := range []string{"rateLimit", "drop", "disconnect", "malformed"} {
		if total += faults[kind]; faults[kind] == 0 {
			t.Errorf("there was no %s", kind)
		}
	}
	if total < 100 {
		t.Errorf("there were %d faults only", total)
	}
	// Only a malformed answer was made by the model first.
	if asked := int(model.requests.Load()); asked != len(lines)+faults["malformed"] {
		t.Errorf("the model was asked %d times for %d tickets, of which %d answers were spoilt", asked, len(lines), faults["malformed"])
	}
}

const streamedBatch = `version: 1
pipeline:
  name: streamed
  nodes:
    ticket: {type: input}
    llm: {type: llm, inputs: {provider: ollama, model: ticket-tiny, prompt: "{{ ticket.text }}", temperature: 0, stream: true}}
    answer: {type: output, inputs: {output_type: stream<string>, value: "{{ llm.response }}"}}
batches:
  one: {inputs: [{ticket: hello}]}
`

// TestIntegrationStream follows one run, token by token.
func TestIntegrationStream(t *testing.T) {
	batch := filepath.Join(t.TempDir(), "batch.yaml")
	if err := os.WriteFile(batch, []byte(streamedBatch), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"OLLAMA_HOST=" + startOllama(t, "ticket-tiny")}
	out := nightshift(t, env, "stream", batch, "--input", "ticket=hi my payment was charged twice please help asap")

	type chunk struct {
		Type        string
		RunID       string `json:"run_id"`
		OutputName  string `json:"output_name"`
		OutputValue any    `json:"output_value"`
		Status      string
		Outputs     map[string]any
	}
	pieces := map[string]int{}
	text := map[string]string{}
	var last chunk
	for line := range strings.Lines(out) {
		var c chunk
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if last.Type == "result" || last.RunID != "" && c.RunID != last.RunID {
			t.Errorf("%s follows on a chunk of type %s and run %s", line, last.Type, last.RunID)
		}
		if last = c; c.Type == "stream" {
			pieces[c.OutputName]++
			text[c.OutputName] += fmt.Sprint(c.OutputValue)
		}
	}
	if last.Type != "result" || last.Status != "succeeded" {
		t.Fatalf("it does not end with a result that succeeded:\n%s", out)
	}
	answer, _ := last.Outputs["answer"].(string)
	var label struct {
		Label  string
		Urgent bool
	}
	if err := json.Unmarshal([]byte(answer), &label); err != nil || label.Label != "billing" || !label.Urgent {
		t.Errorf("the answer is %q (%v)", answer, err)
	}
	for _, name := range []string{"llm.response", "answer"} {
		if pieces[name] < 5 || strings.TrimSpace(text[name]) != strings.TrimSpace(answer) {
			t.Errorf("%s came in %d pieces, as %q", name, pieces[name], text[name])
		}
	}
}

// TestIntegrationGuide runs the guide's pipeline as it stands, against a server
// that has a model under the name of the one it asks for.
func TestIntegrationGuide(t *testing.T) {
	results := filepath.Join(t.TempDir(), "prompts.jsonl")
	env := []string{"OPENAI_API_KEY=of-no-importance", "OPENAI_BASE_URL=" + startOllama(t, "gpt-5.1") + "/v1", "NIGHTSHIFT_STATE=" + t.TempDir()}
	nightshift(t, env, "run", "../../examples/bg_summariser.yaml", "--output", results)
	if lines := readResults(t, results); len(lines) != 3 {
		t.Errorf("%d results, want 3", len(lines))
	}
}

// nightshift runs the command, which must exit with 0.
func nightshift(t *testing.T, env []string, args ...string) (stdout string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	group := ownGroup
	cmd.SysProcAttr = &group
	cmd.Env = append(os.Environ(), asCommand+"=1", "OLLAMA_BASE_URL=", "NIGHTSHIFT_STATE=")
	cmd.Env = append(cmd.Env, env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("nightshift %s: %v\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	t.Logf("nightshift %s: %v\n%s", args[0], time.Since(began).Round(time.Millisecond), said.Bytes())
	return out.String()
}

// copyTickets copies the example, so that its results do not land in the repository.
func copyTickets(t *testing.T, dir string) (batch string) {
	t.Helper()
	if err := copyWithoutResults(dir, "../../examples/tickets_llm"); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "batch.yaml")
}
