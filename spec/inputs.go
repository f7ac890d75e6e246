package spec

import (
	"iter"
	"maps"
	"slices"

	"gopkg.in/yaml.v3"
)

// AllInputs walks the values of a node's inputs by name, those of the later rounds of its
// loop behind the others.
func (n *Node) AllInputs() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, inputs := range []map[string]any{n.Inputs, n.CyclicInputs} {
			for _, name := range slices.Sorted(maps.Keys(inputs)) {
				if !yield(name, inputs[name]) {
					return
				}
			}
		}
	}
}

// written walks the inputs of a node as they stand in the file, those of the later rounds
// of its loop behind the others.
func (n *Node) written() iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for _, inputs := range []*yaml.Node{n.inputsAt, valueOf(n.at, "cyclic_inputs")} {
			if inputs == nil || inputs.Kind != yaml.MappingNode {
				continue // the schema has said so
			}
			for i := 0; i+1 < len(inputs.Content); i += 2 {
				if !yield(inputs.Content[i], inputs.Content[i+1]) {
					return
				}
			}
		}
	}
}
