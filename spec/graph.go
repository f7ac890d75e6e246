package spec

import (
	"slices"

	"nightshift/schema"
)

// Refs gives every reference that a node makes, with the input that makes it;
// those of cyclic inputs are not among them, nor what is plain text.
func (n *Node) Refs() func(yield func(input string, ref *Ref) bool) {
	return func(yield func(string, *Ref) bool) {
		t := schema.LookupNodeType(n.Type)
		for _, name := range n.InputNames {
			if t.Plain(name) {
				continue
			}
			for ref := range ParseTemplate(n.Inputs[name]).Refs() {
				if !yield(name, ref) {
					return
				}
			}
		}
	}
}

// Sources gives the names of the nodes that a node needs, each once.
func (n *Node) Sources() []string {
	const few = 16 // are looked through faster than a map is made
	var names []string
	var seen map[string]bool
	for _, ref := range n.Refs() {
		switch {
		case seen == nil && len(names) < few:
			if !slices.Contains(names, ref.Node) {
				names = append(names, ref.Node)
			}
			continue
		case seen == nil:
			seen = map[string]bool{}
			for _, name := range names {
				seen[name] = true
			}
		}
		if !seen[ref.Node] {
			seen[ref.Node] = true
			names = append(names, ref.Node)
		}
	}
	return names
}

// Levels orders the nodes by what they need: every node stands in a later level
// than its sources, and within a level in the author's order. Where the graph
// has a cycle, the names along it are given instead, the first repeated at the
// end.
func (p *Pipeline) Levels() (levels [][]*Node, cycle []string) {
	const unseen, active = 0, -1
	level := map[string]int{} // 1 + the level's index
	byName := make(map[string]*Node, len(p.Nodes))
	for _, n := range p.Nodes {
		byName[n.Name] = n
	}
	var path []string
	var visit func(n *Node) bool
	visit = func(n *Node) bool {
		switch level[n.Name] {
		case unseen:
		case active:
			cycle = append(path[slices.Index(path, n.Name):], n.Name)
			return false
		default:
			return true
		}
		level[n.Name] = active
		path = append(path, n.Name)
		depth := 0
		for _, name := range n.Sources() {
			source := byName[name]
			if source == nil {
				continue // reported as a reference to nothing
			}
			if !visit(source) {
				return false
			}
			depth = max(depth, level[name])
		}
		path = path[:len(path)-1]
		level[n.Name] = depth + 1
		return true
	}
	for _, n := range p.Nodes {
		if !visit(n) {
			slices.Reverse(cycle) // along the flow: from source to user
			return nil, cycle
		}
	}
	for _, n := range p.Nodes {
		i := level[n.Name] - 1
		for len(levels) <= i {
			levels = append(levels, nil)
		}
		levels[i] = append(levels[i], n)
	}
	return levels, nil
}
