package engine

import (
	"fmt"
	"sync"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// saveText saves the pipeline of a text, as it stands in a batch file.
func saveText(t *testing.T, e *Engine, pipeline string) (id string) {
	t.Helper()
	text := "version: 1\nbatches: {b: {from: \"-\"}}\npipeline:\n" + pipeline
	file, problems := spec.Parse("batch.yaml", []byte(text), spec.Options{})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs)
	}
	saved, err := e.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return saved.PipelineID
}

// TestVariablesOfRuns: every run begins with the first values, whatever other runs
// set.
func TestVariablesOfRuns(t *testing.T) {
	e := New(Options{})
	id := saveText(t, e, `
  name: p
  variables: {last: nobody}
  nodes:
    in: {type: input}
    set: {type: set_variable, inputs: {variable_id: last, value: "{{ last }}, {{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ last }}", dependencies: ["{{ set.complete }}"]}}
`)
	var runs sync.WaitGroup
	for i := range 50 {
		runs.Go(func() {
			status := wait(t, e, start(t, e, id, runner.Inputs{"in": fmt.Sprint(i)}))
			if want := fmt.Sprint("nobody, ", i); status.Outputs["out"] != want {
				t.Errorf("%v, %v, not %s", status.Outputs, status.Err, want)
			}
		})
	}
	runs.Wait()
}

// TestVariableIsReadWhileItIsSet by nodes in other goroutines, which see the one value
// or the other; the race detector looks on.
func TestVariableIsReadWhileItIsSet(t *testing.T) {
	e := New(Options{})
	id := saveText(t, e, `
  name: p
  variables: {time: 0}
  nodes:
    in: {type: input}
    a: {type: wait_node, inputs: {wait_time: "{{ time }}", wait_time_type: nanos}}
    b: {type: wait_node, inputs: {wait_time: "{{ time }}", wait_time_type: nanos}}
    set: {type: set_variable, inputs: {variable_id: time, value: 1}}
    out: {type: output, inputs: {output_type: int32, value: "{{ time }}", dependencies: ["{{ set.complete }}"]}}
`)
	for range 20 {
		if status := wait(t, e, start(t, e, id, runner.Inputs{"in": "x"})); fmt.Sprint(status.Outputs["out"]) != "1" {
			t.Fatalf("%v, %v", status.Outputs, status.Err)
		}
	}
}

// TestVariableThatIsNotDeclared: an override is held against what is declared, too.
func TestVariableThatIsNotDeclared(t *testing.T) {
	e := New(Options{})
	id := saveText(t, e, `
  name: p
  variables: {tone: dry}
  nodes:
    set: {type: set_variable, inputs: {variable_id: tone, value: warm}}
    out: {type: output, inputs: {value: "{{ tone }}", dependencies: ["{{ set.complete }}"]}}
`)
	_, err := e.Start(t.Context(), id, nil, runner.StartOptions{NodeInputOverrides: map[string]any{"set.variable_id": "other"}})
	checkError(t, err, `with node_input_overrides: batch.yaml:8:53: the pipeline declares no variable "other"`)
}
