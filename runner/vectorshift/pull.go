package vectorshift

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

// Spec is the pipeline as a batch file declares it. Defaults are left out, and so is
// what a batch file cannot hold, which notes name; a save leaves both as they are. It is
// an error where nodes have no names, or not each its own.
func (p *Pipeline) Spec() (sp *spec.Pipeline, notes []string, err error) {
	sp = &spec.Pipeline{Name: p.Name, Description: p.Description}
	count := map[string]int{}
	for _, n := range p.nodes {
		count[n.Name]++
	}
	used := p.draft().graph.used
	var wrong []error
	for _, n := range p.nodes {
		fits := nameOfNode().MatchString(n.Name) && count[n.Name] == 1
		switch {
		case p.foreign(n) && used[n.ID] == nil && (!fits || n.Type == "sticky_note"):
			notes = append(notes, n.label()+" is left out")
		case !fits && count[n.Name] > 1:
			wrong = append(wrong, fmt.Errorf("%s: %d nodes have that name; give each its own on the platform", n.label(), count[n.Name]))
		case !fits:
			wrong = append(wrong, fmt.Errorf("%s: a batch file takes names of letters, digits and _; give it one on the platform", n.label()))
		default:
			declared, left := n.spec()
			sp.Nodes = append(sp.Nodes, declared)
			if left != nil {
				notes = append(notes, fmt.Sprintf("%s: left out: %s", n.label(), strings.Join(left, ", ")))
			}
		}
	}
	for _, n := range sp.Nodes {
		for input, ref := range n.Refs() {
			if sp.Node(ref.Node) == nil {
				notes = append(notes, fmt.Sprintf("node %s: %s: {{ %s.%s }} refers to no node of the file", n.Name, input, ref.Node, ref.Output))
			}
		}
	}
	if wrong != nil {
		return nil, nil, errors.Join(wrong...)
	}
	return sp, notes, nil
}

var nameOfNode = spec.Pattern(`^[A-Za-z_]\w*$`)

// spec is the node as a batch file declares it, and the inputs that are left out of
// it though they say something.
func (n *Node) spec() (declared *spec.Node, left []string) {
	declared = &spec.Node{Name: n.Name, Type: n.Type, ExecutionMode: cmp.Or(n.ExecutionMode, "normal"), Inputs: map[string]any{}}
	if len(n.CyclicInputs) > 0 {
		declared.CyclicInputs = object(plain(n.CyclicInputs))
	}
	t := schema.LookupNodeType(n.Type)
	for _, name := range n.inputNames(t) {
		f, known := fieldOf(t, name)
		v := typed(f, plain(n.Inputs[name]))
		switch {
		case v == nil, known && !n.tells(f) && (spec.IsEmpty(v) || same(f, v, f.Default)):
		case f.Secret, t != nil && !known && !t.OpenInputs:
			if !spec.IsEmpty(v) {
				left = append(left, name)
			}
		default:
			declared.Inputs[name] = v
			declared.InputNames = append(declared.InputNames, name)
		}
	}
	return declared, left
}

// tells tells whether an input is in a batch file also where it is empty, or the
// default.
func (n *Node) tells(f schema.Field) bool {
	return f.Required && f.When.Holds(n.setting) || f.Name == "input_type" || f.Name == "output_type"
}

// inputNames lists the inputs that are set: as the catalogue does, then the others.
func (n *Node) inputNames(t *schema.NodeType) []string {
	names := slices.Sorted(maps.Keys(n.Inputs))
	if t == nil {
		return names
	}
	rank := func(name string) int {
		if i := slices.IndexFunc(t.Inputs, func(f schema.Field) bool { return f.Name == name }); i >= 0 {
			return i
		}
		return len(t.Inputs)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}
