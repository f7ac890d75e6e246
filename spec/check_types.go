package spec

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// typing checks the types of what nodes give one another. On a backend that is
// hosted elsewhere it only warns: what that takes is not known for certain.
type typing struct {
	pipeline *Pipeline
	outputs  map[string][]schema.Output // of the nodes that were asked for
	backend  string
}

func newTyping(p *Pipeline, backend string) *typing {
	return &typing{p, map[string][]schema.Output{}, backend}
}

// checkTypes checks every reference of a pipeline's nodes.
func (p *Pipeline) checkTypes(backend string) {
	t := newTyping(p, backend)
	for _, n := range p.Nodes {
		for key, value := range n.written() {
			t.check(n.doc, n, key.Value, value)
		}
	}
}

// check checks the references in a value of an input of a node.
func (t *typing) check(d *document, n *Node, input string, at *yaml.Node) {
	named := n.Type == "pipeline" && input == n.pipelineInput() && t.backend != "vectorshift" // a reference is refused
	if input == "dependencies" || named || !n.takesInput(input) {
		return // paths and whatever else is to be waited for; or what nothing is known of
	}
	want := n.InputType(input)
	v := typedValue{typing: t, doc: d, node: n, batch: n.ExecutionMode == "batch"}
	if n.Type == "output" {
		v.also = map[string]string{"string": asText, "stream<string>": asText, "bool": asBool}[want]
	}
	v.walk(at, want, input)
}

// takesInput tells whether the node has an input whose references are of a type: one
// that it does not have is reported as such.
func (n *Node) takesInput(name string) bool {
	t := schema.LookupNodeType(n.Type)
	if t == nil || t.Plain(name) {
		return false
	}
	if n.Sub != nil {
		return n.hasInput(name)
	}
	_, ok := t.Input(name)
	return ok || t.OpenInputs
}

// typedValue is one input whose references are looked at.
type typedValue struct {
	*typing
	doc   *document
	node  *Node
	batch bool   // a list of what is wanted will do as well
	also  string // this type will do as well
}

// walk compares a value, at a place such as columns[0].value, with the type that
// is wanted there.
func (v typedValue) walk(at *yaml.Node, want, place string) {
	record, isRecord := schema.LookupRecord(want)
	switch at.Kind {
	case yaml.ScalarNode:
		v.scalar(at, plainWant(want, isRecord), place)
	case yaml.MappingNode:
		for i := 0; i+1 < len(at.Content); i += 2 {
			key := at.Content[i].Value
			v.walk(at.Content[i+1], fieldType(record, key), place+"."+key)
		}
	case yaml.SequenceNode:
		inner, list := schema.Element(want)
		switch {
		case list:
		case v.batch:
			inner, v.batch = want, false // this is the list
		default:
			inner = "any"
		}
		for i, item := range at.Content {
			if isRecord && i < len(record.List) {
				inner = fieldType(record, record.List[i])
			}
			v.walk(item, inner, fmt.Sprintf("%s[%d]", place, i))
		}
	}
}

// plainWant is the type that a reference is held against: what has a form of its own
// (records, maps) is looked at when the pipeline runs, and words of an enum are text.
func plainWant(want string, record bool) string {
	switch {
	case record, strings.HasPrefix(want, "map<"):
		return "any"
	case want == "enum":
		return "string"
	}
	return want
}

func fieldType(r schema.Record, name string) string {
	for _, f := range r.Fields {
		if f.Name == name {
			return f.Type
		}
	}
	return "any"
}

func (v typedValue) scalar(at *yaml.Node, want, place string) {
	template := ParseTemplate(at.Value)
	_, alone := template.Whole()
	for ref := range template.Refs() {
		out, ok := v.output(ref)
		if !ok {
			continue // reported as a reference to nothing, or not known
		}
		inner, list := schema.Element(out.Type)
		switch {
		case alone && (v.takes(out.Type, want) || v.batch && list && v.takes(inner, want) || fits(out.Type, v.also)):
		case out.Type == "path":
			v.report(at, "{{ %s.%s }}: node %s (%s) cannot take a path in %q; put it into dependencies", ref.Node, ref.Output, v.node.Name, v.node.Type, place)
		case alone:
			v.report(at, "{{ %s.%s }}: node %s (%s) wants %s in %q, but this is %s%s", ref.Node, ref.Output,
				v.node.Name, v.node.Type, inWords(want), place, inWords(out.Type), v.hint(ref, out.Type, want))
		case slices.Contains([]string{"file", "image", "audio"}, innermost(out.Type)):
			v.report(at, "{{ %s.%s }}: %s cannot stand inside of other text%s", ref.Node, ref.Output, inWords(out.Type), v.hint(ref, out.Type, "string"))
		}
	}
}

// takes is fits, for types as the catalogue has them.
func (v typedValue) takes(from, want string) bool {
	if innermost(from) == "path" {
		return from == want
	}
	_, record := schema.LookupRecord(innermost(want))
	return record || fits(from, plainWant(want, false))
}

func (v typedValue) report(at *yaml.Node, format string, args ...any) {
	v.doc.reportFor(v.backend, v.doc.problem(at, format, args...))
}

// output finds what a reference refers to.
func (t *typing) output(ref *Ref) (out schema.Output, ok bool) {
	i := slices.IndexFunc(t.outputsOf(ref.Node), func(o schema.Output) bool { return o.Name == ref.Output })
	if i < 0 {
		return out, false
	}
	return t.outputs[ref.Node][i], true
}

func (t *typing) outputsOf(name string) []schema.Output {
	outs, known := t.outputs[name]
	if n := t.pipeline.Node(name); !known && n != nil && !n.wrongInputs {
		outs = n.Outputs()
		t.outputs[name] = outs
	}
	return outs
}

// hint says how the value could be had in the form that is wanted, or "".
func (v typedValue) hint(ref *Ref, from, want string) string {
	inner, fromList := schema.Element(from)
	_, toList := schema.Element(want)
	for _, o := range v.outputsOf(ref.Node) { // the text of a file stands beside it
		if strings.HasPrefix(o.Name, "processed_text") && innermost(from) == "file" && innermost(want) == "string" && o.Name != ref.Output {
			return fmt.Sprintf("; {{ %s.%s }} is %s", ref.Node, o.Name, inWords(o.Type))
		}
	}
	switch {
	case fromList && v.takes(inner, want):
		return "; " + strings.Join(v.ways(want, toList), ", or ")
	case toList && !fromList:
		return fmt.Sprintf("; create_list makes a list of it, as does [\"{{ %s.%s }}\"]", ref.Node, ref.Output)
	case want == "file" && v.takes(from, "string"):
		return "; text_to_file makes a file of text"
	case want == "string" && from == "file":
		return "; file_to_text gives its text"
	}
	return ""
}

// ways are those from a list to what is wanted of one element.
func (v typedValue) ways(want string, toList bool) (ways []string) {
	if schema.LookupNodeType(v.node.Type).NoBatch == "" && !v.batch {
		ways = append(ways, "execution_mode: batch runs the node once for each element")
	}
	switch {
	case want == "string":
		return append(ways, "join_list_item makes one text of it", "inside of other text it becomes JSON")
	case toList:
		return append(ways, "flatten_list makes one list of it")
	}
	return append(ways, "get_list_item takes one element of it")
}
