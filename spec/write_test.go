package spec

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// written gives a pipeline as Write writes it, and as Parse reads that.
func written(t interface {
	Helper()
	Fatalf(string, ...any)
}, p *Pipeline) (string, *Pipeline) {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, p, nil); err != nil {
		t.Fatalf("%v", err)
	}
	none := func(string) (string, bool) { return "", false }
	f, problems := Parse("batch.yaml", b.Bytes(), Options{Env: none})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatalf("%v\nin:\n%s", errs, b.String())
	}
	if f.Run.Backend != "vectorshift" || len(f.Batches) != 1 {
		t.Fatalf("run on %s, %d batches:\n%s", f.Run.Backend, len(f.Batches), b.String())
	}
	return b.String(), f.Pipeline
}

// plainNode is what of a node can be compared.
type plainNode struct {
	Name, Type, Mode string
	Inputs           map[string]any
	Names            []string
	Cyclic           map[string]any
}

func plainNodes(p *Pipeline) (all []plainNode) {
	for _, n := range p.Nodes {
		all = append(all, plainNode{n.Name, n.Type, n.ExecutionMode, n.Inputs, n.InputNames, n.CyclicInputs})
	}
	return all
}

func TestWriteLooks(t *testing.T) {
	temperature := json.Number("0.5")
	p := &Pipeline{Name: "bg_summariser", Description: "costs $5", Nodes: []*Node{
		{Name: "input_0", Type: "input", Inputs: map[string]any{"input_type": "string"}, InputNames: []string{"input_type"}},
		{Name: "count", Type: "input", Inputs: map[string]any{"input_type": "int32"}, InputNames: []string{"input_type"}},
		{Name: "picture", Type: "input", Inputs: map[string]any{"input_type": "image"}, InputNames: []string{"input_type"}},
		{Name: "tone", Type: "input", Inputs: map[string]any{"input_type": "string", "use_default_value": true, "default_value": "dry"}, InputNames: []string{"input_type", "use_default_value", "default_value"}},
		{Name: "llm", Type: "llm", Inputs: map[string]any{
			"provider": "openai", "model": "gpt-5.1", "temperature": temperature, "stream": false, "system": "",
			"prompt": "Summarise 😀:\n\n  {{ input_0.text }}\n", "json_schema": `{"type": "object"}`,
		}, InputNames: []string{"provider", "model", "prompt", "temperature", "stream", "system", "json_schema"}},
		{Name: "odd", Type: "of_no_catalogue", ExecutionMode: "batch", CyclicInputs: map[string]any{"x": "{{ llm.response }}"}, Inputs: map[string]any{
			"list": []any{
				map[string]any{"name": "a", "text": strings.Repeat("long ", 20), "more": []any{}},
				map[string]any{"name": "b"}, "yes", "1e3", "null", "2026-11-23", "", []any{[]any{temperature}},
				"two\nlines", nil,
			},
		}, InputNames: []string{"list"}},
		{Name: "output_0", Type: "output", Inputs: map[string]any{"output_type": "string", "value": "{{ llm.response }}"}, InputNames: []string{"output_type", "value"}},
	}}
	got, back := written(t, p)
	const want = `version: 1
pipeline:
  name: bg_summariser
  description: "costs $$5"
  nodes:
    input_0: {type: input, inputs: {input_type: string}}
    count: {type: input, inputs: {input_type: int32}}
    picture: {type: input, inputs: {input_type: image}}
    tone: {type: input, inputs: {input_type: string, use_default_value: true, default_value: dry}}
    llm:
      type: llm
      inputs:
        provider: openai
        model: gpt-5.1
        prompt: |
          Summarise 😀:

            {{ input_0.text }}
        temperature: 0.5
        stream: false
        system: ""
        json_schema: "{\"type\": \"object\"}"
    odd:
      type: of_no_catalogue
      execution_mode: batch
      inputs:
        list:
          - more: []
            name: a
            text: "long long long long long long long long long long long long long long long long long long long long "
          - {name: b}
          - "yes"
          - "1e3"
          - "null"
          - "2026-11-23"
          - ""
          - [[0.5]]
          - |-
            two
            lines
          - null
      cyclic_inputs: {x: "{{ llm.response }}"}
    output_0: {type: output, inputs: {output_type: string, value: "{{ llm.response }}"}}
run: {backend: vectorshift}
batches:
  bg_summariser:
    inputs:
      - input_0: a value for input_0
        count: 1
        picture: {file: path/to/picture}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	p.Nodes[0].ExecutionMode = "normal"
	for _, n := range p.Nodes {
		if n.ExecutionMode == "" {
			n.ExecutionMode = "normal"
		}
	}
	if diff := cmp.Diff(plainNodes(p), plainNodes(back)); diff != "" {
		t.Error(diff)
	}
}

// awkward are texts, and pieces of texts, that YAML or variables take for something
// else.
var awkward = []string{
	"{{", "}}", "{{ source.x }}", "{{ nobody }}", "$", "$$", "${X}", "${", "$${X:-y}", " ", "  ", "\n", "\n\n", "\t", "\r", "\r\n", "x", "a b", "é", "日本", "😀", "👩\u200d🚀",
	"yes", "no", "y", "on", "null", "~", "true", "1e3", "1_000", "0x10", "017", "1.", ".5", ".nan", "-0", "+1", "2026-11-23", "2026-11-23T01:02:03Z", "12:30:45", "=", "<<", "!!int 3", "!x",
	"-", "- ", "? ", ": ", ":", "#", " #", "&a", "*a", "|", ">", "|2-", "%", "@", "`", "'", "\"", "\\", "\\n", ",", "[", "]", "{", "}", "---", "...", "--- ",
	"\x00", "\x07", "\x1b[1m", "\x7f", "\u0085", "\u00a0", "\u00ad", "\u2028", "\u2029", "\u202e", "\ufeff", "\ufffd", "\ufffe", "\U000e0001", "\U0010ffff",
}

