package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// TestWorkerReadsFiles: those that the client has sent along come first, then those of
// the working folder; a store that does not answer is no file that is missing.
func TestWorkerReadsFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("here.txt", []byte("of the worker"), 0o600); err != nil {
		t.Fatal(err)
	}
	const text = `version: 1
pipeline:
  name: reads
  nodes:
    in: {type: input, inputs: {input_type: file}}
    out: {type: output, inputs: {value: "{{ in.processed_text }}"}}
batches:
  a: {inputs: [{in: x.txt}]}
run: {backend: temporal}
`
	broken := errors.New("the store does not answer")
	files := func(path string) ([]byte, error) {
		switch path {
		case "sent.txt":
			return []byte("of the client"), nil
		case "broken.txt":
			return nil, broken
		}
		return nil, fmt.Errorf("no %s: %w", path, fs.ErrNotExist)
	}
	h, _ := hostOf(t, workerOptions{}, nil)
	file, problems := spec.Parse("/elsewhere/batch.yaml", []byte(text), spec.Options{})
	if file == nil {
		t.Fatal(problems)
	}
	opened, err := h.open(t.Context(), file, files)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Release()
	saved, err := opened.Backend.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"sent.txt": "of the client", "here.txt": "of the worker", "broken.txt": "does not answer", "none.txt": "cannot read the file none.txt: no such file or directory: it was not there"} {
		got := ""
		handle, err := opened.Backend.Start(t.Context(), saved.PipelineID, runner.Inputs{"in": map[string]any{"file": path}}, runner.StartOptions{})
		if err == nil {
			status, waitErr := opened.Backend.(runner.Waiter).Wait(t.Context(), handle)
			got, err = fmt.Sprint(status.Outputs["out"]), errors.Join(waitErr, status.Err)
		}
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestWorkerReadsItsOwnFolderOnly: links and .. do not lead a client to the rest of the disk.
func TestWorkerReadsItsOwnFolderOnly(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	t.Chdir(dir)
	for path, text := range map[string]string{filepath.Join(outside, "secret.txt"): "secret", "sub/here.txt": "here"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(outside, "out"), os.Symlink(filepath.Join(outside, "secret.txt"), "secret.txt"), os.Symlink("sub", "in")); err != nil {
		t.Fatal(err)
	}
	h, _ := hostOf(t, workerOptions{}, nil)
	back, err := filepath.Rel(h.dir, outside)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"sub/here.txt": "here", "./sub/../sub/here.txt": "here", "in/here.txt": "here", filepath.Join(h.dir, "sub/here.txt"): "here",
		filepath.Join(outside, "secret.txt"): "no such file", filepath.Join(back, "secret.txt"): "no such file",
		"secret.txt": "no such file", "out/secret.txt": "no such file", "../none": "no such file", "none.txt": "no such file",
		"sub": "it is a folder", "/dev/zero": "no such file",
	} {
		data, err := h.ownFile(path)
		got := string(data)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
