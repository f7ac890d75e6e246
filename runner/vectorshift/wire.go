package vectorshift

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"nightshift/schema"
)

// draft is a pipeline as a save would write it, beside what was fetched.
type draft struct {
	*Pipeline
	nodes []*wired
	gone  []*Node // that were fetched, and are no more in it
	graph *graph
	was   *graph // as it was fetched
}

// wired is a node with its inputs as they are on the wire.
type wired struct {
	*Node
	old            *Node          // as it was fetched; nil: it was not
	inputs, cyclic map[string]any // with references by id
	masked         []string       // inputs that are not written, as all that is known of them is a mask
}

// draft makes out what a save would write. What has not changed since it was fetched
// is taken byte for byte.
func (p *Pipeline) draft() *draft {
	fetched, ids := nodesOf(p.object), idsByName(p.nodes)
	d, before := &draft{Pipeline: p, was: fetchedGraph(fetched)}, map[string]*Node{}
	for _, n := range fetched {
		before[n.ID] = n
	}
	for _, n := range p.nodes {
		d.nodes = append(d.nodes, n.wired(before[n.ID], ids))
		delete(before, n.ID)
	}
	for _, n := range fetched {
		if before[n.ID] != nil {
			d.gone = append(d.gone, n)
		}
	}
	d.graph = graphOf(d.nodes)
	return d
}

func (n *Node) wired(old *Node, ids map[string]string) *wired {
	w := &wired{Node: n, old: old, inputs: map[string]any{}, cyclic: map[string]any{}}
	t := schema.LookupNodeType(n.Type)
	for name, v := range n.Inputs {
		switch {
		case isMask(v) && isSecret(t, name):
			w.masked = append(w.masked, name)
		case old != nil && !n.own[name] && reflect.DeepEqual(v, old.Inputs[name]) && old.Inputs[name] != nil:
			w.inputs[name] = object(n.raw["inputs"])[name]
		default:
			w.inputs[name] = renamed(onWire(n.Type, name, plain(v)), ids)
		}
	}
	slices.Sort(w.masked)
	for name, v := range n.CyclicInputs {
		w.cyclic[name] = renamed(plain(v), ids)
	}
	if old != nil && n.own == nil && reflect.DeepEqual(n.CyclicInputs, old.CyclicInputs) {
		w.cyclic = object(n.raw["cyclic_inputs"])
	}
	return w
}

// untouched tells whether nothing has been done to the node since it was fetched.
func (w *wired) untouched() bool {
	n, old := w.Node, w.old
	return old != nil && n.own == nil && n.Name == old.Name && n.Type == old.Type && n.ExecutionMode == old.ExecutionMode &&
		reflect.DeepEqual(n.Inputs, old.Inputs) && reflect.DeepEqual(n.CyclicInputs, old.CyclicInputs)
}

// wire gives the graph as the platform takes it: nodes, canvas_metadata, inputs and
// outputs. What was fetched and is not of our making stays in it.
func (d *draft) wire() map[string]any {
	nodes, inputs, outputs := map[string]any{}, map[string]any{}, map[string]any{}
	for _, n := range d.nodes {
		nodes[n.ID] = d.wireNode(n)
		switch n.Type {
		case "input":
			inputs[n.Name] = n.face(object(d.object["inputs"]), "input_type")
		case "output":
			outputs[n.Name] = n.face(object(d.object["outputs"]), "output_type")
		}
	}
	return map[string]any{"nodes": nodes, "canvas_metadata": d.canvas(), "inputs": inputs, "outputs": outputs}
}

func (d *draft) wireNode(n *wired) map[string]any {
	w := map[string]any{}
	maps.Copy(w, n.raw)
	if _, listed := w["inputs"].(map[string]any); listed || len(n.Inputs) > 0 || n.raw == nil {
		w["inputs"] = n.inputs
	}
	if n.untouched() && d.foreign(n.Node) {
		return w
	}
	if text(w["type"]) != n.Type || text(w["task_name"]) == "" {
		w["task_name"] = n.Type
	}
	if n.Name != "" || n.raw == nil {
		w["name"] = n.Name
	}
	w["id"], w["type"], w["execution_mode"] = n.ID, n.Type, cmp.Or(n.ExecutionMode, "normal")
	if len(n.cyclic) > 0 {
		w["cyclic_inputs"] = n.cyclic
	} else if len(object(w["cyclic_inputs"])) > 0 {
		delete(w, "cyclic_inputs")
	}
	if used := d.graph.used[n.ID]; !n.listsOutputs(used) {
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

// face is an input or an output of the pipeline as seen from outside. What the node
// says is in it, and no more what it said when it was fetched; the rest stays.
func (n *wired) face(fetched map[string]any, typeInput string) map[string]any {
	old := n.old
	if old == nil {
		old = &Node{}
	}
	f := maps.Clone(object(fetched[n.Name]))
	if f["io_type"] == nil || n.Inputs[typeInput] != nil {
		f["io_type"] = n.setting(typeInput)
	}
	if now := text(n.Inputs["description"]); f["description"] == nil || now != "" || text(old.Inputs["description"]) != "" {
		f["description"] = now
	}
	if n.usesDefault() {
		f["default_value"] = n.inputs["default_value"]
	} else if n.Inputs["use_default_value"] != nil || old.usesDefault() {
		delete(f, "default_value")
	}
	return f
}

func (n *Node) usesDefault() bool {
	return typed(schema.Field{Type: "bool"}, n.Inputs["use_default_value"]) == true
}
