package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// elsewhere has files, and keeps what was asked for. The disk has others of their names.
type elsewhere struct {
	mu    sync.Mutex
	files map[string][]byte
	asked []string
}

func (e *elsewhere) read(path string) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Contains(e.asked, path) {
		e.asked = append(e.asked, path)
	}
	data, there := e.files[path]
	if !there {
		return nil, fmt.Errorf("it was not sent along: %w", fs.ErrNotExist)
	}
	return data, nil
}

// With ReadFile no file is read from the disk, whoever names it; paths are as written.
func TestFilesAreReadElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	png := []byte("\x89PNG\r\n\x1a\n----------------")
	files := map[string][]byte{"item.txt": []byte("of an item"), "../two.txt": []byte("two"), "node.txt": []byte("of a node"), "./default.txt": []byte("a default"), "sub.txt": []byte("of a sub"), "p.png": png}
	for name := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte("of the disk"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := &elsewhere{files: files}
	for _, o := range []Options{{ReadFile: there.read}, {Dir: dir, ReadFile: there.read}} {
		there.asked = nil
		e := New(o)
		id := save(t, e, `
			in: {type: input, inputs: {input_type: file}}
			list: {type: input, inputs: {input_type: vec<file>}}
			with: {type: input, inputs: {input_type: file, use_default_value: true, default_value: ./default.txt}}
			picture: {type: input, inputs: {input_type: image}}
			read: {type: file_to_text, inputs: {file: {file: node.txt}}}
			out: {type: output, inputs: {value: "{{ in.processed_text }}, {{ list.processed_texts }}, {{ with.processed_text }}, {{ read.processed_text }}"}}
			shown: {type: output, inputs: {output_type: image, value: "{{ picture.image }}"}}
		`)
		status := wait(t, e, start(t, e, id, runner.Inputs{"in": map[string]any{"file": "item.txt"}, "list": []any{"item.txt", "../two.txt"}, "picture": "p.png"}))
		if status.Err != nil {
			t.Fatal(status.Err)
		}
		same(t, "out", status.Outputs["out"], `of an item, ["of an item","two"], a default, of a node`)
		same(t, "picture", status.Outputs["shown"], any(spec.FileValue("p.png", png)))
		slices.Sort(there.asked)
		same(t, "asked", there.asked, []string{"../two.txt", "./default.txt", "item.txt", "node.txt", "p.png"})
	}
}

// What is not there is told as of the disk: of an item where its run is started, of a
// node where the pipeline is checked.
func TestFilesThatAreNotElsewhere(t *testing.T) {
	t.Parallel()
	there := &elsewhere{files: map[string][]byte{"large": make([]byte, spec.MaxFile+1)}}
	e := New(Options{ReadFile: there.read})
	id := save(t, e, `
		in: {type: input, inputs: {input_type: file}}
		out: {type: output, inputs: {value: "{{ in.file_name }}"}}
	`)
	for name, want := range map[string]string{
		"none":  `cannot read the file none: it was not sent along: file does not exist`,
		"large": `cannot read the file large: it has more than 25 MB, which is the most that is read`,
	} {
		_, err := e.Start(t.Context(), id, runner.Inputs{"in": name}, runner.StartOptions{})
		if _, ok := errors.AsType[*runner.InputError](err); !ok || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v\nwant: %s", err, want)
		}
	}
	problems := e.Check(parsePipeline(t, `
		read: {type: file_to_text, inputs: {file: none.txt}}
		out: {type: output, inputs: {value: "{{ read.processed_text }}"}}
	`))
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "there is no file none.txt") {
		t.Error(problems)
	}
}

// TestFilesOfNodes: whoever runs a pipeline elsewhere is told what it names.
func TestFilesOfNodes(t *testing.T) {
	t.Parallel()
	there := &elsewhere{files: map[string][]byte{"a.txt": nil, "b.txt": nil, "c.txt": nil, "d.txt": nil}}
	p := parsePipeline(t, `
		with: {type: input, inputs: {input_type: file, use_default_value: true, default_value: a.txt}}
		read: {type: file_to_text, inputs: {file: b.txt}}
		again: {type: file_to_text, inputs: {file: {file: b.txt}}}
		send: {type: api, inputs: {url: "https://example.com", method: POST, files: [{key: k, value: {file: c.txt}}]}}
		out: {type: output, inputs: {value: "{{ with.processed_text }}{{ read.processed_text }}{{ again.processed_text }}{{ send.output }}"}}
	`)
	e := New(Options{ReadFile: there.read})
	same(t, "files", e.Needs(p).Files, []string{"a.txt", "b.txt", "c.txt"})
	changed, err := p.Override(map[string]any{"read.file": "d.txt"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "with an override", e.Needs(changed).Files, []string{"a.txt", "d.txt", "b.txt", "c.txt"})
	sub, _ := loadPipeline(t, `
		in: {type: input}
		sub: {type: pipeline, inputs: {pipeline: {file: sub.yaml}, f: a.txt}}
		out: {type: output, inputs: {value: "{{ sub.a }} {{ in.text }}"}}
	`, map[string]string{"sub.yaml": `
		f: {type: input, inputs: {input_type: file}}
		read: {type: file_to_text, inputs: {file: b.txt}}
		a: {type: output, inputs: {value: "{{ read.processed_text }} {{ f.processed_text }}"}}
	`})
	files := e.Needs(sub).Files
	slices.Sort(files)
	same(t, "of a pipeline within", files, []string{"a.txt", "b.txt"})
}
