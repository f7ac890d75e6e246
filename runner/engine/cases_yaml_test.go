package engine

import (
	"maps"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
	"nightshift/spec"
)

// batchFile is the pipeline of the case: what is given, n, and nodes that take
// its outputs.
func (c *nodeCase) batchFile(serves bool) *yaml.Node {
	nodes := record()
	if c.typ != "input" {
		keys, types := sequence(members...), record()
		if serves {
			keys = sequence(slices.Concat(members, []string{"server"})...)
		}
		for _, key := range keys.Content {
			put(types, key.Value, word("any"))
		}
		put(nodes, "given", record("type", word("input")))
		put(nodes, "v", record("type", word("read_json_values"), "inputs", record(
			"json_string", word("{{ given.text }}"), "keys", keys, "processed_outputs", types)))
	}
	n := record("type", word(c.typ), "inputs", c.inputs())
	if c.ExecutionMode != "" {
		put(n, "execution_mode", word(c.ExecutionMode))
	}
	if c.CyclicInputs.Kind != 0 {
		put(n, "cyclic_inputs", &c.CyclicInputs)
	}
	put(nodes, "n", n)
	more := &c.Nodes
	if more.Kind == yaml.AliasNode {
		more = more.Alias
	}
	nodes.Content = append(nodes.Content, more.Content...)
	c.collect(nodes)

	pipeline := record("name", word("p"), "nodes", nodes)
	if c.Variables.Kind != 0 {
		put(pipeline, "variables", &c.Variables)
	}
	return record("version", &yaml.Node{Kind: yaml.ScalarNode, Value: "1"}, "pipeline", pipeline,
		"batches", record("b", record("from", word("-"))))
}

// inputs are those of n, with a model where one answers and none is named.
func (c *nodeCase) inputs() *yaml.Node {
	inputs := record()
	inputs.Content = slices.Clone(c.Inputs.Content)
	provider, asks := schema.LookupNodeType(c.typ).Input("provider")
	if c.Answers != nil && asks && provider.Default == nil && valueOf(inputs, "provider") == nil {
		put(inputs, "provider", word("custom"))
		if valueOf(inputs, "model") == nil {
			put(inputs, "model", word("m"))
		}
	}
	return inputs
}

// collect adds the nodes that take the outputs of n.
func (c *nodeCase) collect(nodes *yaml.Node) {
	if c.After != "" {
		put(nodes, "after", record("type", word("text"), "inputs", record("text", word(c.After), "dependencies", sequence("{{ n.complete }}"))))
	}
	if c.typ == "output" {
		return
	}
	fields := &yaml.Node{Kind: yaml.SequenceNode}
	for _, name := range slices.Sorted(maps.Keys(c.Outputs)) {
		value := "{{ n." + name + " }}"
		switch {
		case c.isPath(name):
			put(nodes, "path_of_"+name, record("type", word("output"), "inputs", record("value", word("taken"), "dependencies", sequence(value))))
			continue
		case name == "after":
			value = "{{ after.text }}"
		}
		fields.Content = append(fields.Content, record("key", word(name), "value", word(value)))
	}
	if len(fields.Content) > 0 {
		put(nodes, "together", record("type", word("write_json_value"), "inputs", record("fields", fields)))
		put(nodes, "all", record("type", word("output"), "inputs", record("value", word("{{ together.updated_json }}"))))
	}
}

// record makes a YAML map of keys and values in turn.
func record(pairs ...any) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i < len(pairs); i += 2 {
		put(m, pairs[i].(string), pairs[i+1].(*yaml.Node))
	}
	return m
}

func put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, word(key), value)
}

func sequence(words ...string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, w := range words {
		list.Content = append(list.Content, word(w))
	}
	return list
}

// word is text, whatever it looks like.
func word(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text}
}

func writeYAML(t *testing.T, n *yaml.Node) string {
	t.Helper()
	text, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// plain gives the plain value of YAML, numbers with all of their digits.
func plain(t *testing.T, n *yaml.Node) any {
	t.Helper()
	switch n.Kind {
	case 0:
		return nil // the file says null
	case yaml.AliasNode:
		return plain(t, n.Alias)
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, plain(t, item))
		}
		return list
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(t, n.Content[i+1])
		}
		return m
	}
	if n.Style == 0 { // without quotes
		if v, err := spec.ParseJSON([]byte(n.Value)); err == nil {
			return v // a number has all of its digits, and may be too large for YAML
		}
		switch n.ShortTag() {
		case "!!null", "!!bool", "!!int", "!!float":
			t.Fatalf("line %d: write %s as in JSON, or as text", n.Line, n.Value)
		}
	}
	return n.Value
}

func jsonOf(v any) string { return string(spec.AppendJSON(nil, v)) }
