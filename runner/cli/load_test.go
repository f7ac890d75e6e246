package cli

import (
	"testing"

	"nightshift/spec"
)

// TestOnePoolOfScripts: the engine that checks a file and the one that runs it have
// the same workers.
func TestOnePoolOfScripts(t *testing.T) {
	o := &fileOptions{env: func(string) (string, bool) { return "", false }}
	file := &spec.File{Path: "batch.yaml"}
	checks, runs := o.engine(file), (&target{fileOptions: o, file: file}).engine(file)
	if checks.Scripts == nil || checks.Scripts != runs.Scripts {
		t.Errorf("pools %p and %p", checks.Scripts, runs.Scripts)
	}
}
