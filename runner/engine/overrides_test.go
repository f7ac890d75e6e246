package engine

import (
	"encoding/json"
	"errors"
	"strconv"
	"testing"

	"nightshift/runner"
)

const overridable = `
	in: {type: input}
	format: {type: text_formatter, inputs: {text: "{{ in.text }}", formatter: To Uppercase}}
	list: {type: create_list, inputs: {list: ["{{ format.output }}"]}}
	first: {type: get_list_item, inputs: {list: "{{ list.output }}", index: 0}}
	out: {type: output, inputs: {value: "{{ first.output }}"}}
`

func TestNodeInputOverrides(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := save(t, e, overridable)
	for _, c := range []struct {
		overrides map[string]any
		want      string
	}{
		{nil, "ÄB"},
		{map[string]any{"format.formatter": "To Lowercase"}, "äb"},
		{map[string]any{"format.formatter": "To Lowercase"}, "äb"}, // from what is kept
		{map[string]any{}, "ÄB"},                                   // the pipeline itself is as it was
		{map[string]any{"format.text": "<{{ in.text }}>", "format.formatter": "To Propercase"}, "<Äb>"},
		{map[string]any{"list.list": []any{"{{ in.text }}", "y"}, "first.index": json.Number("-1")}, "y"},
		{map[string]any{"first.list": "{{ in.text }}", "in.input_type": "string", "in.use_default_value": true}, ""},
	} {
		h, err := e.Start(t.Context(), id, runner.Inputs{"in": "äB"}, runner.StartOptions{NodeInputOverrides: c.overrides})
		if err != nil {
			t.Errorf("%v: %v", c.overrides, err)
			continue
		}
		status, err := e.Wait(t.Context(), h)
		if c.want == "" {
			checkError(t, status.Err, `node first (get_list_item): input "list": "äB" is not a list`)
		} else if err != nil || status.Outputs["out"] != c.want {
			t.Errorf("%v: %v, %v; want %s", c.overrides, status, err, c.want)
		}
	}
}

func TestBadNodeInputOverrides(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := save(t, e, overridable)
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"formatt.text", "x", `override "formatt.text" does not name an input of a node`},
		{"format", "x", `override "format" does not name an input of a node`},
		{"format.", "x", `override "format." does not name an input of a node`},
		{"format.txt", "x", `with node_input_overrides: unknown key "txt" in node format; did you mean "text"?`},
		{"format.formatter", "Uppercase", `with node_input_overrides: node format.formatter is the text "Uppercase", but must be one of To Lowercase, To Propercase, To Uppercase, Trim Spaces, Truncate; did you mean "To Uppercase"?`},
		{"first.index", "one", `with node_input_overrides: node first.index is the text "one", but must be a whole number (or a reference such as {{ node.output }})`},
		{"first.index", json.Number("1.5"), `with node_input_overrides: node first.index is 1.5, but must be a whole number (or a reference such as {{ node.output }})`},
		{"format.text", nil, `with node_input_overrides: node format.text is empty, but must be text (put it in quotes)`},
		{"format.text", "{{ nobody.text }}", `with node_input_overrides: batch.yaml:6:51: {{ nobody.text }} refers to nothing`},
		{"list.list", []any{"{{ in.value }}"}, `with node_input_overrides: batch.yaml:7:46: {{ in.value }} refers to nothing`},
		{"in.input_type", "int32", `with node_input_overrides: batch.yaml:6:51: {{ in.text }} refers to nothing`},
		{"in.input_type", "agent", `with node_input_overrides: batch.yaml:5:5: input_type agent is not run here: it is an object of the platform: use backend vectorshift; batch.yaml:6:51: {{ in.text }} refers to nothing`},
		{"format.text", "{{ first.output }}", `with node_input_overrides: nodes refer to one another in a circle: format -> list -> first -> format`},
		{"format.dependencies", []any{"{{ format.complete }}"}, `with node_input_overrides: nodes refer to one another in a circle: format -> format`},
	} {
		_, err := e.Start(t.Context(), id, runner.Inputs{"in": "x"}, runner.StartOptions{NodeInputOverrides: map[string]any{c.key: c.value}})
		checkError(t, err, c.want)
		if inputError := (*runner.InputError)(nil); !errors.As(err, &inputError) {
			t.Errorf("%s: %T is no *runner.InputError", c.key, err)
		}
	}
}

func TestOverriddenProgramsAreBounded(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := save(t, e, echoNodes)
	for i := range 3 * keptVariants {
		want := strconv.Itoa(i)
		h, err := e.Start(t.Context(), id, runner.Inputs{"in": "x"}, runner.StartOptions{NodeInputOverrides: map[string]any{"t.text": want}})
		if err != nil {
			t.Fatal(err)
		}
		if status, err := e.Wait(t.Context(), h); err != nil || status.Outputs["out"] != want {
			t.Fatalf("%v, %v; want %s", status, err, want)
		}
	}
	if n := len(e.pipelines[id].variants); n > keptVariants {
		t.Errorf("%d programs are kept, want %d at most", n, keptVariants)
	}
}
