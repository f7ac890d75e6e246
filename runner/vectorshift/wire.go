package vectorshift

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"nightshift/schema"
)

// Steps of the canvas, from level to level and from row to row.
const (
	stepX = 1200
	stepY = 600
)

// wire gives the graph as the platform takes it: nodes, canvas_metadata, inputs and
// outputs. What was fetched and is not of our making stays in it.
func (p *Pipeline) wire() map[string]any {
	g, naming := graphOf(p.nodes), namingOf(p.nodes)
	nodes, inputs, outputs := map[string]any{}, map[string]any{}, map[string]any{}
	for _, n := range p.nodes {
		nodes[n.ID] = n.wire(naming, g.used[n.ID])
		switch n.Type {
		case "input":
			inputs[n.Name] = n.face(object(p.object["inputs"]), "input_type")
		case "output":
			outputs[n.Name] = n.face(object(p.object["outputs"]), "output_type")
		}
	}
	canvas := maps.Clone(object(p.object["canvas_metadata"]))
	canvas["nodes"] = p.places(g, object(canvas["nodes"]))
	canvas["edges"] = p.edges(g)
	return map[string]any{"nodes": nodes, "canvas_metadata": canvas, "inputs": inputs, "outputs": outputs}
}

// wire is the node with references by id.
func (n *Node) wire(naming naming, used map[string]bool) map[string]any {
	w := map[string]any{}
	maps.Copy(w, n.raw)
	if text(w["type"]) != n.Type || text(w["task_name"]) == "" {
		w["task_name"] = n.Type
	}
	if n.Name != "" || n.raw == nil {
		w["name"] = n.Name
	}
	w["id"], w["type"], w["execution_mode"] = n.ID, n.Type, cmp.Or(n.ExecutionMode, "normal")
	w["inputs"] = naming.toIDs(plain(n.Inputs))
	if len(n.CyclicInputs) > 0 {
		w["cyclic_inputs"] = naming.toIDs(plain(n.CyclicInputs))
	} else if len(object(w["cyclic_inputs"])) > 0 {
		delete(w, "cyclic_inputs")
	}
	if !n.listsOutputs(used) {
		w["outputs"] = plain(n.outputs(used))
	}
	return w
}

// listsOutputs tells whether the outputs that were fetched are as good as ours: they
// hold ours or, where nothing was changed that outputs hang on, those that are used.
func (n *Node) listsOutputs(used map[string]bool) bool {
	if n.raw["outputs"] == nil {
		return false
	}
	old := nodeOf(n.ID, n.raw)
	if slices.Equal(n.outputs(nil), old.outputs(nil)) {
		needed := slices.DeleteFunc(slices.Collect(maps.Keys(used)), isCommonOutput)
		return holdsAll(old.Outputs, needed)
	}
	return holdsAll(old.Outputs, n.outputs(used))
}

// outputs lists the outputs of the node's type, and those that are used. Those that
// every node has are not listed.
func (n *Node) outputs(used map[string]bool) []string {
	names := []string{}
	if t := schema.LookupNodeType(n.Type); t != nil {
		for _, o := range t.OutputsOf(n.Inputs) {
			names = append(names, o.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return slices.DeleteFunc(names, isCommonOutput)
}

func isCommonOutput(name string) bool {
	return slices.ContainsFunc(schema.CommonOutputs(), func(o schema.Output) bool { return o.Name == name })
}

func holdsAll(list, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(name string) bool { return !slices.Contains(list, name) })
}

// face is an input or an output of the pipeline as seen from outside.
func (n *Node) face(fetched map[string]any, typeInput string) map[string]any {
	f := maps.Clone(object(fetched[n.Name]))
	f["io_type"] = n.setting(typeInput)
	f["description"] = text(n.setting("description"))
	if use, _ := n.Inputs["use_default_value"].(bool); use {
		f["default_value"] = plain(n.Inputs["default_value"])
	} else {
		delete(f, "default_value")
	}
	return f
}

// places tells where nodes stand on the canvas. Those that have a place keep it;
// others get one by their level, and below each other.
func (p *Pipeline) places(g *graph, fetched map[string]any) map[string]any {
	type place struct{ x, y float64 }
	taken := map[place]bool{}
	places := maps.Clone(fetched)
	for _, n := range nodesOf(p.object) {
		if p.nodeByID(n.ID) == nil {
			delete(places, n.ID)
		}
	}
	for _, there := range places {
		x, y := position(there)
		taken[place{x, y}] = true
	}
	level, _ := g.levels()
	for i, n := range p.nodes {
		if places[n.ID] != nil {
			continue
		}
		at := place{x: float64(level[n.ID] * stepX)}
		for taken[at] {
			at.y += stepY
		}
		taken[at] = true
		places[n.ID] = map[string]any{
			"advancedOutputs": false, "position": map[string]any{"x": at.x, "y": at.y}, "zIndex": i,
			"sidePanelOpen": true, "input_mode": "inputs",
		}
	}
	return plain(places).(map[string]any)
}

func position(place any) (x, y float64) {
	at := object(object(place)["position"])
	number := func(v any) float64 {
		n, _ := v.(json.Number)
		f, _ := n.Float64()
		return f
	}
	return number(at["x"]), number(at["y"])
}

// sortByCanvas puts sources before those who use them, and nodes of one level as
// they stand on the canvas.
func sortByCanvas(nodes []*Node, canvas map[string]any) {
	level, _ := graphOf(nodes).levels()
	places := object(canvas["nodes"])
	slices.SortStableFunc(nodes, func(a, b *Node) int {
		ax, ay := position(places[a.ID])
		bx, by := position(places[b.ID])
		return cmp.Or(cmp.Compare(level[a.ID], level[b.ID]), cmp.Compare(ay, by), cmp.Compare(ax, bx), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

// edge is a line on the canvas: target refers to source.
type edge struct{ source, target string }

func edgeOf(fetched any) edge {
	raw := object(fetched)
	return edge{text(raw["source"]), text(raw["target"])}
}

func (e edge) wire() map[string]any {
	from, to := e.source+"-outputs", e.target+"-inputs"
	return map[string]any{
		"id":     "reactflow__edge-" + e.source + from + "-" + e.target + to,
		"source": e.source, "target": e.target, "source_handle": from, "target_handle": to,
	}
}

// lines gives one edge for each node that another refers to.
func (g *graph) lines() []edge {
	var all []edge
	for _, n := range g.nodes {
		for _, source := range slices.Concat(g.sources[n.ID], g.cyclic[n.ID]) {
			all = append(all, edge{source, n.ID})
		}
	}
	return all
}

// edges gives the edges of the canvas: those that were fetched, but for those whose
// reference or end has gone, and one for every reference that has none.
func (p *Pipeline) edges(g *graph) []any {
	now, before := g.lines(), graphOf(nodesOf(p.object)).lines()
	edges, drawn := []any{}, map[edge]bool{}
	fetched, _ := object(p.object["canvas_metadata"])["edges"].([]any)
	for _, raw := range fetched {
		e := edgeOf(raw)
		if p.nodeByID(e.source) != nil && p.nodeByID(e.target) != nil && (slices.Contains(now, e) || !slices.Contains(before, e)) {
			edges = append(edges, raw)
			drawn[e] = true
		}
	}
	for _, e := range now {
		if !drawn[e] {
			edges = append(edges, e.wire())
		}
	}
	return edges
}