func texts() *rapid.Generator[string] {
	pieces := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(awkward), 0, 6).Draw(t, "pieces"), "")
	})
	long := rapid.Custom(func(t *rapid.T) string {
		return strings.Repeat(pieces.Draw(t, "piece"), rapid.IntRange(1, 40).Draw(t, "times"))
	})
	return rapid.OneOf(pieces, pieces, pieces, rapid.String(), long)
}

func plainValues(depth int) *rapid.Generator[any] {
	numbers := []string{"0", "-1", "1.0", "1e3", "1E+3", "-2.5e-7", "12345678901234567890123", "0.1"}
	kinds := []*rapid.Generator[any]{
		rapid.Just(any(nil)),
		rapid.Bool().AsAny(),
		rapid.Map(rapid.SampledFrom(numbers), func(s string) any { return json.Number(s) }),
		texts().AsAny(), texts().AsAny(), texts().AsAny(),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(plainValues(depth-1), 0, 4), func(list []any) any {
				return append([]any{}, list...)
			}),
			rapid.Map(rapid.MapOfN(keys(), plainValues(depth-1), 0, 4), func(m map[string]any) any { return m }))
	}
	return rapid.OneOf(kinds...)
}

func keys() *rapid.Generator[string] {
	return texts().Filter(func(s string) bool { return len(quoted(s)) <= maxName })
}

// TestWrittenIsParsed holds that Parse gives what was written, whatever it is.
func TestWrittenIsParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Pipeline{
			Name:        texts().Filter(func(s string) bool { return s != "" }).Draw(t, "name"),
			Description: texts().Draw(t, "description"),
			Nodes:       []*Node{{Name: "source", Type: "of_no_catalogue", ExecutionMode: "normal", Inputs: map[string]any{}}},
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "nodes") {
			n := &Node{Name: "n" + string(rune('0'+i)), Type: "of_no_catalogue", ExecutionMode: rapid.SampledFrom([]string{"normal", "batch"}).Draw(t, "mode")}
			n.Inputs = rapid.MapOfN(keys(), plainValues(3), 0, 5).Draw(t, "inputs")
			if len(n.Inputs) > 0 {
				n.InputNames = rapid.Permutation(slices.Sorted(maps.Keys(n.Inputs))).Draw(t, "order")
			}
			for name, value := range rapid.MapOfN(keys(), texts(), 0, 2).Draw(t, "cyclic") {
				if n.CyclicInputs == nil {
					n.CyclicInputs = map[string]any{}
				}
				n.CyclicInputs[name] = value
			}
			p.Nodes = append(p.Nodes, n)
		}
		text, back := written(t, p)
		if back.Name != p.Name || back.Description != p.Description {
			t.Errorf("%q, %q came back as %q, %q", p.Name, p.Description, back.Name, back.Description)
		}
		if diff := cmp.Diff(plainNodes(p), plainNodes(back)); diff != "" {
			t.Errorf("%s\n%s", diff, text)
		}
		again, _ := written(t, back)
		if again != text {
			t.Errorf("written again, it is another text: %s", cmp.Diff(text, again))
		}
	})
}

// TestWrittenTexts holds the same of every two awkward texts, beside and above one
// another.
func TestWrittenTexts(t *testing.T) {
	var all []any
	for _, a := range awkward {
		all = append(all, a)
		for _, b := range awkward {
			all = append(all, a+b, a+"\n"+b+"\n", "x\n"+a+"\n\n"+b)
		}
	}
	source := &Node{Name: "source", Type: "of_no_catalogue", Inputs: map[string]any{}, ExecutionMode: "normal"}
	n := &Node{Name: "n0", Type: "of_no_catalogue", ExecutionMode: "normal", Inputs: map[string]any{"all": all}, InputNames: []string{"all"}}
	_, back := written(t, &Pipeline{Name: "p", Nodes: []*Node{source, n}})
	for i, v := range back.Nodes[1].Inputs["all"].([]any) {
		if v != all[i] {
			t.Errorf("%q came back as %#v", all[i], v)
		}
	}
}

