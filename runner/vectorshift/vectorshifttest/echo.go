package vectorshifttest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nightshift/spec"
)

// echo is what the output nodes of a run hold, with the values of input nodes filled
// in; of other nodes it is said that they made something.
func (r *Run) echo() map[string]any {
	outputs := map[string]any{}
	for _, node := range r.nodes() {
		if text(node["type"]) == "output" {
			outputs[text(node["name"])] = r.value(node, "value")
		}
	}
	return outputs
}

// nodes are those of the graph, by the order of their names.
func (r *Run) nodes() []map[string]any {
	all, _ := r.graph["nodes"].(map[string]any)
	var nodes []map[string]any
	for _, v := range all {
		if node, ok := v.(map[string]any); ok {
			nodes = append(nodes, node)
		}
	}
	slices.SortFunc(nodes, func(a, b map[string]any) int { return strings.Compare(text(a["name"]), text(b["name"])) })
	return nodes
}

// value is an input of a node, with its references filled in.
func (r *Run) value(node map[string]any, input string) any {
	inputs, _ := node["inputs"].(map[string]any)
	all, _ := r.graph["nodes"].(map[string]any)
	return spec.ParseTemplate(inputs[input]).Value(func(ref *spec.Ref) any {
		source, _ := all[ref.Node].(map[string]any)
		name := text(source["name"])
		if text(source["type"]) == "input" {
			if v, given := r.Inputs[name]; given {
				return v
			}
			return r.value(source, "default_value")
		}
		return "made by " + name
	})
}

// frames are those of a stream before its result: the outputs in pieces where they
// are streams, those of the other nodes where they were asked for.
func (r *Run) frames() []map[string]any {
	frames := []map[string]any{}
	add := func(output string, value any) {
		frames = append(frames, map[string]any{"type": "stream", "run_id": r.TaskID, "output_name": output, "output_value": value})
	}
	all := r.Body["stream_all_outputs"] == true || r.Body["send_intermediate_results"] == true
	for _, node := range r.nodes() {
		name := text(node["name"])
		inputs, _ := node["inputs"].(map[string]any)
		outputs, _ := node["outputs"].([]any)
		switch {
		case text(node["type"]) == "output":
			value := r.Outputs[name]
			if whole, isText := value.(string); isText && strings.HasPrefix(text(inputs["output_type"]), "stream<") {
				for piece := range strings.SplitAfterSeq(whole, " ") {
					add(name, piece)
				}
			} else if value != nil && all {
				add(name, value)
			}
		case all && text(node["type"]) != "input" && len(outputs) > 0:
			add(name+"."+text(outputs[0]), "made by "+name)
		}
	}
	return frames
}

// takes is how long a run goes on by itself.
func (r *Run) takes() time.Duration {
	if r.Until.IsZero() {
		return Forever
	}
	return r.Until.Sub(r.At)
}

// override gives a graph with inputs of nodes replaced, named "node.input", or says
// why that cannot be.
func override(graph map[string]any, overrides any) (overridden map[string]any, failure string) {
	all, _ := overrides.(map[string]any)
	if len(all) == 0 {
		return graph, ""
	}
	graph = clone(graph).(map[string]any)
	r := Run{graph: graph}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		name, input, _ := strings.Cut(key, ".")
		nodes := r.nodes()
		i := slices.IndexFunc(nodes, func(node map[string]any) bool { return node["name"] == name })
		if i < 0 || input == "" {
			return graph, fmt.Sprintf("node_input_overrides: there is no %s", key)
		}
		if inputs, _ := nodes[i]["inputs"].(map[string]any); inputs != nil {
			inputs[input] = all[key]
		}
	}
	return graph, ""
}
