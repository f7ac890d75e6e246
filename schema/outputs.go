package schema

import (
	"fmt"
	"maps"
	"slices"
)

// Setting gives what the author wrote for an input, or the published default.
func (t *NodeType) Setting(inputs map[string]any, name string) any {
	if v, ok := inputs[name]; ok {
		return v
	}
	f, _ := t.Input(name)
	return f.Default
}

// OutputsOf lists the outputs that a node of this type has when its inputs are
// as given: fixed ones whose condition holds, then those that inputs name, then
// the common ones.
func (t *NodeType) OutputsOf(inputs map[string]any) []Output {
	var outs []Output
	add := func(o Output) {
		if !slices.ContainsFunc(outs, func(x Output) bool { return x.Name == o.Name }) {
			outs = append(outs, o)
		}
	}
	for _, o := range t.Outputs {
		if o.When.Holds(func(field string) any { return t.Setting(inputs, field) }) {
			add(o)
		}
	}
	for _, from := range t.OutputsFrom {
		for _, name := range from.names(inputs[from.Input]) {
			add(Output{Name: name, Type: from.Type})
		}
	}
	for _, o := range CommonOutputs() {
		add(o)
	}
	return outs
}

func (f OutputsFrom) names(value any) []string {
	var names []string
	switch value := value.(type) {
	case map[string]any:
		if f.As == "keys" {
			names = slices.Sorted(maps.Keys(value))
		}
	case []any:
		for i, item := range value {
			switch item := item.(type) {
			case string:
				if f.As == "items" {
					names = append(names, item)
				}
			case map[string]any:
				if s, ok := item[f.Field].(string); ok && f.As == "items" {
					names = append(names, s)
				}
			}
			if f.As == "paths" {
				names = append(names, fmt.Sprintf("path_%d", i))
			}
		}
	}
	return names
}
