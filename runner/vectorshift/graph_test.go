package vectorshift_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/schema"
	"nightshift/spec"
)

// inBubble runs a test with a platform of its own, and a clock that no time passes on
// but that of pauses.
func inBubble(t *testing.T, test func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := vectorshifttest.NewInProcess()
		defer s.Close()
		c, err := vectorshift.New(vectorshift.Options{BaseURL: s.URL, Key: s.Key, HTTP: s.Client()})
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, c)
	})
}

// declared is the pipeline of a batch file that has these nodes.
func declared(t testing.TB, nodes string) *spec.Pipeline {
	t.Helper()
	text := "version: 1\nrun: {backend: vectorshift}\nbatches: {b: {inputs: [{}]}}\npipeline:\n  name: p\n  nodes:\n" + indent(nodes)
	f, problems := spec.Parse("batch.yaml", []byte(text), spec.Options{Env: func(string) (string, bool) { return "", false }})
	if wrong, _ := problems.Split(); len(wrong) > 0 && !onlyRows(wrong) {
		t.Fatalf("%v\n%s", wrong, text)
	}
	return f.Pipeline
}

// onlyRows tells whether nothing is wrong but the one row, which gives no inputs.
func onlyRows(wrong schema.Problems) bool {
	for _, p := range wrong {
		if !strings.Contains(p.Message, "input") || !strings.Contains(p.Message, "missing") {
			return false
		}
	}
	return true
}

func indent(lines string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n    ") + "\n"
}

// save saves, and gives the pipeline, what was done, and the changes.
func save(t testing.TB, c *vectorshift.Client, sp *spec.Pipeline) (*vectorshift.Pipeline, runner.SaveAction, []string) {
	t.Helper()
	p, action, changes, err := c.SavePipeline(t.Context(), sp, vectorshift.SaveOptions{}, false)
	if err != nil {
		t.Fatal(err)
	}
	return p, action, changes
}

// wantSaved saves twice: the first time something is done, and the second time
// nothing is left to do, and nothing is written.
func wantSaved(t testing.TB, s *vectorshifttest.Server, c *vectorshift.Client, sp *spec.Pipeline, action runner.SaveAction, changes ...string) *vectorshift.Pipeline {
	t.Helper()
	p, done, lines := save(t, c, sp)
	wantSame(t, "action", done, action)
	wantSame(t, "changes", lines, changes)
	written := len(s.Calls(vectorshifttest.Save, vectorshifttest.Create))
	_, done, lines = save(t, c, sp)
	wantSame(t, "second action", done, runner.Unchanged)
	wantSame(t, "second changes", lines, nil)
	wantSame(t, "writes of a save that changes nothing", len(s.Calls(vectorshifttest.Save, vectorshifttest.Create))-written, 0)
	return p
}

func wantSame[T any](t testing.TB, what string, got, wanted T) {
	t.Helper()
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// parsed is JSON as plain values.
func parsed(t testing.TB, text string) map[string]any {
	t.Helper()
	v, err := spec.ParseJSON([]byte(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v.(map[string]any)
}

// member reaches into an object: "nodes.a.inputs".
func member(t testing.TB, v any, path string) any {
	t.Helper()
	for name := range strings.SplitSeq(path, ".") {
		v = v.(map[string]any)[name]
	}
	return v
}

const guideNodes = `
input_0: {type: input, inputs: {input_type: string}}
llm: {type: llm, inputs: {provider: openai, model: gpt-5.1, prompt: "{{ input_0.text }}"}}
output_0: {type: output, inputs: {output_type: string, value: "{{ llm.response }}"}}`

// guide builds the guide's pipeline.
func guide(p *vectorshift.Pipeline) {
	in := p.Add("input_0", vectorshift.Input{Type: "string"})
	llm := p.Add("llm", vectorshift.LLM{Provider: "openai", Model: "gpt-5.1", Prompt: in.Out("text")})
	p.Add("output_0", vectorshift.Output{Type: "string", Value: llm.Out("response")})
}

func TestGuideOnTheWire(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p, err := c.New(t.Context(), "bg_summariser")
		if err != nil {
			t.Fatal(err)
		}
		guide(p)
		action, err := p.Save(t.Context(), vectorshift.SaveOptions{})
		if err != nil || action != runner.Updated {
			t.Fatal(action, err)
		}
		bodies := []any{}
		for _, call := range s.Calls(vectorshifttest.Create, vectorshifttest.Save) {
			bodies = append(bodies, call.Body)
		}
		bodies[1].(map[string]any)["branch_id"] = "BRANCH"
		golden(t, "guide.json", bodies)
	})
}

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wanted, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, name, string(got)+"\n", string(wanted))
}

func TestDeclaredIsTheSameAsBuilt(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		wantSaved(t, s, c, declared(t, guideNodes), runner.Created)
		p, err := c.Fetch(t.Context(), vectorshift.Which{Name: "p"})
		if err != nil {
			t.Fatal(err)
		}
		guide(p)
		action, err := p.Save(t.Context(), vectorshift.SaveOptions{})
		if err != nil || action != runner.Unchanged {
			t.Error(action, err)
		}
	})
}

// fetched is a pipeline p as the platform has it, with these nodes.
func fetched(t testing.TB, nodes string) map[string]any {
	t.Helper()
	return parsed(t, `{"name": "p", "nodes": {`+nodes+`}}`)
}
