package vectorshift_test

import (
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

// elsewhere is the guide's pipeline as somebody built it on the platform's page, with
// ids, places and keys that we would not make.
func elsewhere(t testing.TB, more string) map[string]any {
	t.Helper()
	object := parsed(t, `{
		"name": "p", "userID": "u1", "settings": {"theme": "dark"},
		"nodes": {
			"n1": {"id": "n1", "name": "input_0", "type": "input", "task_name": "input", "inputs": {"input_type": "string", "description": ""}, "outputs": ["text"], "colour": "red"},
			"n2": {"id": "n2", "name": "llm", "type": "llm", "task_name": "llm", "execution_mode": "normal", "outputs": ["response", "tokens_used", "reasoning"], "cyclic_inputs": {},
				"inputs": {"prompt": "{{n1.text}}", "model": "gpt-5.1", "provider": "openai", "system": "", "temperature": null, "stream": false, "citation_metadata": [],
					"show_sources": true, "thinking_token_limit": 24576.0, "platform_only": {"a": [1, "{{n1.text}}"]}, "api_key": "sk-kept"}},
			"n3": {"id": "n3", "name": "output_0", "type": "output", "task_name": "output", "execution_mode": "normal", "outputs": [], "inputs": {"output_type": "string", "value": "{{  n2.response }}"}}
			`+more+`
		},
		"canvas_metadata": {
			"viewport": {"zoom": 2},
			"nodes": {"n1": {"position": {"x": -7, "y": 3.5}, "folded": true}, "n2": {"position": {"x": 500, "y": 0}}, "ghost": {"position": {"x": 1, "y": 1}}, "n9": {"position": {"x": 2, "y": 2}}},
			"edges": [{"id": "e1", "source": "n1", "target": "n2", "animated": true}, {"id": "e2", "source": "n2", "target": "n3"}, {"id": "e3", "source": "n1", "target": "n3", "kind": "drawn"}]
		}
	}`)
	return object
}

func TestBuiltElsewhereIsUnchanged(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Put(elsewhere(t, ""))
		wantSaved(t, s, c, declared(t, guideNodes), runner.Unchanged)
	})
}

func TestObjectWithoutCanvasIsUnchanged(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		object := elsewhere(t, "")
		object["canvas_metadata"] = nil // the answer has no such object
		s.Set(vectorshifttest.Settings{Before: func(call vectorshifttest.Call) *vectorshifttest.Failure {
			if call.Op == vectorshifttest.Fetch {
				object["_id"] = "5"
				return &vectorshifttest.Failure{Status: 200, Body: string(spec.AppendJSON(nil, map[string]any{"object": object}))}
			}
			return nil
		}})
		wantSaved(t, s, c, declared(t, guideNodes), runner.Unchanged)
	})
}

// TestMissingEdgesAreNoReasonToWrite: they are drawn along with other changes.
func TestMissingEdgesAreNoReasonToWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p := wantSaved(t, s, c, declared(t, guideNodes), runner.Created)
		object := s.Object(p.ID)
		canvas := object["canvas_metadata"].(map[string]any)
		canvas["edges"] = canvas["edges"].([]any)[:1]
		s.Put(object)
		wantSaved(t, s, c, declared(t, guideNodes), runner.Unchanged)
		wantSaved(t, s, c, declared(t, strings.Replace(guideNodes, "gpt-5.1", "gpt-5", 1)), runner.Updated, "node llm: model: gpt-5.1 -> gpt-5")
		wantSame(t, "edges", len(member(t, s.Object(p.ID), "canvas_metadata.edges").([]any)), 2)
	})
}

