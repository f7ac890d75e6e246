package vectorshift

import (
	"fmt"
	"slices"

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
	p.giveUsableIDs(declared)
	return notes
}

// foreign tells whether a node is none that a batch file declared: it is of a type
// that is not known here, or a note on the canvas, and has another id than we give.
func (p *Pipeline) foreign(n *Node) bool {
	known := schema.LookupNodeType(n.Type) != nil && n.Type != "sticky_note"
	return !known && n.ID != derivedID(p.Name, n, 0)
}

// giveUsableIDs gives declared nodes that others refer to an id that a reference can
// hold.
func (p *Pipeline) giveUsableIDs(declared map[*Node]bool) {
	used := map[string]bool{}
	for n := range declared {
		for _, inputs := range []map[string]any{n.Inputs, n.CyclicInputs} {
			for ref := range spec.ParseTemplate(inputs).Refs() {
				used[ref.Node] = true
			}
		}
	}
	for n := range declared {
		if used[n.Name] && !word().MatchString(n.ID) {
			n.ID = p.newID(n)
		}
	}
}

// put puts a node into the pipeline, and gives the one whose place it takes: of its
// name and, if there is one, of its type; of several the one that others use. Others
// of its name go, but for those of another type that were made elsewhere.
func (p *Pipeline) put(n *Node) (old *Node) {
	var named, same []*Node
	for _, other := range p.nodes {
		if other.Name == n.Name {
			named = append(named, other)
			if other.Type == n.Type {
				same = append(same, other)
			}
		}
	}
	switch {
	case named == nil:
		p.nodes = append(p.nodes, n)
		return nil
	case same == nil:
		old = named[0]
	default:
		old = same[0]
	}
	if len(same) > 1 {
		used := fetchedGraph(nodesOf(p.object)).used
		if i := slices.IndexFunc(same, func(n *Node) bool { return used[n.ID] != nil }); i >= 0 {
			old = same[i]
		}
	}
	p.nodes[slices.Index(p.nodes, old)] = n
	p.nodes = slices.DeleteFunc(p.nodes, func(other *Node) bool {
		stays := same != nil && other.Type != n.Type && p.foreign(other)
		return other != n && other.Name == n.Name && !stays
	})
	return old
}

// setInputs gives the node the inputs that it is declared with, and those of before
// that stay: see [Pipeline.Add].
func (n *Node) setInputs(given map[string]any, before *Node) {
	t := schema.LookupNodeType(n.Type)
	n.Inputs, n.own = map[string]any{}, map[string]bool{}
	for name, v := range given {
		switch {
		case isPersonal(given) || !isProviderKey(t, name):
			if before != nil && sameObject(v, before.Inputs[name]) {
				v = before.Inputs[name] // with the branch that it is on, say
			}
			n.Inputs[name], n.own[name] = v, true
		case !spec.IsEmpty(v):
			n.held = append(n.held, name)
		}
	}
	slices.Sort(n.held)
	if before == nil {
		return
	}
	for name, v := range before.Inputs {
		if _, set := n.Inputs[name]; set {
			continue
		}
		if f, known := fieldOf(t, name); !known || f.Secret || spec.IsEmpty(v) || same(f, v, f.Default) {
			n.Inputs[name] = v
			if before.own[name] {
				n.own[name] = true
			}
		}
	}
}

// fieldOf is what the catalogue says of an input: of one that it does not know, the
// name alone.
func fieldOf(t *schema.NodeType, input string) (f schema.Field, known bool) {
	if t != nil {
		f, known = t.Input(input)
	}
	f.Name = input
	return f, known
}
