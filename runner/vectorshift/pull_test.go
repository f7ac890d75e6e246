package vectorshift_test

import (
	"bytes"
	"testing"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

// pulled is the pipeline after it was written to a batch file and read again.
func pulled(t testing.TB, sp *spec.Pipeline) *spec.Pipeline {
	t.Helper()
	var text bytes.Buffer
	if err := spec.Write(&text, sp, nil); err != nil {
		t.Fatal(err)
	}
	f, problems := spec.Parse("pulled.yaml", text.Bytes(), spec.Options{Env: func(string) (string, bool) { return "", false }})
	if wrong, _ := problems.Split(); len(wrong) > 0 {
		t.Fatalf("%v\n%s", wrong, text.String())
	}
	return f.Pipeline
}

func TestPulledPipelineSavesUnchanged(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Put(elsewhere(t, `, "s1": {"id": "s1", "name": "note", "type": "sticky_note", "inputs": {"text": "look"}},
			"x1": {"id": "x1", "name": "crm", "type": "integration_crm", "inputs": {"who": "me", "none": ""}}`))
		p, err := c.Fetch(t.Context(), vectorshift.Which{Name: "p"})
		if err != nil {
			t.Fatal(err)
		}
		sp, notes, err := p.Spec()
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "notes", notes, []string{"node note (sticky_note) is left out", "node llm (llm): left out: api_key, platform_only"})
		read := pulled(t, sp)
		inputs := map[string]map[string]any{}
		for _, n := range read.Nodes {
			inputs[n.Name] = n.Inputs
		}
		wantSame(t, "nodes", inputs, map[string]map[string]any{
			"input_0": {"input_type": "string"}, "llm": {"provider": "openai", "model": "gpt-5.1", "prompt": "{{ input_0.text }}"},
			"output_0": {"output_type": "string", "value": "{{ llm.response }}"}, "crm": {"who": "me", "none": ""},
		})
		wantSame(t, "order of inputs", sp.Node("llm").InputNames, []string{"provider", "model", "prompt"})
		wantSaved(t, s, c, read, runner.Unchanged)
	})
}

// TestPulledTextIsTyped: the platform's page keeps numbers as text.
func TestPulledTextIsTyped(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Put(fetched(t, `"n": {"id": "n", "name": "n", "type": "llm", "inputs": {"provider": "openai", "model": "5", "prompt": "true",
			"temperature": "0.5", "max_tokens": "4096", "stream": "true", "thinking_token_limit": "24576", "top_p": "much"}}`))
		p, err := c.Fetch(t.Context(), vectorshift.Which{Name: "p"})
		if err != nil {
			t.Fatal(err)
		}
		sp, notes, err := p.Spec()
		if err != nil || notes != nil {
			t.Fatal(notes, err)
		}
		wantSame(t, "inputs", sp.Node("n").Inputs, parsed(t, `{"provider": "openai", "model": "5", "prompt": "true", "temperature": 0.5, "max_tokens": 4096, "stream": true, "top_p": "much"}`))
		wantSaved(t, s, c, sp, runner.Unchanged)
	})
}

func TestPullTellsWhatTheFileCannotHold(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Put(fetched(t, `"a": {"id": "a", "name": "a", "type": "text", "inputs": {"text": "{{ gone.text }}"}},
			"b": {"id": "b", "name": "3 words", "type": "alien", "inputs": {}}`))
		p, err := c.Fetch(t.Context(), vectorshift.Which{Name: "p"})
		if err != nil {
			t.Fatal(err)
		}
		sp, notes, err := p.Spec()
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "notes", notes, []string{"node 3 words (alien) is left out", "node a: text: {{ gone.text }} refers to no node of the file"})
		wantSame(t, "nodes", len(sp.Nodes), 1)
		p.Add("4you", vectorshift.Text{})
		if _, _, err := p.Spec(); err == nil {
			t.Error("a name that no batch file takes")
		}
	})
}
