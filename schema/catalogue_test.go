package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func allTypes(t *testing.T) []*NodeType {
	t.Helper()
	var all []*NodeType
	for _, name := range NodeTypes() {
		all = append(all, LookupNodeType(name))
	}
	if len(all) != 54 {
		t.Fatalf("%d node types; the head of nodes.yaml says 54", len(all))
	}
	return all
}

// TestEveryTypeCompiles compiles the schema of every type, and finds that it
// refuses a key that no type has.
func TestEveryTypeCompiles(t *testing.T) {
	for _, nt := range allTypes(t) {
		problems := ValidateInputs(nt, node(t, "{no_such_input: 1}"), "node x")
		refused := slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.Message, `unknown key "no_such_input"`) })
		if refused == nt.OpenInputs {
			t.Errorf("%s: %v", nt.Name, problems)
		}
		required := 0
		for _, f := range nt.Inputs {
			if f.Required && f.When == nil {
				required++
			}
		}
		if got := ValidateInputs(nt, node(t, "{}"), ""); len(got) < required {
			t.Errorf("%s: %d problems without inputs, %d are required", nt.Name, len(got), required)
		}
	}
	if LookupNodeType("$common") != nil || LookupNodeType("nothing") != nil || LookupNodeType("") != nil {
		t.Error("a type that is none")
	}
}

var (
	baseTypes = strings.Fields("string int32 float bool any json enum path file audio image agent timestamp knowledge_base pipeline dataframe table T")
	goodName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
)

func knownType(typ string) bool {
	for _, wrap := range []string{"vec<", "stream<"} {
		if inner, ok := strings.CutPrefix(typ, wrap); ok {
			return strings.HasSuffix(inner, ">") && knownType(strings.TrimSuffix(inner, ">"))
		}
	}
	_, record := LookupRecord(typ)
	return record || slices.Contains(baseTypes, typ) || typ == "map<string, string>"
}

