package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nightshift/runner/engine/script"
	"nightshift/schema"
	"nightshift/spec"
)

// variable is an input or an output that the author of code declares.
type variable struct {
	name, typ string
	value     *spec.Template // of an input
	out       int            // of an output
}

// compileCodeExecution runs JavaScript. Both ways of the platform are there: the
// code has each input as a variable, and assigns the outputs to variables of their
// names; or it has a function of the name in function_name (main), which is called
// with one object of the inputs and returns one of the outputs. What the code
// assigns itself comes first: the function is called only where the code has not
// assigned all outputs.
//
// Inputs are those of input_schema; processed_inputs gives values to those without
// one, and may name others, of any type.
func compileCodeExecution(s *setup) step {
	s.refuseOtherLanguages()
	code := s.code()
	function, _ := s.spec.Inputs["function_name"].(string)
	if function == "" {
		function = "main"
	} else if !functionName().MatchString(function) {
		s.refuse("function_name", "function_name must be the name of a function, such as main")
	}
	inputs, outputs := s.declaredInputs(), s.declaredOutputs()
	made := script.Call{Name: "code", Code: code, Function: function, Variables: true, Outputs: []string{}}
	for _, o := range outputs {
		made.Outputs = append(made.Outputs, o.name)
	}
	all, scripts := s.out("outputs"), s.engine.scripts
	return func(c *call) error {
		made := made
		made.Inputs = make(map[string]any, len(inputs))
		for _, in := range inputs {
			v, err := ofType(in.value.Value(c.get), in.typ)
			if err != nil {
				return fmt.Errorf("input %q: %w", in.name, err)
			}
			made.Inputs[in.name] = v
		}
		values, err := scripts.Run(c.ctx, made)
		if err != nil {
			return err
		}
		for _, o := range outputs {
			if values[o.name], err = ofType(values[o.name], o.typ); err != nil {
				return fmt.Errorf("output %q: %w", o.name, err)
			}
		}
		c.set(all, string(spec.AppendJSON(nil, values)))
		for _, o := range outputs {
			c.set(o.out, values[o.name])
		}
		return nil
	}
}

var functionName = spec.Pattern(`^[\p{L}_$][\p{L}\p{N}_$]*$`)

func (s *setup) refuseOtherLanguages() {
	const instead = "code in Python runs on the platform only; write it in JavaScript (language: 1), or run the batch with backend: vectorshift"
	language, ok := s.in("language").literal()
	switch word := strings.ToLower(strings.TrimSpace(spec.Text(language))); {
	case !ok:
		s.refuse("language", "language must be written out: 1 for JavaScript")
	case slices.Contains([]string{"1", "javascript", "js"}, word):
	case s.spec.Inputs["language"] == nil:
		s.refuse("", "language is left out, and then it is Python: %s", instead)
	case slices.Contains([]string{"0", "python", "python3", "py"}, word):
		s.refuse("language", "%s", instead)
	default:
		s.refuse("language", "language %s is not known%s; it is 1 (javascript) or 0 (python, on the platform only)", quote(language), schema.DidYouMean(word, []string{"javascript", "python"}))
	}
}

// code gives the text that is to be run, which is looked through for mistakes.
func (s *setup) code() string {
	for ref := range s.bind(s.spec.Inputs["code"]).Refs() {
		name := cmp.Or(functionName().FindString(ref.Output), "x")
		s.refuse("code", "code cannot hold references, as a value could become a part of the program; pass it as an input, which the code has as a variable: input_schema: [{name: %s, type: string, value: \"{{ %s.%s }}\"}]",
			name, ref.Node, ref.Output)
		return ""
	}
	code := spec.Text(s.spec.Inputs["code"])
	if len(s.problems) == 0 { // of another language it would be one mistake after the other
		err := s.engine.scripts.Check(context.Background(), "code", code)
		if mistake, ok := errors.AsType[*script.SyntaxError](err); ok {
			s.problems = append(s.problems, s.spec.ProblemInside("code", mistake.Line, mistake.Column, "%v", err))
		} else if err != nil {
			s.refuse("code", "%v", err)
		}
	}
	return code
}

// declaredInputs are those of input_schema, then those of processed_inputs.
func (s *setup) declaredInputs() []variable {
	values, _ := s.spec.Inputs["processed_inputs"].(map[string]any)
	if _, given := s.spec.Inputs["processed_inputs"]; given && values == nil {
		s.refuse("processed_inputs", "processed_inputs must be written out, as {name: value}")
	}
	inputs := s.declared("input_schema", func(v *variable, fields map[string]any) {
		value, given := fields["value"]
		if !given {
			value, given = values[v.name]
		}
		if !given {
			s.refuse("input_schema", "input %q has no value", v.name)
		}
		v.value = s.typed(v.name, v.typ, value)
		if literal, ok := v.value.Literal(); ok {
			if _, err := ofType(literal, v.typ); err != nil {
				s.refuse("input_schema", "input %q: %v", v.name, err)
			}
		}
	})
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.ContainsFunc(inputs, func(v variable) bool { return v.name == name }) {
			inputs = append(inputs, variable{name: name, typ: "any", value: s.typed(name, "any", values[name])})
		}
	}
	return inputs
}