// TestWhatIsNotOursSurvives: unknown keys, unknown nodes, places and edges, whatever is
// written beside them.
func TestWhatIsNotOursSurvives(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		var body map[string]any
		object := elsewhere(t, `,
			"x1": {"id": "x1", "name": "crm", "type": "integration_crm", "inputs": {"who": "{{ n1.text }}", "deep": [{"a": "{{ n2.response }}"}]}, "outputs": {"record": "json"}, "weird": 1},
			"x2": {"id": "x2", "name": "crm", "type": "integration_crm", "inputs": {"who": "{{ x1.record }}"}},
			"s1": {"id": "s1", "name": "My note", "type": "sticky_note", "inputs": {"text": "look"}},
			"n9": {"id": "n9", "name": "old", "type": "text", "inputs": {"text": "gone"}}`)
		object["_id"] = "5"
		answerFetches(s, object, &body)
		p, action, changes := save(t, c, declared(t, strings.Replace(guideNodes, "gpt-5.1", "gpt-5", 1)))
		wantSame(t, "action", action, runner.Updated)
		wantSame(t, "changes", changes, []string{"node llm: model: gpt-5.1 -> gpt-5", "node old (text) is removed"})
		wantSame(t, "notes", p.Notes, []string{
			"node My note (sticky_note) stays: it was made elsewhere", "node crm (integration_crm) stays: it was made elsewhere", "node crm (integration_crm) stays: it was made elsewhere",
		})

		wanted := elsewhere(t, "")
		was, is := wanted["nodes"].(map[string]any), body["nodes"].(map[string]any)
		for _, id := range []string{"x1", "x2", "s1"} {
			wantSame(t, id, is[id], member(t, object, "nodes."+id))
		}
		wantSame(t, "colour", member(t, is, "n1.colour"), any("red"))
		wantSame(t, "outputs", member(t, is, "n2.outputs"), member(t, was, "n2.outputs"))
		model := was["n2"].(map[string]any)["inputs"].(map[string]any)
		model["model"], model["prompt"] = "gpt-5", "{{ n1.text }}"
		wantSame(t, "inputs", member(t, is, "n2.inputs"), any(model))

		canvas := body["canvas_metadata"].(map[string]any)
		wantSame(t, "viewport", member(t, canvas, "viewport.zoom"), member(t, wanted, "canvas_metadata.viewport.zoom"))
		for _, id := range []string{"n1", "n2", "ghost"} {
			wantSame(t, "place of "+id, member(t, canvas, "nodes."+id), member(t, wanted, "canvas_metadata.nodes."+id))
		}
		wantSame(t, "place of old", member(t, canvas, "nodes.n9"), nil)
		edges := canvas["edges"].([]any)
		wantSame(t, "edges", edges[:3], wanted["canvas_metadata"].(map[string]any)["edges"].([]any))
		wantSame(t, "edges of what stays", len(edges), 6)
	})
}

// answerFetches makes the platform have this object, and take whatever is saved.
func answerFetches(s *vectorshifttest.Server, object map[string]any, body *map[string]any) {
	s.Set(vectorshifttest.Settings{Before: func(call vectorshifttest.Call) *vectorshifttest.Failure {
		switch call.Op {
		case vectorshifttest.Fetch:
			return &vectorshifttest.Failure{Status: 200, Body: string(spec.AppendJSON(nil, object))}
		case vectorshifttest.Save:
			*body = call.Body
			return &vectorshifttest.Failure{Status: 200, Body: `{"status":"success"}`}
		}
		return nil
	}})
}

func TestEdgesGoWithTheirReferences(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p := wantSaved(t, s, c, declared(t, guideNodes), runner.Created)
		wantSaved(t, s, c, declared(t, strings.Replace(guideNodes, "{{ input_0.text }}", "hi", 1)), runner.Updated,
			"node llm: prompt: {{ input_0.text }} -> hi")
		edges := member(t, s.Object(p.ID), "canvas_metadata.edges").([]any)
		wantSame(t, "edges", len(edges), 1)
		wantSame(t, "source", member(t, edges[0], "source"), any(p.Node("llm").ID))
	})
}

func TestNodesThatAreKeptAndRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		// Ours of an unknown type go when the file has them no more; so do known ones of
		// others.
		ours := guideNodes + "\nours: {type: integration_x, inputs: {a: 1}}\nnote: {type: sticky_note, inputs: {text: hi}}"
		wantSaved(t, s, c, declared(t, ours), runner.Created)
		wantSaved(t, s, c, declared(t, guideNodes), runner.Updated, "node ours (integration_x) is removed", "node note (sticky_note) is removed")
	})
}

