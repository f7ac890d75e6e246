package schema

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAcceptsAgrees: what is accepted without the schema is right by the schema, and
// what the schema takes is accepted, but for inputs that conditions hang on and that
// hold references.
func TestAcceptsAgrees(t *testing.T) {
	types := allTypes(t)
	checkNode := func(t *rapid.T) {
		nt := rapid.SampledFrom(types).Draw(t, "type")
		batch := nt.NoBatch == "" && rapid.Bool().Draw(t, "batch")
		fields := slices.Concat(nt.Inputs, CommonInputs())
		var asked []string // by conditions
		for _, f := range fields {
			for _, c := range f.When {
				asked = append(asked, c.Field)
			}
		}
		inputs := map[string]any{}
		for _, f := range fields {
			if f.Required && rapid.IntRange(0, 19).Draw(t, "given") > 0 || rapid.IntRange(0, 9).Draw(t, "given") == 0 {
				v := valueFor(t, f.Type, f.Enum, 3)
				if s, ok := v.(string); ok && strings.Contains(s, "{{") && slices.Contains(asked, f.Name) {
					v = f.Default
				}
				if batch && rapid.Bool().Draw(t, "each") && !slices.Contains(asked, f.Name) {
					v = []any{v, valueFor(t, f.Type, f.Enum, 3)}
				}
				inputs[f.Name] = v
			}
		}
		if rapid.IntRange(0, 19).Draw(t, "unknown") == 0 {
			inputs["nothing_known"] = "x"
		}
		err := inputsSchemaOf(nt, batch).schema.Validate(inputs)
		if accepted := nt.accepts(inputs, batch); accepted != (err == nil) {
			t.Errorf("%s, batch %v, %s: accepted %v, but the schema says: %v", nt.Name, batch, marshal(inputs), accepted, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			checkNode(t)
		}
	})
}

// valueFor draws a value that mostly fits a type.
func valueFor(t *rapid.T, typ string, enum []string, depth int) any {
	scalars := []any{"text", "", "{{ a.b }}", "x {{ a.b }}", "{{ a", json.Number("5"), json.Number("-1.5"), true, nil, []any{}, []any{"a"}, map[string]any{"key": "k"}}
	if depth == 0 || rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
		return rapid.SampledFrom(scalars).Draw(t, "value")
	}
	if inner, ok := strings.CutPrefix(typ, "vec<"); ok {
		list := []any{}
		for range rapid.IntRange(0, 2).Draw(t, "elements") {
			list = append(list, valueFor(t, strings.TrimSuffix(inner, ">"), enum, depth-1))
		}
		return list
	}
	switch typ {
	case "string", "path":
		return rapid.SampledFrom(scalars[:5]).Draw(t, "text")
	case "enum":
		return rapid.SampledFrom(append(slices.Clip(enum), "{{ a.b }}")).Draw(t, "word")
	case "int32":
		return json.Number("7")
	case "float":
		return json.Number("0.5")
	case "bool":
		return rapid.Bool().Draw(t, "bool")
	}
	r, ok := LookupRecord(typ)
	if !ok {
		return rapid.SampledFrom(scalars).Draw(t, "value")
	}
	record := map[string]any{}
	for _, f := range r.Fields {
		if f.Required || rapid.Bool().Draw(t, "field") {
			record[f.Name] = valueFor(t, f.Type, f.Enum, depth-1)
		}
	}
	return record
}

// TestBatchInputs: in batch mode a list of values may stand where one may, and what is
// wrong in it is found at its element.
func TestBatchInputs(t *testing.T) {
	for _, test := range []struct{ typ, inputs, problem string }{
		{"llm", `{provider: openai, prompt: [a, "{{ x.y }}", b], system: ["one"], temperature: [0, 0.5]}`, ""},
		{"llm", `{provider: openai, prompt: []}`, ""},
		{"llm", `{provider: openai, prompt: [a, 5]}`, `1:32: node n.prompt[1] is 5, but must be text (put it in quotes)`},
		{"llm", `{provider: openai, prompt: [[a]]}`, `1:29: node n.prompt[0] is a list, but must be text (put it in quotes)`},
		{"llm", `{provider: [openai, opnai]}`, `1:21: node n.provider[1] is the text "opnai", but must be one of`},
		{"llm", `{prompt: [a]}`, `1:1: "provider" is missing in node n`},
		{"combine_text", `{text: [[a, b], [c]]}`, ""},
		{"combine_text", `{text: [a, b]}`, ""},
		{"combine_text", `{text: [[a, [b]]]}`, `1:13: node n.text[0][1] is a list, but must be text (put it in quotes)`},
		{"find_and_replace", `{text_to_manipulate: [a, b], replacements: [[{find: a}], [{find: b, with: c}]]}`, `1:69: unknown key "with" in node n.replacements[1][0]`},
		{"text", `{text: a, dependencies: [["{{ x.y }}"]]}`, `1:26: node n.dependencies[0] is a list`},
	} {
		var got string
		for _, p := range ValidateBatchInputs(LookupNodeType(test.typ), node(t, test.inputs), "node n") {
			got += p.String()
		}
		if test.problem == "" && got != "" || !strings.Contains(got, test.problem) {
			t.Errorf("%s %s: %q, want %q", test.typ, test.inputs, got, test.problem)
		}
	}
	if problems := ValidateInputs(LookupNodeType("llm"), node(t, `{provider: openai, prompt: [a]}`), "node n"); len(problems) != 1 {
		t.Errorf("a list of prompts outside of batch mode: %v", problems)
	}
}
