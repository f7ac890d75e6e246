package vectorshift_test

import (
	"maps"
	"testing"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
)

const textNodes = `
q: {type: input, inputs: {input_type: string}}
t: {type: text, inputs: {text: "x {{ q.text }}"}}`

// wiredNodes are textNodes as they were built elsewhere.
const wiredNodes = `
	"input_1": {"id": "input_1", "name": "q", "type": "input", "task_name": "input", "execution_mode": "normal", "inputs": {"input_type": "string"}, "outputs": ["text"]},
	"text_1": {"id": "text_1", "name": "t", "type": "text", "task_name": "text", "execution_mode": "normal", "inputs": {"text": "x {{input_1.text}}"}, "outputs": ["text"]}`

// TestMadeElsewhereIsWrittenAsItWas: to the byte, whatever is changed beside it.
func TestMadeElsewhereIsWrittenAsItWas(t *testing.T) {
	for name, node := range map[string]string{
		"inputs that are a list":  `{"id": "a", "name": "ag", "type": "agent", "inputs": [{"name": "x", "value": "{{input_1.text}}"}]}`,
		"inputs that are null":    `{"id": "a", "name": "ag", "type": "agent", "inputs": null, "cyclic_inputs": []}`,
		"literals":                `{"id": "a", "name": "ag", "type": "agent", "inputs": {"greeting": "Dear {{customer.name}}, {{t.text}}", "n": 1.50}}`,
		"references in any form":  `{"id": "a", "name": "ag", "type": "agent", "inputs": {"a": "{{input_1.text}}{{  text_1.text}}"}, "cyclic_inputs": {"a": "{{text_1.text}}"}}`,
		"the name of another one": `{"id": "a", "name": "t", "type": "agent", "inputs": {"a": "{{text_1.text}}"}}`,
		"no name":                 `{"id": "a", "type": "agent", "inputs": {}}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				var body map[string]any
				object := fetched(t, wiredNodes+`, "a": `+node)
				object["_id"] = "5"
				answerFetches(s, object, &body)
				_, action, changes := save(t, c, declared(t, textNodes))
				wantSame(t, "action", action, runner.Unchanged)
				wantSame(t, "changes", changes, nil)
				_, action, _ = save(t, c, declared(t, textNodes+"\nnew: {type: text, inputs: {text: hi}}"))
				wantSame(t, "action", action, runner.Updated)
				wantSame(t, "node", member(t, body, "nodes.a"), member(t, object, "nodes.a"))
			})
		})
	}
}

// TestNotesOfWhatStays: also where the nodes lose those they use, and where nothing is
// written.
func TestNotesOfWhatStays(t *testing.T) {
	const stays = "node ag (agent) stays: it was made elsewhere"
	agent := func(uses string) string {
		return `, "agent_1": {"id": "agent_1", "name": "ag", "type": "agent", "task_name": "agent", "execution_mode": "normal", "outputs": [], "inputs": {"a": "` + uses + `"}}`
	}
	for name, test := range map[string]struct {
		nodes string
		notes []string
	}{
		"of ours":      {agent("{{ text_1.text }}"), []string{stays}},
		"of a removed": {agent("{{text_2.text}}") + `, "text_2": {"id": "text_2", "name": "used", "type": "text", "task_name": "text", "execution_mode": "normal", "outputs": [], "inputs": {}}`, []string{stays, "node ag (agent), which was made elsewhere, uses node used (text), which is removed"}},
		"of another type": {agent("{{ llm_7.response }}") + `, "llm_7": {"id": "llm_7", "name": "new", "type": "llm", "task_name": "llm", "execution_mode": "normal", "outputs": [], "inputs": {"provider": "openai"}}`,
			[]string{stays, "node ag (agent), which was made elsewhere, uses node new (llm), which is removed"}},
		"nothing": {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				object := fetched(t, wiredNodes+test.nodes)
				object["_id"] = "5"
				var body map[string]any
				answerFetches(s, object, &body)
				sp := declared(t, textNodes+"\nnew: {type: text, inputs: {text: hi}}")
				looked, _, _, err := c.SavePipeline(t.Context(), sp, vectorshift.SaveOptions{}, true)
				if err != nil {
					t.Fatal(err)
				}
				wantSame(t, "notes of a look", looked.Notes, test.notes)
				p, _, _ := save(t, c, sp)
				wantSame(t, "notes", p.Notes, test.notes)
				maps.Copy(object, body)
				p, action, _ := save(t, c, sp)
				wantSame(t, "action", action, runner.Unchanged)
				wantSame(t, "notes of a save that changes nothing", p.Notes, test.notes[:min(1, len(test.notes))])
			})
		})
	}
}

// TestNodesOfOneName: of those that a file may mean it is that of its type, and that
// which others use.
func TestNodesOfOneName(t *testing.T) {
	const declares = "\nag: {type: text, inputs: {text: hi}}"
	for name, test := range map[string]struct {
		nodes   string // beside wiredNodes
		id      string // that ag gets; "": another one
		changes []string
		stays   bool // the one of another type
	}{
		"another type": {`"a1": {"id": "a1", "name": "ag", "type": "agent", "task_name": "agent", "execution_mode": "normal", "outputs": [], "inputs": {}}`, "", []string{"node ag (text) is added", "node ag (agent) is removed"}, false},
		"its type, and another": {`"a1": {"id": "a1", "name": "ag", "type": "agent", "task_name": "agent", "execution_mode": "normal", "outputs": [], "inputs": {}}, "t9": {"id": "t9", "name": "ag", "type": "text", "task_name": "text", "execution_mode": "normal", "outputs": [], "inputs": {"text": "hi"}}`,
			"t9", nil, true},
		"one that is used": {`"t8": {"id": "t8", "name": "ag", "type": "text", "task_name": "text", "execution_mode": "normal", "outputs": [], "inputs": {"text": "hi"}}, "t9": {"id": "t9", "name": "ag", "type": "text", "task_name": "text", "execution_mode": "normal", "outputs": [], "inputs": {"text": "hi"}},
			"x": {"id": "x", "name": "x", "type": "agent", "task_name": "agent", "execution_mode": "normal", "outputs": [], "inputs": {"a": "{{t9.text}}"}}`, "t9", []string{"node ag (text) is removed"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				id := s.Put(fetched(t, wiredNodes+", "+test.nodes))
				action := runner.Updated
				if test.changes == nil {
					action = runner.Unchanged
				}
				p := wantSaved(t, s, c, declared(t, textNodes+declares), action, test.changes...)
				if test.id != "" {
					wantSame(t, "id", p.Node("ag").ID, test.id)
				}
				_, stays := s.Object(id)["nodes"].(map[string]any)["a1"]
				wantSame(t, "the other one stays", stays, test.stays)
			})
		})
	}
}

// TestFacesKeepWhatTheNodeDoesNotSay: inputs and outputs as they are seen from outside.
func TestFacesKeepWhatTheNodeDoesNotSay(t *testing.T) {
	const there = `{"io_type": "string", "description": "the question", "default_value": "d", "more": 1}`
	for name, test := range map[string]struct{ fetched, declared, wanted string }{
		"nothing is said":   {`{"input_type": "string"}`, `{input_type: string}`, there},
		"no type":           {`{}`, `{}`, `{"io_type": "audio", "description": "the question", "default_value": "d", "more": 1}`},
		"another type":      {`{"input_type": "string"}`, `{input_type: int32}`, `{"io_type": "int32", "description": "the question", "default_value": "d", "more": 1}`},
		"a description":     {`{"input_type": "string"}`, `{input_type: string, description: mine}`, `{"io_type": "string", "description": "mine", "default_value": "d", "more": 1}`},
		"a default":         {`{"input_type": "string"}`, `{input_type: string, use_default_value: true, default_value: e}`, `{"io_type": "string", "description": "the question", "default_value": "e", "more": 1}`},
		"no default":        {`{"input_type": "string"}`, `{input_type: string, use_default_value: false}`, `{"io_type": "string", "description": "the question", "more": 1}`},
		"no more a default": {`{"input_type": "string", "use_default_value": true, "default_value": "d"}`, `{input_type: string}`, `{"io_type": "string", "description": "the question", "more": 1}`},
		"said no more":      {`{"input_type": "string", "description": "the question"}`, `{input_type: string}`, `{"io_type": "string", "description": "", "default_value": "d", "more": 1}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				object := fetched(t, `"q": {"id": "q", "name": "q", "type": "input", "task_name": "input", "inputs": `+test.fetched+`}`)
				face := parsed(t, there)
				if test.fetched == "{}" {
					face["io_type"] = "audio"
				}
				object["inputs"] = map[string]any{"q": face}
				id := s.Put(object)
				save(t, c, declared(t, "q: {type: input, inputs: "+test.declared+"}\nnew: {type: text, inputs: {text: hi}}"))
				wantSame(t, "input", member(t, s.Object(id), "inputs.q"), any(parsed(t, test.wanted)))
			})
		})
	}
}
