package engine

import (
	"testing"

	"nightshift/runner"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	testNodes(t, "merge", "output", []nodeCase{
		{name: "first by order", node: `fields: ["{{ v.a }}", "{{ v.b }}"]`, given: `{"a": "x", "b": "y"}`, want: `"x"`},
		{name: "first that is not empty", node: `fields: ["{{ v.a }}", "{{ v.b }}", "{{ v.c }}", "{{ v.d }}"]`, given: `{"a": null, "b": "", "c": [], "d": {"k": 12345678901234567890}}`, want: `{"k":12345678901234567890}`},
		{name: "zero and false are values", node: `function: join, fields: ["{{ v.a }}", "{{ v.b }}"]`, given: `{"a": 0, "b": false}`, want: `[0,false]`},
		{name: "join drops what is empty", node: `function: join, fields: ["{{ v.a }}", x, "", "{{ v.b }}"]`, given: `{"a": {}, "b": [null]}`, want: `["x",[null]]`},
		{name: "all empty", node: `fields: ["{{ v.a }}", ""]`, given: `{"a": null}`, want: `""`},
		{name: "all empty, joined", node: `function: join, fields: ["{{ v.a }}", ""]`, given: `{"a": null}`, want: `[]`},
		{name: "no fields", node: `fields: []`, want: `""`},
		{name: "fields from elsewhere", node: `fields: "{{ v.a }}"`, given: `{"a": ["", 1, 2]}`, want: `1`},
		{name: "fields as text, joined", node: `function: join, fields: "{{ v.a }}"`, given: `{"a": "[\"\", null, \"x\"]"}`, want: `["x"]`},
		{name: "no list", node: `fields: "{{ v.a }}"`, given: `{"a": "x"}`, err: `node n (merge): input "fields": "x" is not a list`},
		{name: "unknown function", node: `function: "{{ v.a }}", fields: [x]`, given: `{"a": "Join"}`, err: `node n (merge): input "function": "Join" is not one of first, join`},
	})
}

// Of the nodes left and right the one that side names is run, or none.
func TestMergeOfBranches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, merge, side, want string }{
		{"first takes the left", `fields: ["{{ left.text }}", "{{ right.text }}"]`, "left", `"L"`},
		{"first takes the right", `fields: ["{{ left.text }}", "{{ right.text }}"]`, "right", `"R"`},
		{"join", `function: join, fields: ["{{ left.text }}", "{{ right.text }}", x]`, "right", `"[\"R\",\"x\"]"`},
		{"skipped where both are", `fields: ["{{ left.text }}", "{{ right.text }}"]`, "none", `null`},
		{"a literal is the fallback where both are skipped", `fields: ["{{ left.text }}", "{{ right.text }}", x]`, "none", `"x"`},
		{"an empty one is none", `fields: ["{{ left.text }}", "{{ right.text }}", ""]`, "none", `null`},
		{"text around what was skipped is no value", `fields: ["answer: {{ left.text }}", "answer: {{ right.text }}"]`, "right", `"answer: R"`},
		{"nor is a list around it", `function: join, fields: [["{{ left.text }}"], ["{{ right.text }}"]]`, "left", `"[[\"L\"]]"`},
		{"one of two in a field", `fields: ["{{ left.text }}{{ right.text }}"]`, "right", `"R"`},
		{"other inputs tolerate nothing", `fields: ["{{ left.text }}", x], function: "{{ right.text }}"`, "left", `null`},
		{"nor do dependencies", `fields: ["{{ left.text }}", x], dependencies: ["{{ right.complete }}"]`, "left", `null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			outputs, err := runNodes(t, `
				side: {type: input}
				c:
				  type: condition
				  inputs:
				    conditions:
				      - {clauses: [{operator: Equal, input: "{{ side.text }}", value: left}]}
				      - {clauses: [{operator: Equal, input: "{{ side.text }}", value: right}]}
				left: {type: text, inputs: {text: L, dependencies: ["{{ c.path_0 }}"]}}
				right: {type: text, inputs: {text: R, dependencies: ["{{ c.path_1 }}"]}}
				m: {type: merge, inputs: {`+c.merge+`}}
				out: {type: output, inputs: {value: "{{ m.output }}"}}
			`, runner.Inputs{"side": c.side})
			if got, want := asJSON(outputs), `{"out":`+c.want+`}`; err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		})
	}
}
