package vectorshift

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

// Node is one step of a pipeline. Values are plain ones: nil, bool, string,
// json.Number, []any and map[string]any.
type Node struct {
	ID, Name, Type string
	Inputs         map[string]any // references by name: {{ llm.response }}; by id where a name does not tell one node
	Outputs        []string       // as the platform lists them; nil: those of its type
	ExecutionMode  string         // normal or batch
	CyclicInputs   map[string]any // what takes the place of inputs from the second round of a loop on

	raw  map[string]any  // as it was fetched
	own  map[string]bool // inputs that were given to Add; nil: it was not added
	held []string        // keys that were given, and are not sent
}

// NodeSpec is what a node is made of: [Input], [Output], [LLM], [Text] and so on, or
// [Raw] for any type.
type NodeSpec interface{ node() Raw }

// Raw is a node of any type, also of one that nobody here knows.
type Raw struct {
	Type          string
	Inputs        map[string]any
	ExecutionMode string // "": normal
	CyclicInputs  map[string]any
}

func (r Raw) node() Raw { return r }

// Out is a reference to an output of the node, for the inputs of others.
func (n *Node) Out(output string) string { return "{{ " + n.Name + "." + output + " }}" }

// After makes the node run only when outputs of others are there: references to them,
// such as to a path of a condition.
func (n *Node) After(references ...string) *Node {
	list, _ := n.Inputs["dependencies"].([]any)
	for _, ref := range references {
		list = append(list, ref)
	}
	n.Inputs["dependencies"] = list
	return n
}

// Node gives the node of that name, or nil; of several the one that was added.
func (p *Pipeline) Node(name string) *Node {
	var found *Node
	for _, n := range p.nodes {
		if n.Name == name && (found == nil || n.own != nil && found.own == nil) {
			found = n
		}
	}
	return found
}

// Nodes gives all nodes: those that were fetched with sources before those who
// use them, then those that were added.
func (p *Pipeline) Nodes() []*Node { return slices.Clone(p.nodes) }

// Remove takes the nodes of that name out of the pipeline.
func (p *Pipeline) Remove(name string) {
	p.nodes = slices.DeleteFunc(p.nodes, func(n *Node) bool { return n.Name == name })
}

// Add puts a node into the pipeline, in the place of one of that name. References in
// its inputs are by name. If the type is the same it keeps its id, and what the platform
// knows of it beside its inputs; inputs that are not given go, but for those that only
// the platform knows, defaults, and keys. A key of a provider is left out unless the
// input use_personal_api_key is true.
func (p *Pipeline) Add(name string, what NodeSpec) *Node {
	given := what.node()
	n := &Node{Name: name, Type: given.Type, ExecutionMode: cmp.Or(given.ExecutionMode, "normal")}
	old := p.put(n)
	if old != nil && old.Type == n.Type {
		n.ID, n.Outputs, n.raw = old.ID, old.Outputs, old.raw
	} else {
		n.ID, old = p.newID(n), nil
	}
	n.setInputs(object(renamed(plain(given.Inputs), nil)), old)
	n.CyclicInputs, _ = renamed(plain(given.CyclicInputs), nil).(map[string]any)
	return n
}

var noWord = spec.Pattern(`\W`)

// newID makes an id: always the same of the names of a pipeline and of a node, so
// that a save that is repeated makes the same graph.
func (p *Pipeline) newID(n *Node) string {
	taken := func(id string) bool {
		return slices.ContainsFunc(p.nodes, func(other *Node) bool { return other != n && other.ID == id })
	}
	id := derivedID(p.Name, n, 0)
	for i := 1; taken(id); i++ { // by a node that has got another name since
		id = derivedID(p.Name, n, i)
	}
	return id
}

func derivedID(pipeline string, n *Node, round int) string {
	of := []string{pipeline, n.Name}
	if round > 0 {
		of = append(of, fmt.Sprint(round))
	}
	sum := sha256.Sum256([]byte(strings.Join(of, "\x00")))
	return noWord().ReplaceAllString(n.Type, "_") + "_" + hex.EncodeToString(sum[:12])
}

// setting gives what an input is set to, or its default.
func (n *Node) setting(input string) any {
	if t := schema.LookupNodeType(n.Type); t != nil {
		return t.Setting(n.Inputs, input)
	}
	return n.Inputs[input]
}

// plain turns a value of Go into a plain one. What has no form in JSON stays as it
// is, and is refused when it is saved.
func plain(v any) any {
	switch v := v.(type) {
	case nil, string, bool, json.Number:
		return v
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, value := range v {
			m[name] = plain(value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = plain(value)
		}
		return list
	}
	text, err := json.Marshal(v)
	if err != nil {
		return v
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var made any
	if d.Decode(&made) != nil {
		return v
	}
	return made
}

// text is a value that is text, or "".
func text(v any) string {
	s, _ := v.(string)
	return s
}

// object is a value that is an object; anything else makes an empty one.
func object(v any) map[string]any {
	if m, ok := v.(map[string]any); ok && m != nil {
		return m
	}
	return map[string]any{}
}

// nodesOf reads the nodes of a pipeline that was fetched: a map by id, or a list.
// Sources come before those who use them; in between they stand as on the canvas.
func nodesOf(fetched map[string]any) []*Node {
	var nodes []*Node
	switch all := fetched["nodes"].(type) {
	case map[string]any:
		for _, id := range slices.Sorted(maps.Keys(all)) {
			nodes = append(nodes, nodeOf(id, all[id]))
		}
	case []any:
		for i, raw := range all {
			nodes = append(nodes, nodeOf(fmt.Sprint("node_", i), raw))
		}
	}
	naming := namingOf(nodes)
	for _, n := range nodes {
		n.Inputs = object(renamed(n.Inputs, naming.names))
		if n.CyclicInputs != nil {
			n.CyclicInputs = object(renamed(n.CyclicInputs, naming.names))
		}
	}
	sortByCanvas(nodes, object(fetched["canvas_metadata"]))
	return nodes
}

func nodeOf(id string, fetched any) *Node {
	raw := object(fetched)
	n := &Node{
		ID: cmp.Or(text(raw["id"]), id), Name: text(raw["name"]), Type: cmp.Or(text(raw["type"]), text(raw["task_name"])),
		Inputs: object(raw["inputs"]), ExecutionMode: cmp.Or(text(raw["execution_mode"]), "normal"), raw: raw,
	}
	if cyclic := object(raw["cyclic_inputs"]); len(cyclic) > 0 {
		n.CyclicInputs = cyclic
	}
	switch outputs := raw["outputs"].(type) {
	case []any:
		for _, name := range outputs {
			n.Outputs = append(n.Outputs, text(name))
		}
	case map[string]any:
		n.Outputs = slices.Sorted(maps.Keys(outputs))
	}
	return n
}
