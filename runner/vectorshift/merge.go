package vectorshift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

// declare makes the pipeline what a batch file says. Nodes that it does not have go,
// but for those that were made elsewhere and that no file can hold: notes name them.
func (p *Pipeline) declare(sp *spec.Pipeline) (notes []string) {
	p.Name = sp.Name
	if sp.Description != "" {
		p.Description = sp.Description
	}
	declared := map[*Node]bool{}
	for _, n := range sp.Nodes {
		added := p.Add(n.Name, Raw{Type: n.Type, Inputs: n.Inputs, ExecutionMode: n.ExecutionMode, CyclicInputs: n.CyclicInputs})
		declared[added] = true
	}
	p.nodes = slices.DeleteFunc(p.nodes, func(n *Node) bool {
		if declared[n] {
			return false
		}
		if p.foreign(n) {
			notes = append(notes, fmt.Sprintf("%s stays: it was made elsewhere", n.label()))
			return false
		}
		return true
	})
	p.giveUsableIDs()
	return notes
}

// foreign tells whether a node is none that a batch file declared: it is of a type
// that is not known here, or a note on the canvas, and has another id than we give.
func (p *Pipeline) foreign(n *Node) bool {
	known := schema.LookupNodeType(n.Type) != nil && n.Type != "sticky_note"
	return !known && n.ID != derivedID(p.Name, n, 0)
}

// giveUsableIDs gives nodes that others refer to an id that a reference can hold.
func (p *Pipeline) giveUsableIDs() {
	used := graphOf(p.nodes).used
	for _, n := range p.nodes {
		if used[n.ID] != nil && !word.MatchString(n.ID) {
			n.ID = p.newID(n)
		}
	}
}

// mergeInputs gives what a node's inputs become that is declared with other ones
// than it has: see [Pipeline.Add].
func mergeInputs(t *schema.NodeType, given, before map[string]any) map[string]any {
	inputs := map[string]any{}
	personal, _ := given["use_personal_api_key"].(bool)
	for name, v := range given {
		if f, _ := fieldOf(t, name); personal || !isProviderKey(f) {
			inputs[name] = v
		}
	}
	for name, v := range before {
		if _, set := inputs[name]; set {
			continue
		}
		if f, known := fieldOf(t, name); !known || f.Secret || spec.IsEmpty(v) || equal(v, f.Default) {
			inputs[name] = v
		}
	}
	return inputs
}

// isProviderKey tells whether an input takes a key of a provider, other than the
// password of a file.
func isProviderKey(f schema.Field) bool { return f.Secret && strings.Contains(f.Name, "key") }

// fieldOf is what the catalogue says of an input.
func fieldOf(t *schema.NodeType, input string) (f schema.Field, known bool) {
	if t == nil {
		return schema.Field{}, false
	}
	return t.Input(input)
}

// label names a node in what is said to people.
func (n *Node) label() string { return fmt.Sprintf("node %s (%s)", cmp.Or(n.Name, n.ID), n.Type) }
