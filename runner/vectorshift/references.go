package vectorshift

import (
	"maps"
	"regexp"
	"slices"

	"nightshift/spec"
)

// naming turns references by name, as authors write them, into references by id, as
// they are on the wire, and back. Names that do not tell one node, or that a
// reference cannot hold, have no part in it: there the id stays.
type naming struct{ ids, names map[string]string }

var word = regexp.MustCompile(`^\w+$`)

func namingOf(nodes []*Node) naming {
	all := naming{map[string]string{}, map[string]string{}}
	count, isID := map[string]int{}, map[string]bool{}
	for _, n := range nodes {
		count[n.Name]++
		isID[n.ID] = true
	}
	for _, n := range nodes {
		if word.MatchString(n.Name) && count[n.Name] == 1 && (!isID[n.Name] || n.Name == n.ID) {
			all.ids[n.Name], all.names[n.ID] = n.ID, n.Name
		}
	}
	return all
}

func (all naming) toIDs(v any) any   { return renamed(v, all.ids) }
func (all naming) toNames(v any) any { return renamed(v, all.names) }

// renamed is a copy in which references have other names, and all the same form.
func renamed(v any, to map[string]string) any {
	switch v := v.(type) {
	case string:
		return spec.ParseTemplate(v).Text(func(ref *spec.Ref) any {
			name := ref.Node
			if other, ok := to[name]; ok {
				name = other
			}
			return "{{ " + name + "." + ref.Output + " }}"
		})
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = renamed(item, to)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, item := range v {
			m[name] = renamed(item, to)
		}
		return m
	}
	return v
}

// graph is who refers to whom, by id.
type graph struct {
	nodes   []*Node
	sources map[string][]string        // of each node, those that its inputs refer to, each once, in the order of their names
	cyclic  map[string][]string        // those that only its cyclic inputs refer to
	used    map[string]map[string]bool // outputs that somebody refers to
}

func graphOf(nodes []*Node) *graph {
	g := &graph{nodes, map[string][]string{}, map[string][]string{}, map[string]map[string]bool{}}
	ids := namingOf(nodes).ids
	for _, n := range nodes {
		ids[n.ID] = n.ID // for references that have the id
	}
	for _, n := range nodes {
		refer := func(inputs map[string]any, to map[string][]string) {
			for _, name := range slices.Sorted(maps.Keys(inputs)) {
				for ref := range spec.ParseTemplate(inputs[name]).Refs() {
					id, ok := ids[ref.Node]
					if !ok {
						continue // text that looks like a reference
					}
					if g.used[id] == nil {
						g.used[id] = map[string]bool{}
					}
					g.used[id][ref.Output] = true
					if !slices.Contains(g.sources[n.ID], id) && !slices.Contains(to[n.ID], id) {
						to[n.ID] = append(to[n.ID], id)
					}
				}
			}
		}
		refer(n.Inputs, g.sources)
		refer(n.CyclicInputs, g.cyclic)
	}
	return g
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
	for _, n := range g.nodes {
		visit(n.ID)
	}
	return level, circle
}
