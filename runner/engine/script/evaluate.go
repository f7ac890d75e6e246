package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"

	"nightshift/spec"
)

// unicodeProperty is found in regular expressions, where it would silently match
// nothing.
var unicodeProperty = spec.Pattern(`\\[pP]\{\w+(=\w+)?\}`)

// parse makes a program of a text. Comments that name source maps, which are
// files, are not followed.
func parse(name, code string) (*goja.Program, error) {
	if at := unicodeProperty().FindStringIndex(code); at != nil {
		before := code[:at[0]]
		line := strings.LastIndex(before, "\n") + 1
		return nil, &SyntaxError{
			Name: name, Line: strings.Count(before, "\n") + 1, Column: len([]rune(before[line:])) + 1,
			Message: fmt.Sprintf("properties of Unicode, as in %s, are not known to this engine; write the letters that are meant", code[at[0]:at[1]]),
		}
	}
	tree, err := parser.ParseFile(nil, name, code, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	program, err := goja.CompileAST(tree, false)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	return program, nil
}

// evaluation is one run of a script, in a world of its own.
type evaluation struct {
	request
	limits  Limits
	rt      *goja.Runtime
	globals map[string]goja.Value // that the inputs are
	values  map[string]goja.Value // of the outputs
}

// evaluate runs a program and gives its outputs as JSON.
func (l Limits) evaluate(program *goja.Program, r request) ([]byte, error) {
	rt := goja.New()
	rt.SetMaxCallStackSize(10_000)
	rt.SetParserOptions(parser.WithDisableSourceMaps)
	late := time.AfterFunc(l.Time, func() { rt.Interrupt("late") })
	defer late.Stop()

	e := &evaluation{request: r, limits: l, rt: rt, globals: map[string]goja.Value{}, values: map[string]goja.Value{}}
	encoder := newEncoder(rt, l.Answer) // before the script can change what it uses
	if err := e.run(program); err != nil {
		return nil, err
	}
	var problem error
	if err := e.try(func() { problem = e.encode(encoder) }); err != nil {
		return nil, err
	}
	if errors.Is(problem, errLong) {
		problem = l.errAnswer()
	}
	return encoder.out, problem
}

// try does something that may run code of the script, such as a getter.
func (e *evaluation) try(f func()) error {
	if thrown := e.rt.Try(f); thrown != nil {
		return e.limits.thrown(e.rt, e.Name, thrown)
	}
	return nil
}

// run does all but to give the outputs their form.
func (e *evaluation) run(program *goja.Program) error {
	nothing := func(goja.FunctionCall) goja.Value { return goja.Undefined() }
	console := e.rt.NewObject()
	for _, name := range []string{"log", "info", "warn", "error", "debug"} {
		if err := console.Set(name, nothing); err != nil {
			return err
		}
	}
	if err := e.rt.Set("console", console); err != nil {
		return err
	}
	fromJSON, _ := goja.AssertFunction(e.rt.Get("JSON").ToObject(e.rt).Get("parse"))
	parsed, err := fromJSON(goja.Undefined(), e.rt.ToValue(string(e.Inputs)))
	if err != nil {
		return e.limits.thrown(e.rt, e.Name, err)
	}
	inputs := parsed.ToObject(e.rt)
	if e.Variables {
		for _, name := range inputs.Keys() {
			v := inputs.Get(name)
			if err := e.rt.GlobalObject().DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE); err != nil {
				return fmt.Errorf("input %q: the language keeps this name to itself", name)
			}
			e.globals[name] = v
		}
	}
	if _, err := e.rt.RunProgram(program); err != nil {
		return e.limits.thrown(e.rt, e.Name, err)
	}
	if e.Variables && e.assigned() {
		return nil
	}
	function, ok := goja.AssertFunction(e.variable(e.Function))
	switch {
	case ok:
		return e.call(function, inputs)
	case e.Variables:
		return e.rest("is not assigned")
	}
	return fmt.Errorf("%s has no function %s, which is called with an object of the inputs and returns one of the outputs", e.Name, e.Function)
}

