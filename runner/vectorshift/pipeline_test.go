package vectorshift_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// TestAnswersToFetch: the forms that are tolerated, and those that are not.
func TestAnswersToFetch(t *testing.T) {
	const nodes = `{"b": {"id": "b", "name": "out", "type": "output", "inputs": {"value": "{{ a.text }}"}}, "a": {"name": "in", "type": "input", "inputs": {}, "outputs": {"text": "string"}}}`
	const list = `[{"id": "b", "name": "out", "type": "output", "inputs": {"value": "{{a.text}}"}}, {"id": "a", "name": "in", "task_name": "input", "inputs": null}]`
	for name, test := range map[string]struct{ body, failure string }{
		"object":            {`{"status":"success","object":{"_id":"5","mainBranch":"7","nodes":` + nodes + `}}`, ""},
		"the object itself": {`{"_id":"5","mainBranch":"7","nodes":` + nodes + `}`, ""},
		"a list":            {`{"object":{"id":"5","name":"p","mainBranch":"7","nodes":` + list + `}}`, ""},
		"no id":             {`{"status":"success","object":{"nodes":` + nodes + `}}`, "does not tell its id"},
		"null":              {`{"status":"success","object":null}`, "404"},
		"something else":    {`{"status":"success"}`, "holds no pipeline"},
		"failed":            {`{"status":"failed","error":"out of order"}`, "out of order"},
		"another":           {`{"object":{"_id":"5","name":"q","nodes":{}}}`, `"p" was asked for, and "q" (5) was the answer`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				s.Fail(vectorshifttest.Fetch, -1, vectorshifttest.Failure{Status: 200, Body: test.body})
				p, err := c.Fetch(t.Context(), vectorshift.Which{Name: "p"})
				if test.failure != "" {
					if err == nil || !strings.Contains(err.Error(), test.failure) {
						t.Error(err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				wantSame(t, "pipeline", []string{p.ID, p.Name, p.BranchID}, []string{"5", "p", "7"})
				var said []string
				for _, n := range p.Nodes() {
					said = append(said, n.ID+" "+n.Name+" "+n.Type+" "+n.ExecutionMode)
				}
				wantSame(t, "nodes", said, []string{"a in input normal", "b out output normal"})
				wantSame(t, "reference", p.Node("out").Inputs["value"], any("{{ in.text }}"))
				wantSame(t, "changes", p.Changes(), nil)
			})
		})
	}
}

func TestWhichIsFetched(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		for wanted, which := range map[string]vectorshift.Which{
			"branch_id=b&id=5&version=1.2.0":  {ID: "5", Version: "1.2.0", Branch: "b"},
			"name=a+b&org_name=o&username=me": {Name: "a b", Username: "me", Org: "o"},
		} {
			_, err := c.Fetch(t.Context(), which)
			wantStatus(t, err, 404)
			if _, ok := errors.AsType[*runner.NotFoundError](err); !ok {
				t.Errorf("%T is no NotFoundError", err)
			}
			calls := s.Calls()
			wantSame(t, "query", calls[len(calls)-1].Query.Encode(), wanted)
		}
	})
}

// TestReferencesAtAnyDepth: by name here, by id on the wire, and only those that are
// references.
func TestReferencesAtAnyDepth(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p, err := c.New(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		a := p.Add("a", vectorshift.Text{Text: "hi"})
		b := p.Add("b", vectorshift.Raw{Type: "text", ExecutionMode: "batch", Inputs: map[string]any{
			"text": "{{a.text}} and {{ a.complete }}, not {{ a }}, {{a-b.text}} or {\"a.text\": {{}}}",
			"list": []string{"{{ a.text }}", "plain"}, "n": 0.5, "none": nil,
			"deep": map[string]any{"{{ a.text }}": []any{map[string]any{"x": "<{{ a.out.part }}>"}, true}},
		}, CyclicInputs: map[string]any{"text": "{{ b.text }}"}})
		b.After(a.Out("complete"))
		if _, err := p.Save(t.Context(), vectorshift.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		wire := strings.NewReplacer("ID", a.ID)
		object := s.Object(p.ID)
		wantSame(t, "inputs", member(t, object, "nodes."+b.ID+".inputs"), any(map[string]any{
			"text": wire.Replace("{{ ID.text }} and {{ ID.complete }}, not {{ a }}, {{a-b.text}} or {\"a.text\": {{}}}"),
			"list": []any{wire.Replace("{{ ID.text }}"), "plain"}, "n": parsed(t, `{"n":0.5}`)["n"], "none": nil,
			"deep":         map[string]any{"{{ a.text }}": []any{map[string]any{"x": wire.Replace("<{{ ID.out.part }}>")}, true}},
			"dependencies": []any{wire.Replace("{{ ID.complete }}")},
		}))
		wantSame(t, "mode", member(t, object, "nodes."+b.ID+".execution_mode"), any("batch"))
		wantSame(t, "outputs", member(t, object, "nodes."+a.ID+".outputs"), any([]any{"text", "out.part"}))

		again, err := c.Fetch(t.Context(), vectorshift.Which{ID: p.ID})
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "changes", again.Changes(), nil)
		wantSame(t, "a reference that comes back", again.Node("b").Inputs["list"], any([]any{"{{ a.text }}", "plain"}))
	})
}

