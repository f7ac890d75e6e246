package engine

import (
	"errors"
	"slices"
	"sync/atomic"

	"nightshift/spec"
)

// variables are those of a run, in the order in which they are declared. A node that works in
// another goroutine may read one while it is set.
type variables []atomic.Pointer[any]

// newVariables gives the variables of a pipeline their first values.
func newVariables(p *spec.Pipeline) variables {
	if len(p.VariableNames) == 0 {
		return nil
	}
	v := make(variables, len(p.VariableNames))
	for i, name := range p.VariableNames {
		v[i].Store(new(p.Variables[name]))
	}
	return v
}

// variable gives the place of a variable among those of a run. Slots of references
// are never below 0; the slot of a reference to a variable is ^variable.
func (c *compiler) variable(name string) (variable int, ok bool) {
	variable = slices.Index(c.pipeline.VariableNames, name)
	return variable, variable >= 0
}

func (v variables) get(variable int) any { return *v[variable].Load() }

// assign gives a variable a value that is made one of the type of its first value.
func (v variables) assign(variable int, value, first any) error {
	if spec.IsEmpty(value) {
		return errors.New("a variable cannot be set to nothing")
	}
	value, err := spec.AsVariable(value, first)
	if err != nil {
		return err
	}
	v[variable].Store(&value)
	return nil
}