// TestCatalogueAgrees: conditions name inputs that exist and values that they
// may have, defaults fit their types, outputs are named after real inputs.
func TestCatalogueAgrees(t *testing.T) {
	checkField := func(where string, f Field) {
		if !knownType(f.Type) || !goodName.MatchString(f.Name) || f.Doc == "" {
			t.Errorf("%s: name %q, type %q, doc %q", where, f.Name, f.Type, f.Doc)
		}
		if (strings.Contains(f.Type, "enum")) != (len(f.Enum) > 0) {
			t.Errorf("%s: type %s with the enum %v", where, f.Type, f.Enum)
		}
		for _, local := range f.Local {
			if !slices.Contains(f.Enum, local) {
				t.Errorf("%s: %q is local, but not in %v", where, local, f.Enum)
			}
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(f.Enum))); len(sorted) != len(f.Enum) {
			t.Errorf("%s: a value occurs twice in %v", where, f.Enum)
		}
		if f.Required && f.Default != nil {
			t.Errorf("%s: required, but has the default %v", where, f.Default)
		}
		if s, ok := f.Default.(string); f.Type == "enum" && ok && !slices.Contains(f.Enum, s) {
			t.Errorf("%s: the default %q is not in %v", where, s, f.Enum)
		}
	}
	for _, nt := range allTypes(t) {
		checkWhen := func(where string, w When) {
			for _, c := range w {
				f, ok := nt.Input(c.Field)
				if !ok {
					t.Errorf("%s: when %s: there is no input %q", where, w, c.Field)
				}
				for _, v := range c.Values {
					if f.Type == "enum" && !slices.Contains(f.Enum, v) || f.Type == "bool" && v != "true" && v != "false" {
						t.Errorf("%s: when %s: %q is no value of %s", where, w, v, c.Field)
					}
				}
			}
		}
		if _, ok := nt.Input(nt.Element); !ok && nt.Element != "" {
			t.Errorf("%s: element is %q, which is no input", nt.Name, nt.Element)
		}
		for _, s := range []string{nt.NoBatch, nt.Instead} {
			if strings.HasSuffix(s, ".") || strings.ToLower(s[:min(1, len(s))]) != s[:min(1, len(s))] {
				t.Errorf("%s: %q is no end of a sentence", nt.Name, s)
			}
		}
		if nt.Category == "" || nt.Summary == "" || !strings.HasSuffix(nt.Summary, ".") || !goodName.MatchString(nt.Name) {
			t.Errorf("%s: category %q, summary %q", nt.Name, nt.Category, nt.Summary)
		}
		seen := map[string]bool{}
		for _, f := range slices.Concat(nt.Inputs, CommonInputs()) {
			where := nt.Name + "." + f.Name
			checkField(where, f)
			checkWhen(where, f.When)
			if seen[f.Name] {
				t.Errorf("%s occurs twice", where)
			}
			seen[f.Name] = true
			// The published default must be accepted as a value.
			if f.Default != nil {
				for _, p := range ValidateInputs(nt, node(t, fmt.Sprintf("{%s: %s}", f.Name, marshal(f.Default))), "") {
					if strings.HasPrefix(p.Message, f.Name+" ") {
						t.Errorf("%s: its own default is refused: %s", where, p.Message)
					}
				}
			}
		}
		seen = map[string]bool{} // to whether all of that name have conditions
		for _, o := range nt.Outputs {
			where := nt.Name + " output " + o.Name
			checkWhen(where, o.When)
			if !knownType(o.Type) || !goodName.MatchString(o.Name) || o.Doc == "" {
				t.Errorf("%s: type %q, doc %q", where, o.Type, o.Doc)
			}
			conditional, again := seen[o.Name]
			if seen[o.Name] = len(o.When) > 0; again && (!conditional || !seen[o.Name]) {
				t.Errorf("%s occurs twice, once without a condition", where)
			}
		}
		for _, from := range nt.OutputsFrom {
			if _, ok := nt.Input(from.Input); !ok || !slices.Contains([]string{"keys", "items", "paths"}, from.As) || !knownType(from.Type) {
				t.Errorf("%s: outputs from %+v", nt.Name, from)
			}
		}
	}
	for name, r := range records() {
		for _, f := range r.Fields {
			checkField(name+"."+f.Name, f)
		}
		for _, field := range append(slices.Clone(r.List), r.Scalar) {
			if field != "" && !slices.ContainsFunc(r.Fields, func(f Field) bool { return f.Name == field }) {
				t.Errorf("%s: there is no field %q", name, field)
			}
		}
	}
}

func TestOutputsOf(t *testing.T) {
	for _, test := range []struct {
		typ    string
		inputs map[string]any
		want   string
	}{
		{"input", nil, "text complete"},
		{"input", map[string]any{"input_type": "int32"}, "value complete"},
		{"input", map[string]any{"input_type": "file"}, "file processed_text file_name complete"},
		{"input", map[string]any{"input_type": "vec<file>"}, "files processed_texts complete"},
		{"text_formatter", nil, "output complete"},
		{"condition", nil, "path_else complete"},
		{"condition", map[string]any{"conditions": []any{1, 2}}, "path_else path_0 path_1 complete"},
		{"condition", map[string]any{"outputs": map[string]any{"b": "path", "a": "path"}}, "path_else a b complete"},
		{"condition", map[string]any{"conditions": "{{ x.y }}"}, "path_else complete"},
		{"csv_reader", map[string]any{"columns": []any{"a", map[string]any{"name": "b"}, 5}, "processed_outputs": map[string]any{"a": "x"}}, "a b complete"},
		{"semantic_search", nil, "chunks complete"},
		{"semantic_search", map[string]any{"do_advanced_qa": true}, "response citation_metadata complete"},
		{"semantic_search", map[string]any{"format_context_for_llm": true, "retrieval_unit": "pages"}, "formatted_text pages complete"},
		{"semantic_search", map[string]any{"do_advanced_qa": "{{ x.value }}"}, "chunks response citation_metadata complete"},
		{"wait_node", nil, "complete"},
	} {
		var got []string
		for _, o := range LookupNodeType(test.typ).OutputsOf(test.inputs) {
			got = append(got, o.Name)
		}
		if diff := cmp.Diff(strings.Fields(test.want), got); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", test.typ, test.inputs, diff)
		}
	}
}

