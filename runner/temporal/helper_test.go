package temporal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nightshift/spec"
)

func want(t *testing.T, what string, got, want any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func fine(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says looks for texts in an error.
func says(t *testing.T, what string, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s: no error", what)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q is not in %q", what, text, err)
		}
	}
}

// heard is what the user was told.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) say(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

// count counts the lines that hold a text.
func (h *heard) count(text string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(h.lines), func(line string) bool { return !strings.Contains(line, text) }))
}

var equateErrors = cmpopts.EquateErrors()

// batchFileOf reads a batch file with some more of a pipeline's nodes.
func batchFileOf(t *testing.T, more string) *spec.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "batch.yaml")
	fine(t, os.WriteFile(path, fmt.Appendf(nil, batchFile, more, 5), 0o600))
	file, problems := spec.Load(path, spec.Options{Env: noVariables})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return file
}

const batchFile = `version: 1
pipeline:
  name: p
  nodes:
    in: {type: input, inputs: {input_type: string}}
%s    out: {type: output, inputs: {output_type: string, value: "{{ in.text }}"}}
batches:
  b: {inputs: [{in: a}]}
run: {backend: temporal, concurrency: 16, temporal: {shard_size: %d}}
`

func noVariables(string) (string, bool) { return "", false }
