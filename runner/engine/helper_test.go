package engine

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// parsePipeline reads the nodes of a pipeline, written as in a batch file.
func parsePipeline(t testing.TB, nodes string) *spec.Pipeline {
	t.Helper()
	var text strings.Builder
	text.WriteString("version: 1\npipeline:\n  name: p\n  nodes:\n")
	for line := range strings.Lines(strings.Trim(nodes, "\n")) {
		text.WriteString("    " + strings.TrimLeft(line, "\t"))
	}
	text.WriteString("\nbatches: {b: {from: \"-\"}}\n")
	file, problems := spec.Parse("batch.yaml", []byte(text.String()), spec.Options{Env: func(string) (string, bool) { return "", false }})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatalf("the batch file of the test is wrong:\n%v\n%s", errs, text.String())
	}
	return file.Pipeline
}

// save saves a pipeline that must be right.
func save(t testing.TB, e *Engine, nodes string) (id string) {
	t.Helper()
	saved, err := e.Save(context.Background(), parsePipeline(t, nodes), runner.SaveOptions{})
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	return saved.PipelineID
}

// start starts a run that must start.
func start(t testing.TB, e *Engine, id string, in runner.Inputs) runner.Handle {
	t.Helper()
	h, err := e.Start(context.Background(), id, in, runner.StartOptions{})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	return h
}

// runNodes takes a pipeline from its text to the end of a run. The error is the
// message of a refused save, of a refused start or of the failed run.
func runNodes(t testing.TB, nodes string, in runner.Inputs) (map[string]any, error) {
	t.Helper()
	e := New(Options{AllowPrivateNetwork: true})
	defer e.http.CloseIdleConnections()
	saved, err := e.Save(context.Background(), parsePipeline(t, nodes), runner.SaveOptions{})
	if problems := (schema.Problems)(nil); errors.As(err, &problems) {
		return nil, errors.New(problems[0].Message)
	} else if err != nil {
		return nil, err
	}
	h, err := e.Start(context.Background(), saved.PipelineID, in, runner.StartOptions{})
	if err != nil {
		return nil, err
	}
	status, err := e.Wait(context.Background(), h)
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	return status.Outputs, status.Err
}

// asJSON shows values in failures, and compares them.
func asJSON(v map[string]any) string {
	if v == nil {
		return "none"
	}
	return string(spec.AppendJSON(nil, maps.Clone(v)))
}

// checkError compares the whole text of an error.
func checkError(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error: %v\n want: %s", err, want)
	}
}