func TestInputsThatAreKeptAndRemoved(t *testing.T) {
	for name, test := range map[string]struct {
		typ, fetched, declared string // inputs
		wanted                 string // "": as fetched
		changes                []string
	}{
		"a known one goes":           {"llm", `{"provider": "openai", "max_tokens": 5}`, `{provider: openai}`, `{"provider": "openai"}`, []string{"node n: max_tokens: 5 is removed"}},
		"a default stays":            {"llm", `{"provider": "openai", "stream": false, "aws_region": "us-east-1", "thinking_token_limit": 24576}`, `{provider: openai}`, "", nil},
		"an empty one stays":         {"time", `{"time_node_zone": "", "delta_value": null}`, `{}`, "", nil},
		"an unknown one stays":       {"text", `{"text": "a", "font": "x"}`, `{text: a}`, "", nil},
		"of an unknown type":         {"alien", `{"text": "a", "font": "x"}`, `{text: a}`, "", nil},
		"a key stays":                {"llm", `{"provider": "openai", "api_key": "sk-1"}`, `{provider: openai}`, "", nil},
		"a default that is declared": {"llm", `{"provider": "openai"}`, `{provider: openai, stream: false, thinking_token_limit: 24576}`, "", nil},
		"numbers by value":           {"llm", `{"provider": "openai", "temperature": 0.70, "max_tokens": 1e2}`, `{provider: openai, temperature: 0.7, max_tokens: 100}`, "", nil},
		"numbers of many digits":     {"alien", `{"n": 12345678901234567890}`, `{n: 12345678901234567891}`, `{"n": 12345678901234567891}`, []string{"node n: n: 12345678901234567890 -> 12345678901234567891"}},
		"maps in another order":      {"alien", `{"m": {"b": [1, {"d": 1, "c": 2}], "a": 1}}`, `{m: {a: 1.0, b: [1, {c: 2, d: 1}]}}`, "", nil},
		"lists in another order":     {"alien", `{"m": [1, 2]}`, `{m: [2, 1]}`, `{"m": [2, 1]}`, []string{"node n: m: [1,2] -> [2,1]"}},
		"a number is no text":        {"alien", `{"m": "1"}`, `{m: 1}`, `{"m": 1}`, []string{"node n: m: 1 -> 1"}},
		"numbers as text":            {"llm", `{"provider": "openai", "temperature": "0.50", "max_tokens": "4096", "stream": "true"}`, `{provider: openai, temperature: 0.5, max_tokens: 4096, stream: true}`, "", nil},
		"a default as text":          {"llm", `{"provider": "openai", "stream": "false", "thinking_token_limit": "24576"}`, `{provider: openai}`, "", nil},
		"a number of tokens":         {"llm", `{"provider": "openai", "max_tokens": "4096"}`, `{provider: openai, max_tokens: 100}`, `{"provider": "openai", "max_tokens": 100}`, []string{"node n: max_tokens: 4096 -> 100"}},
		"other lists are none":       {"alien", `{"list": ["a", "b"]}`, `{list: [b, a]}`, `{"list": ["b", "a"]}`, []string{`node n: list: ["a","b"] -> ["b","a"]`}},
		"one is added":               {"llm", `{"provider": "openai"}`, `{provider: openai, temperature: 0.2}`, `{"provider": "openai", "temperature": 0.2}`, []string{"node n: temperature: 0.2 is added"}},
		"a key is not sent":          {"llm", `{"provider": "openai"}`, `{provider: openai, api_key: sk-2}`, "", nil},
		"a key is sent": {"llm", `{"provider": "openai"}`, `{provider: openai, api_key: sk-2, use_personal_api_key: true}`,
			`{"provider": "openai", "api_key": "sk-2", "use_personal_api_key": true}`, []string{"node n: api_key is added"}},
		"a key changes": {"llm", `{"provider": "openai", "api_key": "sk-1", "use_personal_api_key": true}`, `{provider: openai, api_key: sk-2, use_personal_api_key: true}`,
			`{"provider": "openai", "api_key": "sk-2", "use_personal_api_key": true}`, []string{"node n: api_key is changed"}},
		"a key that is not shown": {"llm", `{"provider": "openai", "api_key": "sk-****", "use_personal_api_key": true}`, `{provider: openai, api_key: sk-2, use_personal_api_key: true}`, "", nil},
		"headers are not shown": {"api", `{"url": "u", "headers": [{"key": "A", "value": "old secret"}]}`, `{url: u, headers: [{key: A, value: new secret}]}`,
			`{"url": "u", "headers": [{"key": "A", "value": "new secret"}]}`, []string{"node n: headers is changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				id := s.Put(fetched(t, `"x": {"id": "x", "name": "n", "type": "`+test.typ+`", "task_name": "`+test.typ+`", "inputs": `+test.fetched+`}`))
				action := runner.Unchanged
				if test.changes != nil {
					action = runner.Updated
				}
				wantSaved(t, s, c, declared(t, "n: {type: "+test.typ+", inputs: "+test.declared+"}"), action, test.changes...)
				if test.wanted == "" {
					test.wanted = test.fetched
				}
				wantSame(t, "inputs", member(t, s.Object(id), "nodes.x.inputs"), any(parsed(t, test.wanted)))
			})
		})
	}
}

