package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Setting gives what the author wrote for an input, or the published default.
func (t *NodeType) Setting(inputs map[string]any, name string) any {
	if v, ok := inputs[name]; ok {
		return v
	}
	f, _ := t.Input(name)
	return f.Default
}

// ElementType gives the type that T stands for in a node whose inputs are as
// given; any where that is not known.
func (t *NodeType) ElementType(inputs map[string]any) string {
	element := inputs["type"]
	if t.Element != "" {
		element = t.Setting(inputs, t.Element)
	}
	if s, ok := element.(string); ok && s != "json" && !strings.Contains(s, "{{") {
		return s
	}
	return "any"
}

// InputType gives the type of an input of a node whose inputs are as given; any
// where that is not known.
func (t *NodeType) InputType(inputs map[string]any, name string) string {
	f, ok := t.Input(name)
	if !ok {
		return "any"
	}
	return t.resolve(f.Type, inputs)
}

// resolve puts the element type for T.
func (t *NodeType) resolve(typ string, inputs map[string]any) string {
	if typ == "T" {
		return t.ElementType(inputs)
	}
	if inner, list := Element(typ); list {
		return "vec<" + t.resolve(inner, inputs) + ">"
	}
	return typ
}

// Element gives the type of the elements of a list; of any other type, itself.
func Element(typ string) (inner string, list bool) {
	if inner, list = strings.CutPrefix(typ, "vec<"); list {
		return strings.TrimSuffix(inner, ">"), true
	}
	return typ, false
}

// OutputsOf lists the outputs that a node of this type has when its inputs are
// as given: fixed ones whose condition holds, then those that inputs name, then
// the common ones. One that may have several types is any where a reference decides.
func (t *NodeType) OutputsOf(inputs map[string]any) []Output {
	outs := make([]Output, 0, len(t.Outputs)+1)
	add := func(o Output) {
		o.Type = t.resolve(o.Type, inputs)
		if i := slices.IndexFunc(outs, func(x Output) bool { return x.Name == o.Name }); i < 0 {
			outs = append(outs, o)
		} else if len(o.When) > 0 && o.Type != outs[i].Type {
			outs[i].Type = "any"
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

// OutputName is what an output is called that holds the column of a table: its
// name, with _ for each character that cannot stand in a reference.
func OutputName(column string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '.':
			return r
		}
		return '_'
	}, strings.TrimSpace(column))
}

func (f OutputsFrom) names(value any) []string {
	var names []string
	if f.Plain {
		defer func() {
			for i, name := range names {
				names[i] = OutputName(name)
			}
		}()
	}
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
