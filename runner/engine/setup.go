package engine

import (
	"slices"

	"nightshift/schema"
	"nightshift/spec"
)

// setup is what a node is compiled from.
type setup struct {
	*compiler
	spec     *spec.Node
	made     *node
	batch    *batch // nil where the node runs once
	leaf     bool   // its call waits, and makes no others
	problems schema.Problems
}

// refuse reports that the node cannot be run as it is written.
func (s *setup) refuse(input, format string, args ...any) {
	s.problems = append(s.problems, s.spec.Problem(input, format, args...))
}

// refuseDangling reports references to nothing. spec has found none in what the
// author wrote, but node inputs may have been overridden since.
func (s *setup) refuseDangling() {
	for input, ref := range s.spec.Refs() {
		if _, ok := s.slots[[2]string{ref.Node, ref.Output}]; ok {
			continue
		}
		if target := s.pipeline.Node(ref.Node); target == nil || Runs(target.Type) {
			s.refuse(input, "{{ %s.%s }} refers to nothing", ref.Node, ref.Output)
		}
	}
}

// in gives an input: what the author wrote, else the published default.
func (s *setup) in(name string) input {
	field, _ := schema.LookupNodeType(s.spec.Type).Input(name)
	value, given := s.spec.Inputs[name]
	if !given {
		value = field.Default
	}
	return input{name: name, template: s.elements(name, value), choices: field.Enum}
}

// given is in, but without the published default: it says what the platform
// does, not what is to be sent.
func (s *setup) given(name string) input {
	return input{name: name, template: s.elements(name, s.spec.Inputs[name])}
}

// elements parses the value of an input. In batch mode, a call finds in it what is
// there for its element.
func (s *setup) elements(name string, value any) *spec.Template {
	if s.batch == nil {
		return s.bind(value)
	}
	return s.batch.spread(s, s.inputType(name), name, value)
}

// inputType is what an input takes in one call. Elements of a type that the author
// has not written are those of the published default.
func (s *setup) inputType(name string) string {
	if typ := s.spec.InputType(name); typ != "any" {
		return typ
	}
	t := schema.LookupNodeType(s.spec.Type)
	if field, ok := t.Input(name); ok && field.Type == "T" {
		return "string"
	}
	return "any"
}

// bind parses a value and gives its references their slots; one to a variable has
// that of the variable, as a negative number.
func (s *setup) bind(value any) *spec.Template {
	t := s.pipeline.Template(value)
	for ref := range t.Refs() {
		if ref.Node != "" {
			ref.Slot = s.slots[[2]string{ref.Node, ref.Output}].slot
		} else if i, ok := s.variable(ref.Output); ok {
			ref.Slot = ^i
		}
	}
	return t
}

// refers tells whether a node of the pipeline uses an output of this one.
func (s *setup) refers(output string) bool { return s.asked[[2]string{s.spec.Name, output}] }

// outs gives the slots of the outputs of this node, but for the one that every node has.
func (s *setup) outs() map[string]int {
	outs := map[string]int{}
	for key, info := range s.slots {
		if key[0] == s.spec.Name && info.slot != s.made.complete {
			outs[key[1]] = info.slot
		}
	}
	return outs
}

// openInputs are the inputs that the author has written and the catalogue does not know,
// in their order: a saved object, or a file, says what they are.
func (s *setup) openInputs() []string {
	t := schema.LookupNodeType(s.spec.Type)
	return slices.DeleteFunc(slices.Clone(s.spec.InputNames), func(name string) bool {
		_, own := t.Input(name)
		return own
	})
}

// out gives the slot of an output of this node; -1 where the node, as it is
// configured, does not have it.
func (s *setup) out(name string) int {
	if info, ok := s.slots[[2]string{s.spec.Name, name}]; ok {
		return info.slot
	}
	return -1
}
