package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nightshift/schema"
)

// Loop is a part of a pipeline that runs in rounds: from its entry, along the
// references, to what the cyclic inputs of the entry refer to.
type Loop struct {
	Entry *Node
	Body  []*Node // the entry first, every node behind its sources
}

// Loops finds the loops of a pipeline whose references are right. Cyclic inputs that
// close no loop, or one that shares nodes with another, are told at their place.
func (p *Pipeline) Loops() (loops []Loop, broken schema.Problems) {
	if !slices.ContainsFunc(p.Nodes, func(n *Node) bool { return len(n.CyclicInputs) > 0 }) {
		return nil, nil
	}
	levels, cycle := p.Levels()
	if cycle != nil {
		return nil, nil // reported as such
	}
	order := slices.Concat(levels...)
	sources, users, position := map[string][]string{}, map[string][]string{}, map[string]int{}
	for i, n := range order {
		sources[n.Name], position[n.Name] = n.Sources(), i
		for _, source := range sources[n.Name] {
			users[source] = append(users[source], n.Name)
		}
	}
	in := map[string]*Node{} // the entry of the loop that a node is in
	for _, entry := range order {
		if len(entry.CyclicInputs) == 0 {
			continue
		}
		last := 0 // nothing that stands behind it is in the loop
		for _, v := range entry.CyclicInputs {
			for ref := range ParseTemplate(v).Refs() {
				last = max(last, position[ref.Node])
			}
		}
		within := func(name string) bool { return position[name] >= position[entry.Name] && position[name] <= last }
		behind := reach([]string{entry.Name}, within, users)
		ends, why := entry.loopEnds(behind)
		if why == "" {
			before := reach(ends, within, sources)
			l := Loop{Entry: entry}
			for _, n := range order[position[entry.Name] : last+1] {
				if !behind[n.Name] || !before[n.Name] {
					continue
				}
				if other := in[n.Name]; other != nil && why == "" {
					why = fmt.Sprintf("the loops of %s and %s share node %s; a loop has one entry, and one inside of another belongs into a sub-pipeline", other.Name, entry.Name, n.Name)
				}
				in[n.Name] = entry
				l.Body = append(l.Body, n)
			}
			if why == "" {
				loops = append(loops, l)
			}
		}
		if why != "" {
			broken = append(broken, entry.Problem("cyclic_inputs", "node %s: %s", entry.Name, why))
		}
	}
	return loops, broken
}

// loopEnds are the nodes that the cyclic inputs refer to, all of which must stand
// behind the node.
func (n *Node) loopEnds(behind map[string]bool) (ends []string, why string) {
	for _, input := range slices.Sorted(maps.Keys(n.CyclicInputs)) {
		before := len(ends)
		for ref := range ParseTemplate(n.CyclicInputs[input]).Refs() {
			if !behind[ref.Node] {
				return nil, fmt.Sprintf("{{ %s.%s }} closes no loop, as node %s does not use what node %s makes", ref.Node, ref.Output, ref.Node, n.Name)
			}
			ends = append(ends, ref.Node)
		}
		if len(ends) == before {
			return nil, fmt.Sprintf("cyclic_inputs.%s refers to no node, so it closes no loop", input)
		}
	}
	return ends, ""
}

// reach gives all names within some bounds that can be come to from some, these among
// them.
func reach(from []string, within func(name string) bool, next map[string][]string) map[string]bool {
	seen := map[string]bool{}
	from = slices.Clone(from) // which is another list's
	for len(from) > 0 {
		name := from[len(from)-1]
		if from = from[:len(from)-1]; !seen[name] && within(name) {
			seen[name] = true
			from = append(from, next[name]...)
		}
	}
	return seen
}

// checkLoops reports cyclic inputs that are of no use.
func (p *Pipeline) checkLoops(backend string) {
	_, broken := p.Loops()
	for _, problem := range broken {
		p.doc.reportFor(backend, problem)
	}
}

// Round is the node as it runs from the second round of its loop on: with its
// cyclic inputs in the place of the others.
func (n *Node) Round() *Node {
	again := *n
	again.Inputs = maps.Clone(n.Inputs)
	again.InputNames = slices.Clone(n.InputNames)
	for _, name := range slices.Sorted(maps.Keys(n.CyclicInputs)) {
		if again.Inputs[name] = n.CyclicInputs[name]; !slices.Contains(again.InputNames, name) {
			again.InputNames = append(again.InputNames, name)
		}
	}
	return &again
}

func arrows(names []string) string { return strings.Join(names, " -> ") }