// declaredOutputs are those of output_schema, then those of processed_outputs,
// which is a map of types by name.
func (s *setup) declaredOutputs() []variable {
	types, _ := s.spec.Inputs["processed_outputs"].(map[string]any)
	if _, given := s.spec.Inputs["processed_outputs"]; given && types == nil {
		s.refuse("processed_outputs", "processed_outputs must be written out, as {name: type}")
	}
	outputs := s.declared("output_schema", func(v *variable, fields map[string]any) {
		if text, _ := types[v.name].(string); fields["type"] == nil && text != "" {
			v.typ = s.valueType("processed_outputs", v.name, text)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if !slices.ContainsFunc(outputs, func(v variable) bool { return v.name == name }) {
			outputs = append(outputs, variable{name: name, typ: s.valueType("processed_outputs", name, spec.Text(types[name]))})
		}
	}
	for i := range outputs {
		outputs[i].out = s.out(outputs[i].name)
		if outputs[i].name == "complete" {
			s.refuse("output_schema", "an output cannot be called complete: the node has one of its own")
		}
	}
	if len(outputs) == 0 {
		s.refuse("", "the code has no outputs; declare them: output_schema: [{name: output_1, type: string}]")
	}
	return outputs
}

// declared reads a list of {name, type}; more completes each.
func (s *setup) declared(input string, more func(v *variable, fields map[string]any)) []variable {
	value := s.spec.Inputs[input]
	list, ok := value.([]any)
	if value != nil && !ok {
		s.refuse(input, "%s must be written out, as [{name: ..., type: ...}]", input)
	}
	var all []variable
	for i, item := range list {
		fields, _ := item.(map[string]any)
		v := variable{name: spec.Text(fields["name"])}
		switch {
		case v.name == "" || strings.Contains(v.name, "{{"):
			s.refuse(input, "%s[%d] is not {name: ..., type: ...}", input, i)
			continue
		case slices.ContainsFunc(all, func(other variable) bool { return other.name == v.name }):
			s.refuse(input, "%q is there twice", v.name)
			continue
		}
		v.typ = s.valueType(input, v.name, spec.Text(fields["type"]))
		more(&v, fields)
		all = append(all, v)
	}
	return all
}

// typed parses a value that stands for a type; in batch mode a call finds in it
// what is there for its element. One of any type gets the elements of a list, too:
// json is the type for those that are to stay whole.
func (s *setup) typed(name, typ string, value any) *spec.Template {
	if s.batch == nil {
		return s.bind(value)
	}
	if typ == "any" {
		typ = "string"
	}
	return s.batch.spread(s, typ, name, value)
}

// otherNames are names of types in the platform's editor, and in the languages that
// code is written in.
var otherNames = map[string]string{
	"": "any", "text": "string", "str": "string", "integer": "int32", "int": "int32", "int64": "int32", "decimal": "float", "number": "float", "double": "float",
	"boolean": "bool", "dict": "json", "object": "json", "array": "vec<any>", "list": "vec<any>", "list of text": "vec<string>",
}

// valueTypes are the types of variables, beside vec<...> of them.
var valueTypes = []string{"string", "int32", "float", "bool", "timestamp", "json", "any"}

// valueType reads the type of a variable.
func (s *setup) valueType(input, name, typ string) string {
	read, ok := readType(typ)
	if !ok {
		s.refuse(input, "%q: type %s is not known to code%s; types are %s, and vec<...> of one of them",
			name, quote(typ), schema.DidYouMean(typ, valueTypes), strings.Join(valueTypes, ", "))
	}
	return read
}

func readType(typ string) (string, bool) {
	typ = strings.ToLower(strings.TrimSpace(typ))
	if other, ok := otherNames[typ]; ok {
		typ = other
	}
	for start, end := range map[string]string{"vec<": ">", "list<": ">", "list[": "]"} {
		if inner, ok := strings.CutPrefix(typ, start); ok && strings.HasSuffix(inner, end) {
			inner, ok = readType(strings.TrimSuffix(inner, end))
			return "vec<" + inner + ">", ok
		}
	}
	if strings.HasPrefix(typ, "map<") {
		return "json", true
	}
	return typ, slices.Contains(valueTypes, typ)
}

// ofType gives a value the type of a variable. What is null stays it, whatever
// the type.
func ofType(v any, typ string) (any, error) {
	inner, isList := element(typ)
	switch {
	case v == nil || typ == "any":
		return v, nil
	case isList:
		return eachItem(v, func(item any) (any, error) { return ofType(item, inner) })
	case typ == "json":
		return published(v, "json")
	}
	return spec.Convert(v, typ)
}