// TestNamesThatTellNoNode: there the references stay as they are.
func TestNamesThatTellNoNode(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Put(fetched(t, `
			"x1": {"id": "x1", "name": "twice", "type": "text", "inputs": {"text": "1"}},
			"x2": {"id": "x2", "name": "twice", "type": "text", "inputs": {"text": "2"}},
			"x3": {"id": "x3", "name": "My Text", "type": "text", "inputs": {"text": "3"}},
			"x4": {"id": "x4", "name": "x3", "type": "text", "inputs": {"text": "4"}},
			"x5": {"id": "x5", "name": "all", "type": "text", "inputs": {"text": "{{ x1.text }}{{ x2.text }}{{ x3.text }}{{ x4.text }}{{ gone.text }}"}}`))
		p, err := c.Fetch(t.Context(), vectorshift.Which{Name: "p"})
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "text", p.Node("all").Inputs["text"], any("{{ x1.text }}{{ x2.text }}{{ x3.text }}{{ x4.text }}{{ gone.text }}"))
		wantSame(t, "changes", p.Changes(), nil)
		if _, _, err := p.Spec(); err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), "node My Text (text): a batch file takes names of letters") ||
			!strings.Contains(err.Error(), "node twice (text): 2 nodes have that name") {
			t.Error(err)
		}
	})
}

func TestAddOverWhatWasFetched(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Put(elsewhere(t, ""))
		p, err := c.Fetch(t.Context(), vectorshift.Which{Name: "p"})
		if err != nil {
			t.Fatal(err)
		}
		guide(p)
		wantSame(t, "changes", p.Changes(), nil)
		half := 0.5
		p.Add("llm", vectorshift.LLM{Provider: "openai", Model: "gpt-5.1", Prompt: "{{ input_0.text }}", Temperature: &half, More: map[string]any{"verbosity": "low"}})
		p.Remove("output_0")
		p.Node("input_0").Inputs["description"] = "what to ask"
		wantSame(t, "changes", p.Changes(), []string{
			"node input_0: description: \"\" -> what to ask", "node llm: temperature: 0.5 is added",
			"node llm: verbosity: low is added", "node output_0 (output) is removed",
		})
		wantSame(t, "nodes", len(p.Nodes()), 2)
	})
}

// TestTypedNodes: what the helpers make is what the schema of node types takes.
func TestTypedNodes(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p, err := c.New(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		in := p.Add("in", vectorshift.Input{Default: "hello", Description: "d"})
		cat := p.Add("cat", vectorshift.Categorizer{Text: in.Out("text"), Provider: "openai", Model: "m", Categories: []vectorshift.Category{{Name: "a", Description: "x"}, {Name: "b"}}, Context: "c", Justification: true})
		cond := p.Add("cond", vectorshift.Condition{Conditions: []vectorshift.ConditionGroup{{
			Clauses:   []vectorshift.Clause{{Operator: "Equal", Input: cat.Out("category"), Value: "a"}, {Operator: "IsNotEmpty", Input: in.Out("text")}},
			Operators: []string{"AND"},
		}}})
		sum := p.Add("sum", vectorshift.Summarizer{Text: in.Out("text"), Provider: "openai"}).After(cond.Out("path_0"))
		api := p.Add("api", vectorshift.API{URL: "http://x", Method: "POST", Headers: []vectorshift.KeyValue{{Key: "h", Value: "v"}}, JSON: "{}", FailNon2xx: true}).After(cond.Out("path_else"))
		top := 0.9
		llm := p.Add("llm", vectorshift.LLM{Provider: "openai", Prompt: "x", System: "y", Stream: true, JSONSchema: "{}", TopP: &top, MaxTokens: 7})
		both := p.Add("both", vectorshift.Merge{Function: "first", Fields: []any{sum.Out("summary"), api.Out("output"), llm.Out("response")}})
		p.Add("out", vectorshift.Output{Value: both.Out("output"), Description: "d"})
		if _, err := p.Save(t.Context(), vectorshift.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		wantSame(t, "input", member(t, s.Object(p.ID), "inputs.in"), any(map[string]any{"io_type": "string", "description": "d", "default_value": "hello"}))
		wantSame(t, "output", member(t, s.Object(p.ID), "outputs.out"), any(map[string]any{"io_type": "string", "description": "d"}))
		sp, notes, err := p.Spec()
		if err != nil || notes != nil {
			t.Fatal(notes, err)
		}
		written := pulled(t, sp) // is valid
		names := []string{}
		for _, n := range written.Nodes {
			names = append(names, n.Name)
		}
		slices.Sort(names)
		wantSame(t, "nodes", names, []string{"api", "both", "cat", "cond", "in", "llm", "out", "sum"})
		wantSame(t, "llm", written.Node("llm").Inputs, maps.Clone(p.Node("llm").Inputs))
	})
}
