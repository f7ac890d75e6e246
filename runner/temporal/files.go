package temporal

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"

	"nightshift/runner"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// rememberedFiles is how many paths are known to be in the store: one that many items
// name is put there once, or nearly so, and memory does not grow with the items.
const rememberedFiles = 1000

// files puts the files into the store that a pipeline and the inputs of runs name, for
// workers on machines that do not have them. A file that cannot be read is left out: who
// needs it says so.
type files struct {
	store  *store.Store
	prefix string // key of what they belong to
	file   *spec.File
	dir    string            // that paths are relative to
	typed  map[string]string // inputs of the pipeline that are files: name to type
	put    map[string]bool   // by path
}

func newFiles(file *spec.File, s *store.Store, prefix string) *files {
	f := &files{store: s, prefix: prefix, file: file, dir: filepath.Dir(file.Path), typed: map[string]string{}, put: map[string]bool{}}
	for _, in := range file.Pipeline.InputNodes() {
		if spec.IsFileType(in.Type) {
			f.typed[in.Name] = in.Type
		}
	}
	return f
}

// ofPipeline puts those that nodes name.
func (f *files) ofPipeline(ctx context.Context) error {
	for p := range f.file.Pipeline.All() {
		for _, n := range p.Nodes {
			for _, name := range n.InputNames {
				typed := spec.IsFileType(n.InputType(name)) || n.Type == "input" && name == "default_value" && isFileInput(n)
				if err := f.of(ctx, n.Inputs[name], typed); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func isFileInput(n *spec.Node) bool {
	typ, _ := n.Inputs["input_type"].(string)
	return spec.IsFileType(typ)
}

// ofInputs puts those that the inputs of a run name.
func (f *files) ofInputs(ctx context.Context, in runner.Inputs) error {
	for name := range f.typed {
		if err := f.of(ctx, in[name], true); err != nil {
			return err
		}
	}
	return nil
}

// of puts the files that a value names: with {file: path} or, where files are meant,
// the text of a path.
func (f *files) of(ctx context.Context, v any, typed bool) error {
	if path, named, err := spec.NamedFile(v); named && err == nil {
		return f.one(ctx, path)
	}
	switch v := v.(type) {
	case string:
		if typed {
			return f.one(ctx, strings.TrimSpace(v))
		}
	case []any:
		for _, item := range v {
			if err := f.of(ctx, item, typed); err != nil {
				return err
			}
		}
	case map[string]any:
		if spec.IsFile(v) {
			return nil
		}
		for _, member := range v {
			if err := f.of(ctx, member, typed); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *files) one(ctx context.Context, path string) error {
	if path == "" || f.put[path] || strings.Contains(path, "{{") {
		return nil
	}
	data, ok := f.read(path)
	if !ok {
		return nil
	}
	if len(f.put) >= rememberedFiles {
		clear(f.put)
	}
	f.put[path] = true
	return f.store.PutFile(ctx, f.prefix, path, bytes.NewReader(data))
}

func (f *files) read(path string) (data []byte, ok bool) {
	data, err := spec.ReadFile(path, f.dir, spec.MaxFile)
	return data, err == nil
}