func TestKeysStayAtHome(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p := wantSaved(t, s, c, declared(t, `
a: {type: llm, inputs: {provider: bedrock, api_key: sk-canary, aws_secret_access_key: canary-2, use_personal_api_key: false}}
b: {type: llm_google_vision, inputs: {image: "http://x", prompt: p, api_key: canary-3}}`), runner.Created)
		p.Add("c", vectorshift.LLM{Provider: "openai", APIKey: "canary-4"})
		p.Add("d", vectorshift.LLM{Provider: "openai", APIKey: "sent", UsePersonalAPIKey: true})
		p.Add("e", vectorshift.Raw{Type: "file_to_text", Inputs: map[string]any{"password": "of a file, sent"}}) // which is no key of a provider
		for _, line := range p.Changes() {
			if strings.Contains(line, "canary") || strings.Contains(line, "sent") {
				t.Error(line)
			}
		}
		if _, err := p.Save(t.Context(), vectorshift.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		kept := string(spec.AppendJSON(nil, s.Object(p.ID)))
		if strings.Contains(kept, "canary") || !strings.Contains(kept, `"sent"`) || !strings.Contains(kept, `"of a file, sent"`) {
			t.Error(kept)
		}
	})
}

// TestIDsStay: of what was built elsewhere, of what is saved again, and when other nodes
// get other names.
func TestIDsStay(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Put(fetched(t, `
			"r1": {"id": "r1", "name": "input_0", "type": "input", "task_name": "input", "inputs": {}},
			"r2": {"id": "r2", "name": "llm", "type": "llm", "task_name": "llm", "inputs": {"provider": "openai", "model": "gpt-5.1", "prompt": "{{ r1.text }}"}}`))
		ids := func(p *vectorshift.Pipeline) map[string]string {
			all := map[string]string{}
			for _, n := range p.Nodes() {
				all[n.Name] = n.ID
			}
			return all
		}
		first := wantSaved(t, s, c, declared(t, guideNodes), runner.Updated, "node output_0 (output) is added")
		was := ids(first)
		wantSame(t, "those of others", []string{was["input_0"], was["llm"]}, []string{"r1", "r2"})
		renamed := strings.ReplaceAll(guideNodes, "input_0", "question")
		second := wantSaved(t, s, c, declared(t, renamed), runner.Updated,
			"node llm: prompt: {{ input_0.text }} -> {{ question.text }}", "node question (input) is added", "node input_0 (input) is removed")
		is := ids(second)
		wantSame(t, "ids", []string{is["llm"], is["output_0"]}, []string{"r2", was["output_0"]})
		// Another type is another node.
		third := wantSaved(t, s, c, declared(t, strings.Replace(renamed, "{type: output, inputs: {output_type: string, value:", "{type: text, inputs: {text:", 1)),
			runner.Updated, "node output_0 (text) is added", "node output_0 (output) is removed")
		if id := ids(third)["output_0"]; id == was["output_0"] || !strings.HasPrefix(id, "text_") {
			t.Error(id)
		}
	})
}

func TestIDsThatNoReferenceCanHold(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		id := s.Put(fetched(t, `
			"a-1": {"id": "a-1", "name": "a", "type": "text", "inputs": {"text": "hi"}},
			"b": {"id": "b", "name": "out", "type": "output", "inputs": {"value": "nothing"}}`))
		wantSaved(t, s, c, declared(t, "a: {type: text, inputs: {text: hi}}\nout: {type: output, inputs: {value: '{{ a.text }}'}}"), runner.Updated,
			"node a (text) is added", "node out: value: nothing -> {{ a.text }}", "node a (text) is removed")
		wantSame(t, "nodes", len(s.Object(id)["nodes"].(map[string]any)), 2)
	})
}

func TestTypesThatAreNoWords(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p := wantSaved(t, s, c, declared(t, "a: {type: my-type v2, inputs: {}}\nout: {type: output, inputs: {value: '{{ a.thing }} and {{ a.other.part }}'}}"), runner.Created)
		a := p.Node("a").ID
		if !strings.HasPrefix(a, "my_type_v2_") {
			t.Error(a)
		}
		wantSame(t, "outputs", member(t, s.Object(p.ID), "nodes."+a+".outputs"), any([]any{"other.part", "thing"}))
	})
}