// TestTypesOf: the element type is what the author wrote, conditions choose among
// several types, and what a reference decides is any.
func TestTypesOf(t *testing.T) {
	in := func(name, value string) map[string]any { return map[string]any{name: value} }
	for _, test := range []struct {
		typ, output, want string
		inputs            map[string]any
	}{
		{"input", "value", "int32", in("input_type", "int32")},
		{"input", "value", "vec<vec<file>>", in("input_type", "vec<vec<file>>")},
		{"input", "text", "string", nil},
		{"get_list_item", "output", "any", nil}, // its default says nothing: lists of all types pass
		{"get_list_item", "output", "float", in("type", "float")},
		{"get_list_item", "output", "any", in("type", "json")},
		{"get_list_item", "output", "any", in("type", "{{ a.text }}")},
		{"create_list", "output", "vec<vec<string>>", in("type", "vec<string>")},
		{"convert_type", "output", "int32", nil},
		{"convert_type", "output", "timestamp", in("target_type", "timestamp")},
		{"convert_type", "output", "any", in("target_type", "{{ a.text }}")},
		{"merge", "output", "any", nil},
		{"merge", "output", "file", in("type", "file")},
		{"merge", "output", "vec<any>", in("function", "join")},
		{"merge", "output", "vec<bool>", map[string]any{"function": "join", "type": "bool"}},
		{"merge", "output", "any", map[string]any{"function": "{{ a.text }}", "type": "bool"}},
		{"file_to_text", "processed_text", "string", nil},
		{"file_to_text", "processed_text", "vec<string>", map[string]any{"chunk_text": true}},
		{"file_to_text", "processed_text", "any", in("chunk_text", "{{ a.value }}")},
		{"llm", "response", "string", nil},
		{"llm", "response", "stream<string>", map[string]any{"stream": true}},
		{"condition", "path_0", "path", map[string]any{"conditions": []any{1}, "outputs": map[string]any{"path_0": "path"}}},
	} {
		outs := LookupNodeType(test.typ).OutputsOf(test.inputs)
		i := slices.IndexFunc(outs, func(o Output) bool { return o.Name == test.output })
		if i < 0 || outs[i].Type != test.want {
			t.Errorf("%s %v: %+v, want %s of type %s", test.typ, test.inputs, outs, test.output, test.want)
		}
	}
	for _, test := range []struct {
		typ, input, want string
		inputs           map[string]any
	}{
		{"output", "value", "string", nil},
		{"output", "value", "any", in("output_type", "json")},
		{"output", "value", "vec<file>", in("output_type", "vec<file>")},
		{"create_list", "list", "vec<any>", nil},
		{"flatten_list", "list_of_lists", "vec<vec<int32>>", in("type", "int32")},
		{"duplicate_list", "input_field", "image", in("type", "image")},
		{"text", "dependencies", "vec<string>", nil},
		{"text", "nothing", "any", nil},
		{"api", "headers", "vec<KeyValue>", nil},
	} {
		if got := LookupNodeType(test.typ).InputType(test.inputs, test.input); got != test.want {
			t.Errorf("%s %v: %s is of type %s, want %s", test.typ, test.inputs, test.input, got, test.want)
		}
	}
}

func TestWhen(t *testing.T) {
	settings := map[string]any{"a": "x", "b": true, "n": 5, "ref": "{{ q.r }}"}
	setting := func(field string) any { return settings[field] }
	for text, want := range map[string]bool{
		"a=x": true, "a=y": false, "a!=x": false, "a!=y": true, "a in [y, x]": true, "a in [y, z]": false,
		"b=true": true, "b=false": false, "n=5": true, "a=x and b=true": true, "a=x and b=false": false,
		"ref=x": true, "ref!=x": true, "ref=x and a=y": false, "none=x": false, "none!=x": true,
	} {
		w, err := parseWhen(text)
		if err != nil || w.String() != text {
			t.Errorf("%s: parsed as %s (%v)", text, w, err)
		}
		if got := w.Holds(setting); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if _, err := parseWhen("nothing"); err == nil {
		t.Error("a condition without a value is parsed")
	}
	if !(When{}).Holds(setting) {
		t.Error("the empty condition does not hold")
	}
}
