package temporal

import (
	"os"
	"path/filepath"
	"testing"

	"nightshift/runner"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// TestFiles: what inputs and nodes name is put into the store, as far as it is there;
// texts that are none stay texts.
func TestFiles(t *testing.T) {
	file := batchFileOf(t, `    one: {type: input, inputs: {input_type: file, use_default_value: true, default_value: default.txt}}
    many: {type: input, inputs: {input_type: vec<file>, use_default_value: true, default_value: []}}
    read: {type: file_to_text, inputs: {file: {file: manual.txt}}}
`)
	dir := filepath.Dir(file.Path)
	for _, name := range []string{"a.txt", "b.txt", "c.txt", "manual.txt", "text.txt", "default.txt"} {
		fine(t, os.WriteFile(filepath.Join(dir, name), []byte("this is "+name), 0o600))
	}
	s, err := store.Open(t.Context(), t.TempDir())
	fine(t, err)
	defer s.Close()
	const prefix = "runs/run-1"
	f := newFiles(file, s, prefix)
	fine(t, f.ofPipeline(t.Context()))
	fine(t, f.ofInputs(t.Context(), runner.Inputs{
		"in": "text.txt", "one": " a.txt ", "many": []any{map[string]any{"file": "b.txt"}, filepath.Join(dir, "c.txt"), "gone.txt", spec.FileValue("x", nil), nil},
	}))
	for path, there := range map[string]bool{
		"a.txt": true, "b.txt": true, filepath.Join(dir, "c.txt"): true, "manual.txt": true, "default.txt": true, "text.txt": false, "gone.txt": false,
	} {
		data, err := s.File(t.Context(), prefix, path)
		want(t, path+" is there", err == nil, there)
		if there {
			want(t, path, string(data), "this is "+filepath.Base(path))
		}
	}
}

// TestFilesOfMany: a path is remembered, and how many are does not grow.
func TestFilesOfMany(t *testing.T) {
	file := batchFileOf(t, "    one: {type: input, inputs: {input_type: file, use_default_value: true, default_value: b.txt}}\n")
	path := filepath.Join(filepath.Dir(file.Path), "a.txt")
	fine(t, os.WriteFile(path, nil, 0o600))
	s, err := store.Open(t.Context(), t.TempDir())
	fine(t, err)
	f := newFiles(file, s, "runs/run-1")
	fine(t, f.ofInputs(t.Context(), runner.Inputs{"one": path}))
	fine(t, s.Close())
	fine(t, f.ofInputs(t.Context(), runner.Inputs{"one": path})) // or it could not be put
	for i := range rememberedFiles {
		f.put[string(rune(i))] = true
	}
	s, err = store.Open(t.Context(), t.TempDir())
	fine(t, err)
	defer s.Close()
	f.store = s
	fine(t, f.ofInputs(t.Context(), runner.Inputs{"one": "a.txt"}))
	want(t, "remembered", len(f.put), 1)
}
