package engine

import "fmt"

// compileSetVariable gives a variable of the run another value, which has to be one of
// the type of its first value. The inputs variable_set and scope say on the platform
// which of several variables of a name is meant; a batch file has one of each name.
func compileSetVariable(s *setup) step {
	name, _ := s.spec.Inputs["variable_id"].(string)
	variable, ok := s.variable(name)
	if !ok {
		s.refuse("variable_id", "the pipeline declares no variable %q", name)
		return nil
	}
	value, first := s.in("value"), s.pipeline.Variables[name]
	return func(c *call) error {
		if err := c.run.variables.assign(variable, value.value(c), first); err != nil {
			return fmt.Errorf("input \"value\": %w", err)
		}
		return nil
	}
}
