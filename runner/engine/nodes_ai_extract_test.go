package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"nightshift/runner"
)

func TestExtractData(t *testing.T) {
	t.Parallel()
	one := func(typ string) string { return `text: x, fields: [{name: f, type: "` + typ + `"}]` }
	testAI(t, "extract_data", "f", []aiCase{
		{name: "usual", node: `text: "{{ v.a }}", fields: [{name: f, type: string, description: "where {{ v.b }}"}, {name: n, type: int32}], additional_context: C`,
			given: `{"a": "Ann, 5", "b": "B"}`, answer: `{"f": "Ann", "n": 5}`, want: `"Ann"`,
			asks: func(t *testing.T, q question) {
				same(t, "model", q.Model, "gpt-4o")
				same(t, "prompt", q.says("user"), "<text>\nAnn, 5\n</text>")
				same(t, "system", q.says("system"), extract+"\n- \"f\" (string): where B\n- \"n\" (int32)\n\nMind this too:\nC\n\n"+extractAnswer+"\n\n"+dataIsData)
				same(t, "schema", string(q.ResponseFormat.JSONSchema.Schema), `{"type":"object","properties":{`+
					`"f":{"anyOf":[{"type":"string"},{"type":"null"}]},"n":{"anyOf":[{"type":"integer"},{"type":"null"}]}},`+
					`"required":["f","n"],"additionalProperties":false}`)
				same(t, "strict", q.ResponseFormat.JSONSchema.Strict, true)
			}},
		{name: "without a type it is text", node: `text: x, fields: [{name: f}]`, answer: `{"f": 5}`, want: `"5"`},
		{name: "type in processed_outputs", node: `text: x, fields: [{name: f, type: string}], processed_outputs: {f: int32}`, answer: `{"f": " 5 "}`, want: `5`},
		{name: "whole number as text", node: one("int32"), answer: `{"f": "5"}`, want: `5`},
		{name: "number", node: one("float"), answer: `{"f": 1.50}`, want: `1.50`},
		{name: "bool", node: one("bool"), answer: `{"f": "True"}`, want: `true`},
		{name: "time", node: one("timestamp"), answer: `{"f": "2026-01-02"}`, want: `"2026-01-02"`},
		{name: "list", node: one("vec<string>"), answer: `{"f": ["a", 1]}`, want: `["a","1"]`,
			asks: func(t *testing.T, q question) {
				if schema := string(q.ResponseFormat.JSONSchema.Schema); !strings.Contains(schema, `{"items":{"type":"string"},"type":"array"}`) {
					t.Errorf("schema: %s", schema)
				}
			}},
		{name: "list of numbers", node: one("list<int32>"), answer: `{"f": ["1", 2]}`, want: `[1,2]`},
		{name: "list of lists", node: one("vec<vec<bool>>"), answer: `{"f": [[true], []]}`, want: `[[true],[]]`},
		{name: "list of anything", node: one("list"), answer: `{"f": [true, "x", null]}`, want: `[true,"x",null]`},
		{name: "list as text", node: one("vec<string>"), answer: `{"f": "[\"a\"]"}`, want: `["a"]`},
		{name: "anything", node: one("any"), answer: `{"f": {"g": 1}}`, want: `{"g":1}`,
			asks: func(t *testing.T, q question) { same(t, "strict", q.ResponseFormat.JSONSchema.Strict, true) }},
		{name: "not found", node: one("int32"), answer: `{"f": null}`, want: `null`},
		{name: "a list not found", node: one("vec<string>"), answer: `{"f": null}`, want: `null`},
		{name: "blank is not found", node: one("float"), answer: `{"f": ""}`, want: `null`},
		{name: "empty text", node: one("string"), answer: `{"f": ""}`, want: `""`},
		{name: "one of two is left out", node: `text: x, fields: [{name: f}, {name: g}]`, answer: `{"G": "x"}`, want: `null`},
		{name: "fenced, other case", node: one("string"), answer: "```json\n{\"F\": \"x\"}\n```", want: `"x"`},
		{name: "no field", node: one("string"), answer: `{"data": {"f": "x"}}`, err: `it has none of the fields: "{\"data\": {\"f\": \"x\"}}"`},
		{name: "wrong type", node: one("int32"), answer: `{"f": "five"}`, err: `its field "f": "five" is not a number: "{\"f\": \"five\"}"`},
		{name: "too large", node: one("int32"), answer: `{"f": 5000000000}`, err: `its field "f": 5000000000 does not fit into 32 bits: "{\"f\": 5000000000}"`},
		{name: "wrong type in a list", node: one("vec<bool>"), answer: `{"f": [true, "x"]}`, err: `its field "f": element 1: "x" is not true or false: "{\"f\": [true, \"x\"]}"`},
		{name: "no list", node: one("vec<string>"), answer: `{"f": "x"}`, err: `its field "f": "x" is not a list: "{\"f\": \"x\"}"`},
		{name: "not JSON", node: one("string"), answer: `Ann`, err: `it is no JSON object: "Ann"`},
		{name: "no text", node: `text: "{{ v.a }}", fields: [{name: f}]`, err: `node n (extract_data): input "text" is empty`, given: `{"a": ""}`},
	})
	testRefused(t, "extract_data", []refusedCase{
		{"no fields", "text: x\nfields: []", `10:17: fields must be written out: they decide which outputs the node has`},
		{"of the run", "text: x\nfields: '{{ in.text }}'", `10:17: fields must be written out: they decide which outputs the node has`},
		{"twice", "text: x\nfields: [{name: a}, {name: a}]", `10:17: field "a" is there twice`},
		{"a name that is taken", "text: x\nfields: [{name: complete}]", `10:17: field "complete" cannot be extracted: the node has an output complete of its own`},
		{"a type", "text: x\nfields: [{name: a, type: strin}]",
			`10:17: field "a": values of type "strin" are not extracted; did you mean "string"?; they can be string, int32, float, bool, timestamp, any, or vec<...> of one of them`},
		{"a type of a list", "text: x\nfields: [{name: a, type: vec<file>}]",
			`10:17: field "a": values of type "vec<file>" are not extracted; they can be string, int32, float, bool, timestamp, any, or vec<...> of one of them`},
		{"no such field", "text: x\nfields: [{name: name}]\nprocessed_outputs: {nam: string}",
			`11:28: processed_outputs names "nam", which is not among the fields; did you mean "name"?`},
		{"no such provider", "text: x\nfields: [{name: a}]\nprovider: opnai", `11:19: node n (extract_data): provider "opnai" is unknown; did you mean "openai"?`},
	})
}

