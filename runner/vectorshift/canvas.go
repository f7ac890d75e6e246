package vectorshift

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// Steps of the canvas, from level to level and from row to row.
const (
	stepX = 1200
	stepY = 600
)

// canvas gives the canvas that was fetched, with the nodes and edges of now.
func (d *draft) canvas() map[string]any {
	canvas := maps.Clone(object(d.object["canvas_metadata"]))
	fetched, _ := canvas["edges"].([]any)
	canvas["nodes"] = d.places(object(canvas["nodes"]))
	canvas["edges"] = d.edges(fetched)
	return canvas
}

// places tells where nodes stand on the canvas. Those that have a place keep it;
// others get one by their level, and below each other.
func (d *draft) places(fetched map[string]any) map[string]any {
	type place struct{ x, y float64 }
	taken := map[place]bool{}
	places := maps.Clone(fetched)
	for _, n := range d.gone {
		delete(places, n.ID)
	}
	for _, there := range places {
		x, y := position(there)
		taken[place{x, y}] = true
	}
	level, _ := d.graph.levels()
	for i, n := range d.nodes {
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
	level, _ := fetchedGraph(nodes).levels()
	places := object(canvas["nodes"])
	slices.SortStableFunc(nodes, func(a, b *Node) int {
		ax, ay := position(places[a.ID])
		bx, by := position(places[b.ID])
		return cmp.Or(cmp.Compare(level[a.ID], level[b.ID]), cmp.Compare(ay, by), cmp.Compare(ax, bx), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

// edges gives the edges of the canvas: those that were fetched, but for those whose
// reference or end has gone, and one for every reference that has none.
func (d *draft) edges(fetched []any) []any {
	now, ends, lapsed := d.graph.edges(), map[string]bool{}, map[edge]bool{}
	for _, e := range d.was.edges() {
		lapsed[e] = true
	}
	for _, e := range now {
		delete(lapsed, e)
	}
	for _, n := range d.nodes {
		ends[n.ID] = true
	}
	edges, drawn := []any{}, map[edge]bool{}
	for _, raw := range fetched {
		e := edge{text(object(raw)["source"]), text(object(raw)["target"])}
		if ends[e.source] && ends[e.target] && !lapsed[e] {
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

func (e edge) wire() map[string]any {
	from, to := e.source+"-outputs", e.target+"-inputs"
	return map[string]any{
		"id":     "reactflow__edge-" + e.source + from + "-" + e.target + to,
		"source": e.source, "target": e.target, "source_handle": from, "target_handle": to,
	}
}
