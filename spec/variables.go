package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"nightshift/schema"
)

// AsVariable gives a new value the type that the variable's first value has: text
// that is a number becomes one, and a number text. A variable that began as nothing
// takes whatever comes.
func AsVariable(v, first any) (any, error) {
	switch first.(type) {
	case string:
		return Convert(v, "string")
	case json.Number:
		return Convert(v, "float")
	case bool:
		return Convert(v, "bool")
	case []any:
		return Convert(v, "vec<string>")
	case map[string]any:
		if text, ok := v.(string); ok {
			v, _ = ParseJSON([]byte(text))
		}
		if _, ok := v.(map[string]any); !ok {
			return nil, fmt.Errorf("not an object, such as {\"a\": 1}")
		}
	}
	return v, nil
}

// checkVariables checks what a pipeline declares, and the nodes that set it.
func (p *Pipeline) checkVariables(backend string) {
	at := valueOf(p.at, "variables")
	for _, name := range p.VariableNames {
		if ParseTemplate(p.Variables[name]).holdsRefs() {
			p.doc.report(p.doc.problem(valueOf(at, name), "variable %s: the first value cannot refer to a node; set_variable gives it another one during the run", name))
		}
		if p.Node(name) != nil {
			p.doc.report(p.doc.problem(keyOf(at, name), "variable %s has the name of a node; call it otherwise", name))
		}
	}
	if backend == "vectorshift" {
		if len(p.VariableNames) > 0 {
			p.doc.warn(p.doc.problem(keyOf(p.at, "variables"), "variables are not created on the platform; it must have them already, under the same names"))
		}
		return
	}
	for _, n := range p.Nodes {
		if n.Type == "set_variable" {
			p.checkSetVariable(n)
		}
	}
	p.checkVariableOrder()
}

// checkSetVariable checks one node that sets a variable.
func (p *Pipeline) checkSetVariable(n *Node) {
	name, ok := n.Inputs["variable_id"].(string)
	report := func(input, format string, args ...any) { n.doc.report(n.Problem(input, format, args...)) }
	first, declared := p.Variables[name]
	switch {
	case !ok: // missing, or the schema has said so
		return
	case ParseTemplate(name).holdsRefs():
		report("variable_id", "variable_id names a variable of the pipeline; a reference cannot")
		return
	case len(p.Variables) == 0:
		report("variable_id", "the pipeline declares no variables; add variables: {%s: its first value} beside nodes", name)
		return
	case !declared:
		hint := schema.DidYouMean(name, p.VariableNames)
		if hint == "" {
			hint = "; there are " + strings.Join(p.VariableNames, ", ")
		}
		report("variable_id", "the pipeline declares no variable %q%s", name, hint)
		return
	}
	v, given := n.Inputs["value"]
	if _, literal := p.Template(v).Literal(); !given || !literal {
		return
	}
	if IsEmpty(v) {
		report("value", "a variable cannot be set to nothing")
	} else if _, err := AsVariable(v, first); err != nil {
		report("value", "variable %s: %v; its first value is %s", name, err, kindOf(first))
	}
}

// variables lists those that a node reads, each once.
func (n *Node) variables(p *Pipeline) []string {
	var names []string
	for _, input := range n.InputNames {
		for ref := range p.Template(n.Inputs[input]).Refs() {
			if ref.Node == "" && !slices.Contains(names, ref.Output) {
				names = append(names, ref.Output)
			}
		}
	}
	return names
}
