package spec

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nightshift/schema"
)

// TestFits is the list of what goes where; each type goes with itself besides.
func TestFits(t *testing.T) {
	scalars := strings.Fields("string int32 float bool timestamp file image audio any path vec<string> vec<int32> vec<file> vec<vec<string>> dataframe table")
	takes := map[string]string{ // wanted: what is taken
		"string":           "int32 float bool timestamp any",
		"int32":            "string float any",
		"float":            "string int32 any",
		"bool":             "string any",
		"timestamp":        "string any",
		"file":             "image audio any",
		"image":            "string file any",
		"audio":            "file any",
		"any":              "string int32 float bool timestamp file image audio vec<string> vec<int32> vec<file> vec<vec<string>> dataframe table",
		"json":             "string int32 float bool timestamp file image audio any vec<string> vec<int32> vec<file> vec<vec<string>> dataframe table",
		"path":             "",
		"stream<string>":   "string int32 float bool timestamp any",
		"vec<string>":      "string any vec<int32>",
		"vec<int32>":       "string any vec<string>",
		"vec<float>":       "string any vec<string> vec<int32>",
		"vec<any>":         "string any vec<string> vec<int32> vec<file> vec<vec<string>>",
		"vec<file>":        "string any",
		"vec<image>":       "string any vec<string> vec<file>",
		"vec<vec<string>>": "string any vec<string>", // of texts that are lists
		"knowledge_base":   "any",
		"dataframe":        "string file any table",
		"table":            "string file any dataframe",
		asBool:             "any path",
		asText:             "any path vec<string> vec<int32> vec<file> vec<vec<string>>",
	}
	for want, from := range takes {
		for _, typ := range scalars {
			expected := typ == want || slices.Contains(strings.Fields(from), typ)
			if got := fits(typ, want); got != expected {
				t.Errorf("%s where %s is wanted: %v", typ, want, got)
			}
		}
	}
	if !fits("stream<string>", "string") || !fits("vec<json>", "vec<bool>") || fits("vec<bool>", "vec<int32>") {
		t.Error("a stream into text, lists of json, lists of bool")
	}
}

// TestCoercionsAreOfTypes: the list speaks of types that there are.
func TestCoercionsAreOfTypes(t *testing.T) {
	for _, c := range Coercions() {
		if !strings.HasSuffix(c.Why, ".") || len(c.From) == 0 || len(c.To) == 0 {
			t.Errorf("%+v", c)
		}
		for _, typ := range slices.Concat(c.From, c.To) {
			known := slices.Contains(strings.Fields("string int32 float bool timestamp any json path file image audio dataframe table stream<string>"), typ)
			if !known && typ != "*" && typ != "vec<*>" && typ != asText && typ != asBool {
				t.Errorf("%+v: %s is no type", c, typ)
			}
		}
	}
}

// TestReadmeListsCoercions: the README has every line of the list.
func TestReadmeListsCoercions(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := func(types []string) string {
		return strings.NewReplacer("`"+asText+"`", asText, "`"+asBool+"`", asBool).Replace("`" + strings.Join(types, "`, `") + "`")
	}
	for _, c := range Coercions() {
		line := fmt.Sprintf("| %s | %s | %s |", quoted(c.From), quoted(c.To), c.Why)
		if !strings.Contains(string(readme), line) {
			t.Errorf("README.md does not say: %s", line)
		}
	}
}

// typed gives the node n of a pipeline with an input of each kind before it.
func typed(t *testing.T, node string) (*Pipeline, schema.Problems) {
	t.Helper()
	text := `version: 1
pipeline:
  name: typed
  nodes:
    in: {type: input}
    doc: {type: input, inputs: {input_type: file}}
    list: {type: input, inputs: {input_type: vec<string>}}
    lists: {type: input, inputs: {input_type: vec<vec<string>>}}
    files: {type: input, inputs: {input_type: vec<file>}}
    count: {type: input, inputs: {input_type: int32}}
    c: {type: condition, inputs: {conditions: [{clauses: [[IsEmpty, "{{ in.text }}"]]}]}}
    n: ` + node + `
    out: {type: output, inputs: {value: a}}
batches: {b: {from: "-"}}
`
	f, problems := Parse("batch.yaml", []byte(text), Options{})
	errs, _ := problems.Split()
	return f.Pipeline, errs
}

