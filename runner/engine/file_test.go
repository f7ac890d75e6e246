package engine

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// The inputs of a run stay what they were: results show paths, not content.
func TestInputsKeepTheirPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := New(Options{Dir: dir})
	inputs := runner.Inputs{"in": map[string]any{"file": "a.txt"}, "list": []any{"a.txt"}}
	status := runToEnd(t, e, `
		in: {type: input, inputs: {input_type: file}}
		list: {type: input, inputs: {input_type: vec<file>}}
		out: {type: output, inputs: {value: "{{ in.processed_text }} {{ in.file_name }} {{ list.processed_texts }}"}}
	`, inputs)
	same(t, "outputs", asJSON(status.Outputs), `{"out":"hello a.txt [\"hello\"]"}`)
	same(t, "inputs", asJSON(inputs), `{"in":{"file":"a.txt"},"list":["a.txt"]}`)
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(path("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int64{"large": spec.MaxFile + 1, "full": spec.MaxFile} {
		if err := os.WriteFile(path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path(name), size); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"none":   `cannot read the file none: no such file or directory`,
		"folder": `cannot read the file folder: it is a folder`,
		"pipe":   `cannot read the file pipe: it is no file`,
		"large":  `cannot read the file large: it has more than 25 MB, which is the most that is read`,
	} {
		_, err := disk{dir: dir}.open(t.Context(), name)
		checkError(t, err, want)
	}
	_, err := disk{}.open(t.Context(), "a")
	checkError(t, err, `files are not read here, so "a" cannot be; send {type: file, raw_bytes: ..., metadata: ...}`)
	full, err := disk{dir: dir}.open(t.Context(), path("full"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := decodeFile(full)
	if err != nil || len(f.data) != spec.MaxFile || f.mime != "application/octet-stream" {
		t.Errorf("a file of 25 MB: %d bytes, %s, %v", len(f.data), f.mime, err)
	}
	_, err = decodeFile(map[string]any{"type": "file", "raw_bytes": strings.Repeat("A", (spec.MaxFile+10)/3*4)})
	checkError(t, err, `the file file has more than 25 MB, which is the most that is read`)
}

// A file goes from node to node as it is: neither decoded nor copied.
func TestFilesAreNotCopied(t *testing.T) {
	raw := base64.StdEncoding.EncodeToString(make([]byte, 10<<20))
	e := New(Options{})
	id := save(t, e, `
		in: {type: input, inputs: {input_type: file}}
		a: {type: file, inputs: {file: "{{ in.file }}"}}
		b: {type: file, inputs: {file: "{{ a.file }}"}}
		c: {type: create_list, inputs: {type: file, list: ["{{ a.file }}", "{{ b.file }}"]}}
		out: {type: output, inputs: {output_type: vec<file>, value: "{{ c.output }}"}}
	`)
	in := runner.Inputs{"in": map[string]any{"type": "file", "raw_bytes": raw, "metadata": map[string]any{"name": "a.bin"}}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if status := wait(t, e, start(t, e, id, in)); status.Err != nil {
		t.Fatal(status.Err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("a run with a file of 10 MB takes %d bytes", n)
	}
}
