package vectorshift

import (
	"maps"
	"slices"

	"nightshift/spec"
)

// graph is who refers to whom, by id, as it is on the wire.
type graph struct {
	nodes   []string                   // ids
	sources map[string][]string        // of each node, those that its inputs refer to, each once, in the order of their names
	cyclic  map[string][]string        // those that only its cyclic inputs refer to
	used    map[string]map[string]bool // outputs that somebody refers to
}

func graphOf(nodes []*wired) *graph {
	g := &graph{nil, map[string][]string{}, map[string][]string{}, map[string]map[string]bool{}}
	there := map[string]bool{}
	for _, n := range nodes {
		g.nodes = append(g.nodes, n.ID)
		there[n.ID] = true
	}
	for _, n := range nodes {
		seen := map[string]bool{}
		refer := func(inputs map[string]any, to map[string][]string) {
			for _, name := range slices.Sorted(maps.Keys(inputs)) {
				for ref := range spec.ParseTemplate(inputs[name]).Refs() {
					id := ref.Node
					if !there[id] {
						continue // text that looks like a reference
					}
					if g.used[id] == nil {
						g.used[id] = map[string]bool{}
					}
					g.used[id][ref.Output] = true
					if !seen[id] {
						seen[id] = true
						to[n.ID] = append(to[n.ID], id)
					}
				}
			}
		}
		refer(n.inputs, g.sources)
		refer(n.cyclic, g.cyclic)
	}
	return g
}

// fetchedGraph is the graph of nodes as they were fetched.
func fetchedGraph(nodes []*Node) *graph {
	all := make([]*wired, len(nodes))
	for i, n := range nodes {
		all[i] = &wired{Node: n, inputs: object(n.raw["inputs"]), cyclic: object(n.raw["cyclic_inputs"])}
	}
	return graphOf(all)
}

// levels tells how many nodes stand before each at most. Where nodes refer to one
// another in a circle, that is given too: their ids, the first at the end again.
func (g *graph) levels() (level map[string]int, circle []string) {
	level = map[string]int{}
	var path []string
	var visit func(id string) int
	visit = func(id string) int {
		if depth, done := level[id]; done {
			return depth
		}
		if i := slices.Index(path, id); i >= 0 {
			if circle == nil {
				circle = append(slices.Clone(path[i:]), id)
				slices.Reverse(circle) // along the flow
			}
			return -1
		}
		path = append(path, id)
		depth := 0
		for _, source := range g.sources[id] {
			depth = max(depth, visit(source)+1)
		}
		path = path[:len(path)-1]
		level[id] = depth
		return depth
	}
	for _, id := range g.nodes {
		visit(id)
	}
	return level, circle
}

// edge is a line on the canvas: target refers to source.
type edge struct{ source, target string }

// edges gives one for each node that another refers to.
func (g *graph) edges() []edge {
	var all []edge
	for _, id := range g.nodes {
		for _, source := range slices.Concat(g.sources[id], g.cyclic[id]) {
			all = append(all, edge{source, id})
		}
	}
	return all
}
