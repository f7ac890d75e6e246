package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// Of the files that a run is started with it keeps what is referred to, and no more.
func TestRunsKeepLittleOfTheirFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	content := map[string]any{"type": "file", "raw_bytes": "aGk=", "metadata": map[string]any{"name": "b.txt"}}
	e := New(Options{Dir: dir})
	for _, c := range []struct {
		typ, refers string
		in          any
		kept        map[string]any
	}{
		{"file", "{{ in.file_name }}", map[string]any{"file": "a.txt"}, map[string]any{"file_name": "a.txt"}},
		{"file", "{{ in.file_name }}", content, map[string]any{"file_name": "b.txt"}},
		{"file", "{{ in.processed_text }}", "a.txt", map[string]any{"file_name": "a.txt", "processed_text": "hello"}},
		{"file", "{{ in.file }}", "a.txt", map[string]any{"file_name": "a.txt", "file": spec.FileValue("a.txt", []byte("hello"))}},
		{"vec<file>", "{{ in.processed_texts }}", []any{"a.txt", content}, map[string]any{"processed_texts": []any{"hello", "hi"}}},
		{"vec<file>", "nothing", []any{"a.txt", content}, map[string]any{}},
	} {
		made := &compiler{engine: e, made: map[*spec.Pipeline]*compiler{}, pipeline: parsePipeline(t, `
			in: {type: input, inputs: {input_type: `+c.typ+`}}
			list: {type: create_list, inputs: {list: ["`+c.refers+`"]}}
		`)}
		if made.compile(); made.problems != nil {
			t.Fatal(made.problems)
		}
		g := made.program
		in, err := g.withFiles(t.Context(), runner.Inputs{"in": c.in}, e.disk)
		if err != nil {
			t.Fatal(err)
		}
		r, err := newRun(g, in)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.nodes(); err != nil {
			t.Fatal(err)
		}
		kept := map[string]any{}
		for name, at := range made.slots {
			if v := r.values[at.slot]; name[0] == "in" && name[1] != "complete" && v != nil {
				kept[name[1]] = v
			}
		}
		same(t, c.typ+" "+c.refers, kept, c.kept)
	}
}

// A file whose content nobody asks for is not read.
func TestFilesAreNotReadForTheirNames(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	e := New(Options{Dir: dir})
	id := save(t, e, `
		in: {type: input, inputs: {input_type: file}}
		out: {type: output, inputs: {value: "{{ in.file_name }}"}}
	`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if status := wait(t, e, start(t, e, id, runner.Inputs{"in": "large"})); status.Err != nil || status.Outputs["out"] != "large" {
		t.Fatal(status)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("a run with a file of 20 MB takes %d bytes", n)
	}
}

func TestWorkIsGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	never := make(chan struct{})
	defer close(never)
	cancel()
	if _, err := aside(ctx, func() (int, error) { <-never; return 1, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if n, err := aside(t.Context(), func() (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// What is too large is refused where a run is started, as what is not there.
func TestFilesAreLookedUpFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "large"), spec.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	e := New(Options{Dir: dir})
	id := save(t, e, `
		in: {type: input, inputs: {input_type: file}}
		out: {type: output, inputs: {value: "{{ in.file_name }}"}}
	`)
	for name, want := range map[string]string{
		"none":  `cannot read the file none: no such file or directory`,
		".":     `cannot read the file .: it is a folder`,
		"large": `cannot read the file large: it has more than 25 MB, which is the most that is read`,
	} {
		_, err := e.Start(t.Context(), id, runner.Inputs{"in": name}, runner.StartOptions{})
		if _, ok := errors.AsType[*runner.InputError](err); !ok || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v\nwant: %s", err, want)
		}
	}
}