// TestWhatIsTaken: references that stand alone, in lists, in records and in text.
func TestWhatIsTaken(t *testing.T) {
	for _, test := range []struct{ node, problem string }{ // problem: "", or a part of it
		{`{type: text, inputs: {text: "{{ in.text }}"}}`, ""},
		{`{type: text, inputs: {text: "{{ count.value }}"}}`, ""},
		{`{type: text, inputs: {text: "{{ list.value }}"}}`, "wants text in"},
		{`{type: text, inputs: {text: "{{ list.value }}."}}`, ""},
		{`{type: text, inputs: {text: "{{ doc.file }}."}}`, "cannot stand inside of other text"},
		{`{type: text, inputs: {text: "{{ files.files }}."}}`, "cannot stand inside of other text"},
		{`{type: text, inputs: {text: a, dependencies: ["{{ c.path_0 }}", "{{ doc.file }}"]}}`, ""},
		{`{type: text, inputs: {text: a, dependencies: "{{ list.value }}"}}`, ""},
		{`{type: output, inputs: {value: "{{ list.value }}"}}`, ""},
		{`{type: output, inputs: {value: "{{ c.path_0 }}"}}`, ""},
		{`{type: output, inputs: {output_type: json, value: "{{ lists.value }}"}}`, ""},
		{`{type: output, inputs: {output_type: bool, value: "{{ list.value }}"}}`, "wants true or false in"},
		{`{type: output, inputs: {output_type: bool, value: "{{ c.path_0 }}"}}`, ""},
		{`{type: output, inputs: {output_type: int32, value: "{{ c.path_0 }}"}}`, "cannot take a path"},
		{`{type: filter_list, inputs: {type: file, filter_mode: another, list_to_filter: "{{ files.files }}", filter_by: "{{ list.value }}", condition_type: IsEmpty, output_blank_value: false}}`, ""},
		{`{type: filter_list, inputs: {filter_mode: another, list_to_filter: "{{ list.value }}", filter_by: "{{ count.value }}", condition_type: IsEmpty, output_blank_value: false}}`, "wants a list (vec<any>)"},
		{`{type: duplicate_list, inputs: {input_field: a, list_size_to_match: "{{ files.files }}"}}`, ""},
		{`{type: time, inputs: {use_delta: true, delta_value: 1, delta_time_unit: Weeks}}`, ""},
		{`{type: sticky_note, inputs: {text: "{{ files.files }}. {{ gone.text }} {{ n.complete }} {{ in }}"}}`, ""},
		{`{type: output, inputs: {output_type: "{{ in.text }}", value: "{{ list.value }}"}}`, ""},
		{`{type: combine_text, inputs: {text: "{{ list.value }}"}}`, ""},
		{`{type: combine_text, inputs: {text: ["{{ in.text }}", "{{ count.value }}"]}}`, ""},
		{`{type: combine_text, inputs: {text: ["{{ in.text }}", "{{ lists.value }}"]}}`, `in "text[1]", but this is a list (vec<vec<string>>)`},
		{`{type: combine_text, inputs: {text: "{{ lists.value }}"}}`, "flatten_list makes one list of it"},
		{`{type: combine_text, inputs: {text: "{{ count.value }}"}}`, `["{{ count.value }}"]`},
		// Elements are checked where the author has said what they are.
		{`{type: create_list, inputs: {list: ["{{ doc.file }}", "{{ list.value }}"]}}`, ""},
		{`{type: create_list, inputs: {type: string, list: ["{{ doc.file }}"]}}`, `in "list[0]", but this is a file; {{ doc.processed_text }} is text`},
		{`{type: create_list, inputs: {type: path, list: ["{{ c.path_0 }}"]}}`, ""},
		{`{type: combine_list, inputs: {type: string, list: ["{{ list.value }}", ["{{ in.text }}"]]}}`, ""},
		{`{type: combine_list, inputs: {type: string, list: [["{{ list.value }}"]]}}`, `in "list[0][0]"`},
		{`{type: merge, inputs: {fields: ["{{ doc.file }}"]}}`, ""},
		{`{type: duplicate_list, inputs: {type: int32, input_field: "{{ doc.file }}", list_size_to_match: "{{ list.value }}"}}`, "wants a whole number in"},
		// Records are looked into, and taken as a whole.
		{`{type: api, inputs: {url: "http://a", headers: [{key: "{{ in.text }}", value: "{{ list.value }}"}]}}`, ""},
		{`{type: api, inputs: {url: "http://a", headers: [{key: "{{ list.value }}", value: a}]}}`, `in "headers[0].key"`},
		{`{type: api, inputs: {url: "http://a", headers: "{{ list.value }}"}}`, ""},
		{`{type: read_json_values, inputs: {json_string: a, keys: ["{{ in.text }}"]}}`, ""},
		{`{type: condition, inputs: {conditions: [{clauses: [[IsEmpty, "{{ doc.file }}"], {operator: "{{ list.value }}", input: a}], operators: [AND]}]}}`, `clauses[1].operator`},
		{`{type: csv_writer, inputs: {columns: [{name: a, value: "{{ list.value }}"}, {name: b, value: "{{ count.value }}"}]}}`, `in "columns[1].value"`},
		{`{type: code_execution, inputs: {code: a, processed_inputs: {a: "{{ list.value }}"}}}`, ""},
		// Batch mode takes lists of what one call takes.
		{`{type: text, execution_mode: batch, inputs: {text: "{{ list.value }}"}}`, ""},
		{`{type: text, execution_mode: batch, inputs: {text: ["{{ in.text }}", b]}}`, ""},
		{`{type: text, execution_mode: batch, inputs: {text: ["{{ list.value }}", b]}}`, `in "text[0]"`},
		{`{type: text, execution_mode: batch, inputs: {text: "{{ lists.value }}"}}`, "but this is a list (vec<vec<string>>)"},
		{`{type: combine_text, execution_mode: batch, inputs: {text: "{{ lists.value }}"}}`, ""},
		{`{type: combine_text, execution_mode: batch, inputs: {text: "{{ list.value }}"}}`, ""},
		{`{type: combine_text, execution_mode: batch, inputs: {text: ["{{ list.value }}", ["{{ in.text }}"]]}}`, ""},
		{`{type: file_to_text, execution_mode: batch, inputs: {file: "{{ files.files }}"}}`, ""},
		{`{type: file_to_text, execution_mode: batch, inputs: {file: "{{ list.value }}"}}`, "wants a file in"},
		// What is not known is not checked, but for paths.
		{`{type: transformation, inputs: {x: "{{ doc.file }}"}}`, ""},
		{`{type: transformation, inputs: {x: "{{ c.path_0 }}"}}`, "cannot take a path"},
	} {
		_, problems := typed(t, test.node)
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
		}
		if test.problem == "" && got != nil || test.problem != "" && (len(got) != 1 || !strings.Contains(got[0], test.problem)) {
			t.Errorf("%s: %q, want %q", test.node, got, test.problem)
		}
	}
}