// assigned takes the outputs from variables. It tells whether the code assigned
// all of them: what an input was before is not an output yet.
func (e *evaluation) assigned() bool {
	all := true
	for _, name := range e.Outputs {
		v := e.variable(name)
		if goja.IsUndefined(v) && len(e.Outputs) == 1 {
			v = e.variable("output") // as in the sample of the platform's documentation
		}
		if goja.IsUndefined(v) {
			all = false
			continue
		}
		if was, ok := e.globals[name]; ok && v.SameAs(was) {
			all = false
		}
		e.values[name] = v
	}
	return all
}

// rest is the error of outputs that there are not.
func (e *evaluation) rest(what string) error {
	for _, name := range e.Outputs {
		if _, ok := e.values[name]; !ok {
			return fmt.Errorf("output %q %s", name, what)
		}
	}
	return nil
}

// call has the function make the outputs.
func (e *evaluation) call(function goja.Callable, inputs *goja.Object) error {
	result, err := function(goja.Undefined(), inputs)
	if err != nil {
		return e.limits.thrown(e.rt, e.Name, err)
	}
	if promise, ok := result.Export().(*goja.Promise); ok {
		switch promise.State() {
		case goja.PromiseStatePending:
			return fmt.Errorf("%s returned a promise that is never kept: there is nothing to wait for here, as there are no timers and no network", e.Function)
		case goja.PromiseStateRejected:
			return fmt.Errorf("%s: %s", e.Name, describe(e.rt, promise.Result()))
		}
		result = promise.Result()
	}
	var problem error
	if err := e.try(func() { problem = e.returned(result) }); err != nil {
		return err
	}
	return problem
}

// returned takes the outputs from what the function returned.
func (e *evaluation) returned(result goja.Value) error {
	if e.Variables {
		e.assigned() // also by the function
	}
	missing := "is neither returned by " + e.Function + " nor assigned"
	object, ok := result.(*goja.Object)
	if ok = ok && object.ClassName() == "Object"; ok {
		if e.All {
			e.Outputs = object.Keys()
		}
		found := false
		e.Outputs = slices.DeleteFunc(e.Outputs, func(name string) bool {
			v := object.Get(name)
			if v == nil || goja.IsUndefined(v) {
				return e.All
			}
			e.values[name], found = v, true
			return false
		})
		if e.All || found {
			return e.rest(missing)
		}
	}
	switch {
	case goja.IsUndefined(result):
	case len(e.Outputs) == 1 && !e.All:
		e.values[e.Outputs[0]] = result
	case ok:
		return fmt.Errorf("%s returned an object without any of the outputs %s; it has %s", e.Function, strings.Join(e.Outputs, ", "), strings.Join(object.Keys(), ", "))
	default:
		return fmt.Errorf("%s must return an object of the outputs, but returned %s", e.Function, describe(e.rt, result))
	}
	if e.All {
		return fmt.Errorf("%s returned nothing; it must return an object of the outputs", e.Function)
	}
	return e.rest(missing)
}

var identifier = spec.Pattern(`^[\p{L}_$][\p{L}\p{N}_$]*$`)

// variable reads a global variable; undefined where there is none. Those that
// were made by let and const are no members of the global object.
func (e *evaluation) variable(name string) (v goja.Value) {
	v = goja.Undefined()
	if !identifier().MatchString(name) {
		return v
	}
	program, err := parse("", "typeof "+name+" === 'undefined' ? undefined : "+name)
	if err != nil {
		return v // a word of the language
	}
	if read, err := e.rt.RunProgram(program); err == nil {
		v = read
	}
	return v
}

// encode writes the outputs as a JSON object.
func (e *evaluation) encode(to *encoder) error {
	to.out = append(to.out, '{')
	names := slices.Clone(e.Outputs)
	slices.Sort(names)
	for i, name := range slices.Compact(names) {
		if i > 0 {
			to.out = append(to.out, ',')
		}
		to.out = append(spec.AppendJSON(to.out, name), ':')
		to.path = append(to.path[:0], step{name: fmt.Sprintf("output %q", name)})
		if err := to.value(e.values[name], 0); err != nil {
			return err
		}
	}
	to.out = append(to.out, '}')
	return nil
}