// Every field is an output of its own, also where the model named only some.
func TestExtractedOutputs(t *testing.T) {
	t.Parallel()
	m := newModel(t, always(`{"total": "12.50", "items": ["a", "b"], "name": null}`))
	status := runToEnd(t, m.engine(t, Options{}), `
		in: {type: input}
		n:
		  type: extract_data
		  inputs:
		    text: "{{ in.text }}"
		    fields: [{name: name}, {name: total, type: float}, {name: items, type: "vec<string>"}, {name: paid, type: bool}]
		out: {type: output, inputs: {value: "{{ n.name }}|{{ n.total }}|{{ n.items }}|{{ n.paid }}"}}
	`, runner.Inputs{"in": "a bill"})
	if status.Err != nil {
		t.Fatal(status.Err)
	}
	same(t, "outputs", asJSON(status.Outputs), `{"out":"|12.50|[\"a\",\"b\"]|"}`)
}

// Anthropic takes no schema in which more than 16 members may be null. The form
// is then asked for in words alone.
func TestManyFields(t *testing.T) {
	t.Parallel()
	for n, schema := range map[int]bool{unions: true, unions + 1: false} {
		var fields []string
		for i := range n {
			fields = append(fields, fmt.Sprintf("{name: f%d}", i))
		}
		m := newMessages(t, `{"f3": "x"}`)
		status := runToEnd(t, m.engine(t, Options{}), `
			in: {type: input}
			n: {type: extract_data, inputs: {provider: anthropic, model: claude-sonnet-4-5, text: "{{ in.text }}", fields: [`+strings.Join(fields, ", ")+`]}}
			out: {type: output, inputs: {value: "{{ n.f3 }}{{ n.f4 }}"}}
		`, runner.Inputs{"in": "a"})
		if status.Err != nil {
			t.Fatal(status.Err)
		}
		same(t, "outputs", asJSON(status.Outputs), `{"out":"x"}`)
		var body struct {
			Output json.RawMessage `json:"output_config"`
		}
		if err := json.Unmarshal([]byte(m.body()), &body); err != nil {
			t.Fatal(err)
		}
		if (body.Output != nil) != schema {
			t.Errorf("%d fields: %s", n, m.body())
		}
	}
}