// TestOutputs: types of a node's outputs, in batch mode and of sub-pipelines.
func TestOutputs(t *testing.T) {
	all := func(n *Node) (all []string) {
		for _, o := range n.Outputs() {
			all = append(all, o.Name+" "+o.Type)
		}
		return all
	}
	p, _ := typed(t, `{type: text}`)
	sub := &Pipeline{Nodes: append(slices.Clone(p.Nodes),
		&Node{Name: "texts", Type: "output", Inputs: map[string]any{"output_type": "stream<string>"}},
		&Node{Name: "data", Type: "output", Inputs: map[string]any{"output_type": "json"}})}
	for _, test := range []struct {
		node Node
		want []string
	}{
		{Node{Type: "split_text"}, []string{"processed_text vec<string>", "complete path"}},
		{Node{Type: "split_text", ExecutionMode: "batch"}, []string{"processed_text vec<vec<string>>", "complete path"}},
		{Node{Type: "llm", ExecutionMode: "batch", Inputs: map[string]any{"stream": true}}, []string{"response vec<string>", "tokens_used vec<int32>",
			"input_tokens vec<int32>", "output_tokens vec<int32>", "credits_used vec<float>", "complete path"}},
		{Node{Type: "pipeline", Sub: sub}, []string{"out string", "texts string", "data any", "complete path"}},
		{Node{Type: "pipeline", Sub: sub, ExecutionMode: "batch"}, []string{"out vec<string>", "texts vec<string>", "data vec<any>", "complete path"}},
		{Node{Type: "pipeline"}, []string{"complete path"}},
		{Node{Type: "of_no_catalogue"}, nil},
	} {
		if diff := cmp.Diff(test.want, all(&test.node)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.node.Type, diff)
		}
	}
	n := Node{Type: "pipeline", Sub: sub}
	for input, want := range map[string]string{"in": "string", "files": "vec<file>", "out": "any", "nothing": "any", "pipeline": "pipeline"} {
		if got := n.InputType(input); got != want {
			t.Errorf("input %s of a node that runs a pipeline: %s, want %s", input, got, want)
		}
	}
}

// TestFitsIsSound draws types: any goes everywhere, lists go as their elements do,
// and a path goes nowhere but into a result.
func TestFitsIsSound(t *testing.T) {
	scalar := rapid.SampledFrom(strings.Fields("string int32 float bool timestamp json any file image audio path stream<string> agent dataframe"))
	rapid.Check(t, func(t *rapid.T) {
		wrap := func(typ string) string {
			for range rapid.IntRange(0, 2).Draw(t, "depth") {
				typ = "vec<" + typ + ">"
			}
			return typ
		}
		from, want := wrap(scalar.Draw(t, "from")), wrap(scalar.Draw(t, "want"))
		ok := fits(from, want)
		if in := fits("vec<"+from+">", "vec<"+want+">"); in != ok {
			t.Errorf("%s where %s is wanted: %v, but lists of them: %v", from, want, ok, in)
		}
		if from == "path" && want != "path" && ok {
			t.Errorf("a path is taken where %s is wanted", want)
		}
		if want != "path" && !fits("any", want) || from != "path" && !fits(from, "any") {
			t.Errorf("any and %s, %s and any", want, from)
		}
	})
}
