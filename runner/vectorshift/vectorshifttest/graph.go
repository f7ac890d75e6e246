package vectorshifttest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"nightshift/spec"
)

// checkGraph says what is wrong with a graph on the wire. The platform is not known
// to be that strict; this is the form that is documented.
func checkGraph(body map[string]any) error {
	nodes, err := object(body, "nodes")
	if err != nil {
		return err
	}
	canvas, err := object(body, "canvas_metadata")
	if err != nil {
		return err
	}
	edges := map[string]bool{}
	list, _ := canvas["edges"].([]any)
	for _, edge := range list {
		from, to, err := checkEdge(nodes, edge)
		if err != nil {
			return err
		}
		edges[from+" "+to] = true
	}
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		node, _ := nodes[id].(map[string]any)
		if err := checkNode(id, node); err != nil {
			return err
		}
		for ref := range spec.ParseTemplate(node["inputs"]).Refs() {
			switch source, _ := nodes[ref.Node].(map[string]any); {
			case source == nil:
				return fmt.Errorf("node %s refers to node %s, which does not exist", id, ref.Node)
			case !edges[ref.Node+" "+id]:
				return fmt.Errorf("there is no edge from node %s to node %s", ref.Node, id)
			}
		}
	}
	return nil
}

func object(body map[string]any, key string) (map[string]any, error) {
	if body[key] == nil {
		return nil, nil
	}
	m, ok := body[key].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is no object", key)
	}
	return m, nil
}

var words = regexp.MustCompile(`^\w+$`)

func checkNode(id string, node map[string]any) error {
	_, hasInputs := node["inputs"].(map[string]any)
	_, hasOutputs := node["outputs"].([]any)
	mode := node["execution_mode"]
	switch {
	case !words.MatchString(id):
		return fmt.Errorf("node id %q is not seen in references", id)
	case node["id"] != id:
		return fmt.Errorf("node %s has the id %v", id, node["id"])
	case text(node["name"]) == "" || text(node["type"]) == "":
		return fmt.Errorf("node %s has no name or no type", id)
	case node["task_name"] != node["type"]:
		return fmt.Errorf("node %s has the task_name %v, and the type %v", id, node["task_name"], node["type"])
	case mode != "normal" && mode != "batch":
		return fmt.Errorf("node %s has the execution_mode %v", id, mode)
	case !hasInputs || !hasOutputs:
		return fmt.Errorf("node %s has no inputs or no outputs", id)
	}
	return nil
}

// checkEdge gives the ends of an edge.
func checkEdge(nodes map[string]any, edge any) (from, to string, err error) {
	e, _ := edge.(map[string]any)
	from, to = text(e["source"]), text(e["target"])
	want := map[string]any{
		"id":            "reactflow__edge-" + from + from + "-outputs-" + to + to + "-inputs",
		"source_handle": from + "-outputs",
		"target_handle": to + "-inputs",
	}
	for key, value := range want {
		if e[key] != value {
			return "", "", fmt.Errorf("edge %s -> %s: %s is %v, not %v", from, to, key, e[key], value)
		}
	}
	if nodes[from] == nil || nodes[to] == nil {
		return "", "", fmt.Errorf("edge %s -> %s: there are no such nodes", from, to)
	}
	return from, to, nil
}
