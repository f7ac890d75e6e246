package engine

import (
	"fmt"
	"strings"
	"testing"

	"nightshift/runner"
)

// keepsX answers as if the condition were to hold an x.
func keepsX(_ int, q question) reply {
	return reply{text: fmt.Sprintf(`{"meets": %v}`, strings.Contains(q.says("user"), "x"))}
}

func TestAIFilterList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, inputs, given, want, err string }{
		{"usual", `list_to_filter: "{{ v.a }}"`, `{"a": ["ax", "b", "x", "c"]}`, `["ax","x"]`, ""},
		{"all of them", `list_to_filter: "{{ v.a }}"`, `{"a": ["x", "x"]}`, `["x","x"]`, ""},
		{"none of them", `list_to_filter: "{{ v.a }}"`, `{"a": ["a"]}`, `[]`, ""},
		{"no items", `list_to_filter: "{{ v.a }}"`, `{"a": []}`, `[]`, ""},
		{"blanks", `list_to_filter: "{{ v.a }}", output_blank_value: true`, `{"a": ["ax", "b", "x"]}`, `["ax","","x"]`, ""},
		{"items keep their types", `list_to_filter: "{{ v.a }}"`, `{"a": [{"x": 1}, 2, "x"]}`, `[{"x":1},"x"]`, ""},
		{"another list", `list_to_filter: "{{ v.a }}", filter_mode: another, filter_by: "{{ v.b }}"`, `{"a": ["1", "x2", "3"], "b": ["x", "", "xx"]}`, `["1","3"]`, ""},
		{"another list, blanks", `list_to_filter: "{{ v.a }}", filter_mode: another, filter_by: "{{ v.b }}", output_blank_value: true`, `{"a": ["1", "2"], "b": ["", "x"]}`, `["","2"]`, ""},
		{"the other list is not looked at", `list_to_filter: "{{ v.a }}", filter_mode: "{{ v.c }}"`, `{"a": ["x"], "c": "single"}`, `["x"]`, ""},
		{"lists of two lengths", `list_to_filter: "{{ v.a }}", filter_mode: another, filter_by: "{{ v.b }}"`, `{"a": ["x", "y"], "b": ["x"]}`, ``,
			`node n (ai_filter_list): input "filter_by" has 1 items, but list_to_filter has 2`},
		{"no list", `list_to_filter: "{{ v.a }}"`, `{"a": "x"}`, ``, `node n (ai_filter_list): input "list_to_filter": "x" is not a list`},
		{"no such mode", `list_to_filter: [], filter_mode: "{{ v.a }}"`, `{"a": "both"}`, ``, `node n (ai_filter_list): input "filter_mode": "both" is not one of another, single`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, keepsX)
			status := runToEnd(t, m.engine(t, Options{}), filterNodes(c.inputs), runner.Inputs{"given": c.given})
			if c.err != "" {
				checkError(t, status.Err, c.err)
				return
			}
			if status.Err != nil {
				t.Fatal(status.Err)
			}
			same(t, "output", asJSON(status.Outputs), `{"out":`+c.want+`}`)
		})
	}
}

// filterNodes filters by a model the list that the inputs say.
func filterNodes(inputs string) string {
	return `
		given: {type: input}
		v:
		  type: read_json_values
		  inputs: {json_string: "{{ given.text }}", keys: [a, b, c], processed_outputs: {a: any, b: any, c: any}}
		n: {type: ai_filter_list, inputs: {provider: openai, model: gpt-4o, ai_condition: "holds an x", ` + inputs + `}}
		out: {type: output, inputs: {output_type: json, value: "{{ n.output }}"}}
	`
}

func TestAIFilterListAsks(t *testing.T) {
	t.Parallel()
	testAI(t, "ai_filter_list", "output", []aiCase{
		{name: "question", node: `list_to_filter: ["{{ v.a }}"], ai_condition: "is {{ v.b }}", temperature: 0.2` + onModel,
			given: `{"a": "an item", "b": "red"}`, answer: `{"meets": true}`, want: `["an item"]`, asks: func(t *testing.T, q question) {
				same(t, "prompt", q.says("user"), "<item>\nan item\n</item>")
				same(t, "system", q.says("system"), judge+"\nis red\n\n"+judgeAnswer+"\n\n"+dataIsData)
				same(t, "temperature", *q.Temperature, 0.2)
				same(t, "schema", string(q.ResponseFormat.JSONSchema.Schema),
					`{"type":"object","properties":{"meets":{"type":"boolean"}},"required":["meets"],"additionalProperties":false}`)
			}},
		{name: "fenced, as text", node: `list_to_filter: [a], ai_condition: C` + onModel, answer: "```\n{\"Meets\": \"TRUE\"}\n```", want: `["a"]`},
		{name: "a blank item is asked about too", node: `list_to_filter: [""], ai_condition: C` + onModel, answer: `{"meets": true}`, want: `[""]`},
		{name: "neither", node: `list_to_filter: [a], ai_condition: C` + onModel, answer: `{"meets": "maybe"}`, err: `it says neither true nor false: "{\"meets\": \"maybe\"}"`},
		{name: "nothing", node: `list_to_filter: [a], ai_condition: C` + onModel, answer: `{}`, err: `it says neither true nor false: "{}"`},
		{name: "not JSON", node: `list_to_filter: [a], ai_condition: C` + onModel, answer: `true`, err: `it is no JSON object: "true"`},
		{name: "no condition", node: `list_to_filter: [a], ai_condition: "{{ v.a }}"` + onModel, given: `{"a": ""}`, err: `node n (ai_filter_list): input "ai_condition" is empty`},
	})
	testRefused(t, "ai_filter_list", []refusedCase{
		{"no condition", "list_to_filter: [a]\nai_condition: ' '\nprovider: openai\nmodel: m", `10:23: node n (ai_filter_list): input "ai_condition" is empty`},
	})
}
