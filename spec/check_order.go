package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Of nodes that are in no order, so many are told: nobody reads more.
const (
	maxUnordered = 20 // warnings
	maxSetters   = 3  // that one of them names
)

// ordering is what of a pipeline says which of two nodes comes first. What is found
// out about a node is kept.
type ordering struct {
	*Pipeline
	sources, users map[string][]string
	around         map[string]map[string]bool     // the nodes before and behind one
	taken          map[string]map[string][]string // see branches
}

func (p *Pipeline) ordering() *ordering {
	o := &ordering{p, map[string][]string{}, map[string][]string{}, map[string]map[string]bool{}, map[string]map[string][]string{}}
	for _, n := range p.Nodes {
		o.sources[n.Name] = n.Sources()
		for _, source := range o.sources[n.Name] {
			o.users[source] = append(o.users[source], n.Name)
		}
	}
	return o
}

// checkVariableOrder warns where a variable is set, and read or set elsewhere, and
// nothing says what comes first.
func (p *Pipeline) checkVariableOrder() {
	setters, readers := map[string][]*Node{}, map[string][]*Node{}
	for _, n := range p.Nodes {
		if name, ok := n.Inputs["variable_id"].(string); ok && n.Type == "set_variable" {
			setters[name] = append(setters[name], n)
		}
		for _, name := range n.variables(p) {
			readers[name] = append(readers[name], n)
		}
	}
	if len(setters) == 0 {
		return
	}
	o, told := p.ordering(), 0
	for _, name := range p.VariableNames {
		of := setters[name]
		for i, n := range of {
			for _, other := range of[:i] {
				if told < maxUnordered && !o.known(other, n) {
					told++
					n.doc.warn(n.Problem("", "nodes %s and %s both set %s, and nothing says which comes first; put {{ %s.complete }} into the dependencies of one", other.Name, n.Name, name, other.Name))
				}
			}
		}
		for _, n := range readers[name] {
			if told == maxUnordered {
				return
			}
			if slices.Contains(of, n) {
				continue
			}
			if unclear := o.unclear(of, n); unclear != nil {
				told++
				hint := fmt.Sprintf("put {{ %s.complete }} into the dependencies of %s, or the other way round", unclear[0].Name, n.Name)
				if o.mayMiss(unclear[0], n) {
					hint = fmt.Sprintf("as %s is on a branch, let %s use a merge of what comes after it and of what comes instead", unclear[0].Name, n.Name)
				}
				n.doc.warn(n.Problem("", "node %s reads {{ %s }} which %s, and nothing says which comes first; %s", n.Name, name, areSetBy(unclear), hint))
			}
		}
	}
}

// known tells whether it is said which of two nodes comes first, or that only one runs.
func (o *ordering) known(a, b *Node) bool {
	if a == b {
		return true
	}
	if o.around[a.Name] == nil {
		anywhere := func(string) bool { return true }
		o.around[a.Name] = reach(o.sources[a.Name], anywhere, o.sources)
		maps.Copy(o.around[a.Name], reach(o.users[a.Name], anywhere, o.users))
	}
	return o.around[a.Name][b.Name] || o.exclude(a, b)
}

// unclear gives the nodes of which nothing says whether they come before another one.
func (o *ordering) unclear(setters []*Node, n *Node) (unclear []*Node) {
	for _, setter := range setters {
		if !o.known(setter, n) {
			unclear = append(unclear, setter)
		}
	}
	return unclear
}

// exclude tells whether two nodes stand on different branches of one condition, so
// that at most one of them runs.
func (o *ordering) exclude(a, b *Node) bool {
	of := o.branches(b)
	for node, paths := range o.branches(a) {
		if others := of[node]; others != nil && !slices.ContainsFunc(paths, func(path string) bool { return slices.Contains(others, path) }) {
			return true
		}
	}
	return false
}

// mayMiss tells whether a node may be skipped where another one runs.
func (o *ordering) mayMiss(n, other *Node) bool {
	given := o.branches(other)
	for node := range o.branches(n) {
		if given[node] == nil {
			return true
		}
	}
	return false
}

// branches gives the branches that must have been taken for a node to run: outputs
// by condition. What comes before a merge need not have run.
func (o *ordering) branches(n *Node) map[string][]string {
	if found, known := o.taken[n.Name]; known {
		return found
	}
	found, seen := map[string][]string{}, map[string]bool{}
	o.taken[n.Name] = found
	var walk func(n *Node)
	walk = func(n *Node) {
		for input, ref := range n.Refs() {
			source := o.Node(ref.Node)
			if source == nil || n.Type == "merge" && input == "fields" {
				continue
			}
			if (source.Type == "condition" || source.Type == "ai_routing") && ref.Output != "complete" {
				found[ref.Node] = append(found[ref.Node], ref.Output)
			}
			if !seen[ref.Node] {
				seen[ref.Node] = true
				walk(source)
			}
		}
	}
	walk(n)
	return found
}

func areSetBy(nodes []*Node) string {
	var names []string
	for _, n := range nodes[:min(len(nodes), maxSetters)] {
		names = append(names, n.Name)
	}
	switch more := len(nodes) - len(names); {
	case more > 0:
		return fmt.Sprintf("nodes %s and %d more set", strings.Join(names, ", "), more)
	case len(names) == 1:
		return "node " + names[0] + " sets"
	}
	return "nodes " + strings.Join(names, ", ") + " set"
}
