package engine

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"nightshift/runner/engine/script"
	"nightshift/schema"
	"nightshift/spec"
)

// compileTransformation calls a function of a file beside the batch file, written
// in JavaScript, with one object of the other inputs of the node. What it returns
// is an object of the outputs; all that the pipeline refers to must be there.
func compileTransformation(s *setup) step {
	function := s.transformation()
	if len(s.problems) > 0 {
		return nil
	}
	name, code := filepath.Base(s.spec.CodeFile), s.spec.Code
	if err := s.engine.scripts.Check(context.Background(), name, code); err != nil {
		s.refuse("transformation", "%v", err)
		return nil
	}
	inputs := map[string]*spec.Template{}
	for _, name := range slices.Sorted(slices.Values(s.openInputs())) {
		inputs[name] = s.typed(name, "any", s.spec.Inputs[name])
	}
	outputs := s.outs()
	names := slices.Sorted(maps.Keys(outputs))
	made := script.Call{Name: name, Code: code, Function: function}
	scripts := s.engine.scripts
	return func(c *call) error {
		made := made
		made.Inputs = make(map[string]any, len(inputs))
		for name, in := range inputs {
			made.Inputs[name] = in.Value(c.get)
		}
		values, err := scripts.Run(c.ctx, made)
		if err != nil {
			return err
		}
		for _, name := range names {
			v, ok := spec.LookUp(values, name)
			if !ok {
				return fmt.Errorf("%s has not returned %q; it returned %s", function, name, strings.Join(slices.Sorted(maps.Keys(values)), ", "))
			}
			c.set(outputs[name], v)
		}
		return nil
	}
}

// transformation gives the name of the function that is meant: main by {file:
// clean.js}, rows by {file: clean.js, function: rows}.
func (s *setup) transformation() (function string) {
	const instead = "a saved transformation is written in Python and runs on the platform only; write it as a function main(inputs) in a file: transformation: {file: clean.js}"
	if _, old := s.spec.Inputs["transformation_id"]; old {
		s.refuse("transformation_id", "%s", instead)
		return ""
	}
	value, ok := s.spec.Inputs["transformation"]
	if _, literal := s.bind(value).Literal(); !literal {
		s.refuse("transformation", "transformation must be written out, as {file: clean.js}")
		return ""
	}
	fields, isMap := value.(map[string]any)
	file, named := fields["file"].(string)
	switch {
	case !ok || value == nil:
		s.refuse("", "the node has no transformation; write it as a function main(inputs) in a file: transformation: {file: clean.js}")
	case !isMap || fields["file"] == nil:
		s.refuse("transformation", "%s", instead)
	case !named || file == "":
		s.refuse("transformation", "transformation must be {file: PATH}, or {file: PATH, function: NAME}")
	case s.spec.CodeFile == "":
		s.refuse("transformation", "files are not read here, so %s cannot be", quote(file))
	}
	function = "main"
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		switch key {
		case "file":
		case "function":
			if function = spec.Text(fields[key]); !functionName().MatchString(function) {
				s.refuse("transformation", "function must be the name of a function, such as main")
			}
		default:
			if fields["file"] != nil {
				s.refuse("transformation", "transformation has no key %q%s; it is {file: PATH}, or {file: PATH, function: NAME}", key, schema.DidYouMean(key, []string{"file", "function"}))
			}
		}
	}
	return function
}
