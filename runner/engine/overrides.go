package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
	"nightshift/spec"
)

// override compiles a pipeline in which node inputs, keyed as "node.input",
// have other values. They come with a start, so nobody has checked them yet.
func (e *Engine) override(p *spec.Pipeline, overrides map[string]any) (*program, error) {
	variant, err := p.Override(overrides)
	if err != nil {
		return nil, err
	}
	var messages []string
	for _, n := range variant.Nodes {
		if n == p.Node(n.Name) {
			continue // not overridden
		}
		if t := schema.LookupNodeType(n.Type); t != nil {
			for _, problem := range schema.ValidateInputs(t, yamlOf(n.Inputs), "node "+n.Name) {
				messages = append(messages, problem.Message)
			}
		}
	}
	var made *program
	if messages == nil {
		var problems schema.Problems
		made, problems = e.compile(variant)
		for _, problem := range problems {
			messages = append(messages, problem.String())
		}
	}
	if messages != nil {
		return nil, fmt.Errorf("with node_input_overrides: %s", strings.Join(messages, "; "))
	}
	return made, nil
}

// yamlOf gives a plain value the form that the schema looks at.
func yamlOf(v any) *yaml.Node {
	scalar := func(tag, text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text} }
	switch v := v.(type) {
	case nil:
		return scalar("!!null", "null")
	case bool:
		return scalar("!!bool", spec.Text(v))
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return scalar("!!float", string(v))
		}
		return scalar("!!int", string(v))
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			n.Content = append(n.Content, yamlOf(item))
		}
		return n
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, scalar("!!str", name), yamlOf(v[name]))
		}
		return n
	}
	return scalar("!!str", spec.Text(v))
}