// TestWriteRefuses: what no batch file holds is said, not written.
func TestWriteRefuses(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{strings.Repeat("a", maxScalar+1), "pipeline.nodes.n.inputs.v: a text of 1048577 bytes; one value of a batch file can have 1048576"},
		{strings.Repeat("a\n", maxScalar/2) + "a", "pipeline.nodes.n.inputs.v: a text of 1048577 bytes"},
		{strings.Repeat("$", maxScalar/2+1), "a text of 1048578 bytes"},
		{"\xff", "v: it is not valid UTF-8"},
		{"\n\xff", "v: it is not valid UTF-8"},
		{json.Number("1e999"), "v: 1e999 is no number that a batch file can hold"},
		{json.Number("NaN"), "v: NaN is no number"},
		{3, "v: a int is no plain value"},
		{map[string]any{strings.Repeat("k", maxName+1): "x"}, "a name of 1001 bytes that no batch file can hold: kkk"},
		{map[string]any{"\xff": "x"}, "a name of 1 bytes that no batch file can hold"},
	} {
		var b bytes.Buffer
		err := Write(&b, &Pipeline{Name: "p", Nodes: []*Node{{Name: "n", Type: "x", Inputs: map[string]any{"v": test.value}}}}, nil)
		if err == nil {
			t.Errorf("%.20v: no error", test.value)
			continue
		}
		mustContain(t, err.Error(), test.want)
		if b.Len() > 0 {
			t.Errorf("%q was written all the same", test.want)
		}
	}
	if err := Write(failingWriter{}, &Pipeline{Name: "p"}, nil); err == nil {
		t.Error("an error of the writer is lost")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestWritePlaceholders: what stands for an input has its type.
func TestWritePlaceholders(t *testing.T) {
	types := []string{"string", "int32", "float", "bool", "timestamp", "file", "image", "audio", "vec<string>", "vec<vec<string>>", "vec<file>", "vec<vec<file>>", "knowledge_base"}
	p := &Pipeline{Name: "p"}
	for i, typ := range types {
		p.Nodes = append(p.Nodes, &Node{Name: "in_" + string(rune('a'+i)), Type: "input", Inputs: map[string]any{"input_type": typ}})
	}
	written(t, p) // Parse has converted each
	text, _ := written(t, &Pipeline{Name: "p", Nodes: []*Node{{Name: "n", Type: "x"}}})
	mustContain(t, text, "inputs: [{}]\n")
}

// TestWriteVariables: the value of a variable is not in the file, and Parse fills it in again.
func TestWriteVariables(t *testing.T) {
	const key = "vs-$key-0123"
	env := func(name string) (string, bool) { return key, name == "KEY" }
	p := &Pipeline{Name: "by " + key, Nodes: []*Node{{Name: "n", Type: "x", ExecutionMode: "normal", InputNames: []string{"alone", "block", "deep"}, Inputs: map[string]any{
		"alone": key, "deep": []any{map[string]any{"Authorization": "Bearer " + key + key, "cost": "$5"}}, "block": "a\n" + key + "\n",
	}}}}
	variables := map[string]string{"KEY": key}
	var b bytes.Buffer
	if err := Write(&b, p, variables); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "0123") || !strings.Contains(b.String(), "by__") || strings.Count(b.String(), "${KEY}") != 5 {
		t.Errorf("it is\n%s", b.String())
	}
	f, problems := Parse("batch.yaml", b.Bytes(), Options{Env: env})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatalf("%v\nin:\n%s", errs, b.String())
	}
	if diff := cmp.Diff(plainNodes(p), plainNodes(f.Pipeline)); diff != "" || f.Pipeline.Name != p.Name {
		t.Error(f.Pipeline.Name, diff)
	}
	p.Nodes[0].Inputs["deep"] = map[string]any{"x" + key: 1}
	if err := Write(io.Discard, p, variables); err == nil || !strings.Contains(err.Error(), "a name holds the value of a variable") || strings.Contains(err.Error(), "a number") {
		t.Errorf("a name that holds it: %v", err)
	}
}

func TestBatchName(t *testing.T) {
	for name, want := range map[string]string{
		"bg_summariser": "bg_summariser", "a b/c": "a_b_c", "..": "_.", "-x-": "_x-", "日本": "__", "": "example", strings.Repeat("a", 300): strings.Repeat("a", 100),
	} {
		if got := batchName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
