package spec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func refsOf(t *Template) []string {
	var refs []string
	for ref := range t.Refs() {
		refs = append(refs, ref.Node+"."+ref.Output)
	}
	return refs
}

// TestParseTemplate: which texts are references, in a pipeline and in a map.
func TestParseTemplate(t *testing.T) {
	for _, test := range []struct {
		text      string
		node, row []string
	}{
		{"", nil, nil},
		{"{{ a.b }}", []string{"a.b"}, nil},
		{"{{a.b}}", []string{"a.b"}, nil},
		{"{{\n a.b\t}}", []string{"a.b"}, nil},
		{"x {{ a.b }} y {{ c.d.e }}", []string{"a.b", "c.d.e"}, nil},
		{"{{ row.x }}", []string{"row.x"}, []string{"row.x"}},
		{"{{ row.full name }}", nil, []string{"row.full name"}},
		{"{{row. x }}", nil, []string{"row. x"}},
		{"{{ row.a.b-c/d }}", nil, []string{"row.a.b-c/d"}},
		{"{{ row.größe }}", nil, []string{"row.größe"}},
		{"{{{ a.b }}}", []string{"a.b"}, nil},
		{"{{ a.b }", nil, nil},
		{"{ { a.b } }", nil, nil},
		{"{{ a }}", nil, nil},
		{"{{ a. }}", nil, nil},
		{"{{ .a }}", nil, nil},
		{"{{ a-b.c }}", nil, nil},
		{"{{ a.b {{ c.d }}", []string{"c.d"}, nil},
		{"{{ a.b }}{{ a.b }}", []string{"a.b", "a.b"}, nil},
	} {
		if diff := cmp.Diff(test.node, refsOf(ParseTemplate(test.text))); diff != "" {
			t.Errorf("%q in a pipeline (-want +got):\n%s", test.text, diff)
		}
		if diff := cmp.Diff(test.row, refsOf(parseRowTemplate(test.text))); diff != "" {
			t.Errorf("%q in a map (-want +got):\n%s", test.text, diff)
		}
	}
}

// TestTemplateValue: a lone reference keeps its type, others become text.
func TestTemplateValue(t *testing.T) {
	values := map[string]any{"a.n": json.Number("1.50"), "a.l": []any{"x", json.Number("2")}, "a.t": "text", "a.b": true, "a.none": nil, "a.tpl": "{{ a.t }}"}
	get := func(r *Ref) any { return values[r.Node+"."+r.Output] }
	for _, test := range []struct {
		value any
		want  string
		text  string
	}{
		{"{{ a.n }}", "1.50", "1.50"},
		{" {{ a.n }}", `" 1.50"`, " 1.50"},
		{"{{ a.l }}", `["x",2]`, `["x",2]`},
		{"l={{ a.l }} b={{ a.b }} none={{ a.none }}", `"l=[\"x\",2] b=true none="`, `l=["x",2] b=true none=`},
		{"{{ a.none }}", "null", ""},
		{"{{ a.tpl }}", `"{{ a.t }}"`, "{{ a.t }}"}, // values are not templates
		{[]any{"{{ a.n }}", "x", []any{"{{ a.t }}"}}, `[1.50,"x",["text"]]`, `[1.50,"x",["text"]]`},
		{map[string]any{"k": "{{ a.b }}", "{{ a.t }}": "v"}, `{"k":true,"{{ a.t }}":"v"}`, `{"k":true,"{{ a.t }}":"v"}`},
		{json.Number("5"), "5", "5"},
		{[]any{}, "[]", "[]"},
		{nil, "null", ""},
	} {
		template := ParseTemplate(test.value)
		if got := string(AppendJSON(nil, template.Value(get))); got != test.want {
			t.Errorf("%v: %s, want %s", test.value, got, test.want)
		}
		if got := template.Text(get); got != test.text {
			t.Errorf("%v as text: %s, want %s", test.value, got, test.text)
		}
	}
	if items, ok := ParseTemplate([]any{"a", "{{ a.n }}"}).Items(); !ok || len(items) != 2 || Text(items[1].Value(get)) != "1.50" {
		t.Error("a list as written has no items")
	}
	if _, ok := ParseTemplate("{{ a.l }}").Items(); ok {
		t.Error("a reference is no list as written")
	}
}

// TestTemplateRoundTrip builds templates from literals and references, and
// finds exactly those again.
func TestTemplateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_]{0,5}`)
		var text, want strings.Builder
		var refs []string
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			literal := strings.NewReplacer("{", "", "}", "").Replace(rapid.String().Draw(t, "literal"))
			node, output := name.Draw(t, "node"), name.Draw(t, "output")
			space := strings.Repeat(" ", rapid.IntRange(0, 2).Draw(t, "space"))
			text.WriteString(literal + "{{" + space + node + "." + output + space + "}}")
			want.WriteString(literal + "<" + node + "." + output + ">")
			refs = append(refs, node+"."+output)
		}
		template := ParseTemplate(text.String())
		if diff := cmp.Diff(refs, refsOf(template)); diff != "" {
			t.Fatal(diff)
		}
		if got := template.Text(func(r *Ref) any { return "<" + r.Node + "." + r.Output + ">" }); got != want.String() {
			t.Fatalf("%q, want %q", got, want.String())
		}
		if literal, ok := template.Literal(); ok != (refs == nil) || ok && literal != text.String() {
			t.Fatalf("literal %v, %v", literal, ok)
		}
	})
}

// TestLevels orders graphs without cycles, whatever the order of the author.
func TestLevels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "nodes")
		p := &Pipeline{}
		for i := range n {
			node := &Node{Name: string(rune('a' + i)), Inputs: map[string]any{}, InputNames: []string{"in"}}
			text := ""
			for j := range i {
				if rapid.Bool().Draw(t, "uses") {
					text += "{{ " + string(rune('a'+j)) + ".out }}"
				}
			}
			node.Inputs["in"] = text
			p.Nodes = append(p.Nodes, node)
		}
		p.Nodes = rapid.Permutation(p.Nodes).Draw(t, "order")
		levels, cycle := p.Levels()
		if cycle != nil {
			t.Fatalf("cycle %v", cycle)
		}
		at := map[string]int{}
		for i, level := range levels {
			for _, node := range level {
				at[node.Name] = i
			}
		}
		if len(at) != n {
			t.Fatalf("%d of %d nodes", len(at), n)
		}
		for _, node := range p.Nodes {
			latest := -1
			for _, source := range node.Sources() {
				latest = max(latest, at[source])
			}
			if at[node.Name] != latest+1 {
				t.Fatalf("node %s is in level %d, its last source in %d", node.Name, at[node.Name], latest)
			}
		}
	})
}
