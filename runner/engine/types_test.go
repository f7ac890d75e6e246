package engine

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/spec"
)

// TestTypesThatPassRun: whatever the check of types lets through runs, or fails with
// an error of its own, and never panics.
func TestTypesThatPassRun(t *testing.T) {
	holes := []string{ // nodes with one input that a reference of any type is put into
		`text, inputs: {text: %}`, `text_formatter, inputs: {text: %}`, `text_formatter, inputs: {text: abcdef, formatter: Truncate, max_num_token: %}`,
		`combine_text, inputs: {text: %}`, `combine_text, inputs: {text: [a, %]}`, `split_text, inputs: {text: %}`,
		`find_and_replace, inputs: {text_to_manipulate: a, replacements: [{find: %, replace: %}]}`, `convert_type, inputs: {source_type: string, value: %}`,
		`read_json_values, inputs: {json_string: %, keys: [a]}`, `read_json_values, inputs: {json_string: "{}", keys: %}`,
		`write_json_value, inputs: {fields: [{key: a, value: %}]}`, `write_json_value, inputs: {fields: %}`, `create_list, inputs: {list: %}`,
		`create_list, inputs: {type: int32, list: [%]}`, `combine_list, inputs: {list: [%, [a]]}`, `flatten_list, inputs: {list_of_lists: %}`,
		`get_list_item, inputs: {list: [a, b], index: %}`, `get_list_item, inputs: {type: float, list: %, index: 0}`, `join_list_item, inputs: {list: %}`,
		`join_list_item, inputs: {list: [a], join_by_newline: %}`, `list_trimmer, inputs: {list: %, item_to_keep: 1}`, `merge, inputs: {fields: %}`,
		`merge, inputs: {function: join, type: bool, fields: [%]}`, `condition, inputs: {conditions: [{clauses: [[GreaterThan, %, 1]]}]}`,
		`condition, inputs: {conditions: %}`, `output, inputs: {value: %}`, `output, inputs: {output_type: int32, value: %}`, `output, inputs: {output_type: bool, value: %}`,
		`output, inputs: {output_type: json, value: %}`, `output, inputs: {output_type: "stream<string>", value: %}`,
	}
	values := map[string][]any{
		"string": {"", "text", "5", "[\"a\", 1]", "{\"a\": 1}", "true"}, "int32": {json.Number("0"), json.Number("-3")}, "float": {json.Number("0.5")},
		"bool": {true, false}, "timestamp": {"2026-01-02T03:04:05Z"}, "vec<string>": {[]any{}, []any{"a", "b"}, []any{"1"}, []any{"{\"key\": \"k\"}"}},
		"vec<vec<string>>": {[]any{}, []any{[]any{"a"}, []any{}}},
	}
	passed, ran := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		typ := rapid.SampledFrom([]string{"string", "int32", "float", "bool", "timestamp", "vec<string>", "vec<vec<string>>"}).Draw(r, "type")
		value := rapid.SampledFrom(values[typ]).Draw(r, "value")
		hole := rapid.SampledFrom(holes).Draw(r, "node")
		name := "value"
		if typ == "string" {
			name = "text"
		}
		nodes := "in: {type: input, inputs: {input_type: \"" + typ + "\"}}\nn: {type: " + strings.ReplaceAll(hole, "%", `"{{ in.`+name+` }}"`) + "}\nout: {type: output, inputs: {value: a, dependencies: [\"{{ n.complete }}\"]}}"
		_, problems := spec.Parse("batch.yaml", []byte("version: 1\npipeline:\n  name: p\n  nodes:\n    "+strings.ReplaceAll(nodes, "\n", "\n    ")+"\nbatches: {b: {from: \"-\"}}\n"), spec.Options{})
		if errs, _ := problems.Split(); len(errs) > 0 {
			if len(errs) != strings.Count(hole, "%") || !strings.Contains(errs[0].Message, ", but this is ") {
				t.Errorf("%s of %s: %v", hole, typ, errs)
			}
			return
		}
		passed++
		_, err := runNodes(t, nodes, runner.Inputs{"in": value})
		if err != nil && strings.Contains(err.Error(), "panicked") {
			t.Errorf("%s of %v: %v", hole, value, err)
		}
		if err == nil {
			ran++
		}
	})
	if passed < 20 || ran < 10 {
		t.Errorf("%d passed, %d of them ran", passed, ran)
	}
}
