package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"nightshift/runner"
	"nightshift/spec"
)

// file is a file whose content a node works with. Between nodes it is the plain
// value of spec.FileValue.
type file struct {
	name string // its path where that is known
	mime string
	data []byte
}

// decodeFile gives the content of the plain value of a file.
func decodeFile(v map[string]any) (file, error) {
	metadata, _ := v["metadata"].(map[string]any)
	raw, _ := v["raw_bytes"].(string)
	f := file{name: fileName(v)}
	if base64.StdEncoding.DecodedLen(len(raw)) > spec.MaxFile+3 {
		return f, fmt.Errorf("the file %s has more than %d MB, which is the most that is read", f.name, spec.MaxFile>>20)
	}
	var err error
	if f.data, err = base64.StdEncoding.DecodeString(raw); err != nil {
		return f, fmt.Errorf("raw_bytes of the file %s is not base64: %w", f.name, err)
	}
	f.mime = spec.MIMEType(f.name, f.data)
	if said, _ := metadata["mime_type"].(string); said != "" && path.Ext(f.name) == "" {
		f.mime, _, _ = strings.Cut(strings.ToLower(said), ";")
	}
	return f, nil
}

// fileName is the name of a file, without the folders; "file" where it has none.
func fileName(v map[string]any) string {
	metadata, _ := v["metadata"].(map[string]any)
	for _, key := range []string{"name", "path"} {
		if name, _ := metadata[key].(string); name != "" {
			return path.Base(strings.ReplaceAll(name, `\`, "/"))
		}
	}
	return "file"
}

// authorsFile is the path of a file in an input of a node, where the batch file itself
// says so. No node makes a value of this type: what a model wrote never opens a file.
type authorsFile string

// fileInput is an input that takes a file, or a list of files.
type fileInput struct {
	input
	disk disk
}

// fileIn gives an input that takes files. {file: path} and the text of a path stand
// for a file only where they are written out, with no reference in them.
func (s *setup) fileIn(name string) fileInput {
	value := s.authorsFiles(name, s.spec.Inputs[name], s.spec.InputType(name) == "image")
	return fileInput{input{name: name, template: s.elements(name, value)}, s.engine.disk}
}

// authorsFiles marks what in the value of an input is the path of a file.
func (s *setup) authorsFiles(input string, v any, addresses bool) any {
	if list, ok := v.([]any); ok {
		list = slices.Clone(list)
		for i, item := range list {
			list[i] = s.authorsFiles(input, item, addresses)
		}
		return list
	}
	path, named, err := spec.NamedFile(v)
	text, isText := v.(string)
	if isText {
		path, named = strings.TrimSpace(text), true
	}
	template := spec.ParseTemplate(path)
	_, literal := template.Literal()
	_, whole := template.Whole()
	switch {
	case v == nil, isText && whole, addresses && isText && isAddress(text), spec.IsFile(v):
		return v
	case err != nil:
		s.refuse(input, "input %q: %v", input, err)
	case !literal:
		s.refuse(input, "input %q: the path of a file is written out here; one that differs from run to run comes as an input of type file", input)
	case !named || path == "":
		s.refuse(input, "input %q: %s is not a file: give {file: path}, or refer to one", input, quote(v))
	case isAddress(path):
		s.refuse(input, "input %q: %s; read it with a url_loader node", input, notAPath(path))
	default:
		s.program.needs.Files = union(s.program.needs.Files, []string{path})
		if err := s.engine.disk.look(context.Background(), path); errors.Is(err, fs.ErrNotExist) {
			s.refuse(input, "input %q: there is no file %s", input, path)
		}
		return authorsFile(path)
	}
	return v
}

func isAddress(text string) bool {
	scheme, _, found := strings.Cut(strings.ToLower(strings.TrimSpace(text)), ":")
	return found && (scheme == "http" || scheme == "https" || scheme == "data")
}

func notAPath(address string) string {
	return quote(address) + " is an address, not the path of a file"
}

// value gives the plain value of a file, which is not looked into.
func (in fileInput) value(c *call) (map[string]any, error) {
	f, err := openValue(c.ctx, in.input.value(c), in.disk)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.name, err)
	}
	return f, nil
}

// file gives a file with its content.
func (in fileInput) file(c *call) (file, error) {
	v, err := in.value(c)
	if err != nil {
		return file{}, err
	}
	f, err := decodeFile(v)
	if err != nil {
		return file{}, fmt.Errorf("input %q: %w", in.name, err)
	}
	return f, nil
}

// list gives the plain values of a list of files; one file is a list of one.
func (in fileInput) list(c *call) ([]map[string]any, error) {
	v := in.input.value(c)
	if _, one := v.(authorsFile); one || spec.IsFile(v) {
		v = []any{v}
	}
	list, err := toList(v)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.name, err)
	}
	files := make([]map[string]any, len(list))
	for i, item := range list {
		if files[i], err = openValue(c.ctx, item, in.disk); err != nil {
			return nil, fmt.Errorf("input %q: element %d: %w", in.name, i, err)
		}
	}
	return files, nil
}

// openValue gives the plain value of a file; one that the author named is read.
func openValue(ctx context.Context, v any, from disk) (map[string]any, error) {
	if path, ok := v.(authorsFile); ok {
		return from.open(ctx, string(path))
	}
	if spec.IsFile(v) {
		return v.(map[string]any), nil
	}
	if text, ok := v.(string); ok {
		return nil, fmt.Errorf("%s is text, not a file: a path is read only where the batch file or an input of type file gives it, and text_to_file makes a file of text", quote(text))
	}
	return nil, fmt.Errorf("%s is not a file; one is {type: file, raw_bytes: ..., metadata: ...}, or {file: path} where a run is given it", quote(v))
}

// withFiles gives the inputs of a run that was asked for from outside, with the files
// that they name looked up: {file: path}, or the text of a path. They are read by the
// input nodes. The inputs themselves are not changed. A run that a node starts takes no
// paths.
func (p *program) withFiles(ctx context.Context, in runner.Inputs, from disk) (runner.Inputs, error) {
	var named runner.Inputs
	for _, input := range p.inputs {
		v := in[input.Name]
		if v == nil || !spec.IsFileType(input.Type) {
			continue
		}
		v, err := spec.Convert(v, input.Type)
		if err == nil {
			v, err = takeFiles(v, input.Type, func(v any) (any, error) { return takeFile(ctx, v, input.Type, from) })
		}
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", input.Name, err)
		}
		if named == nil {
			named = maps.Clone(in)
		}
		named[input.Name] = v
	}
	if named == nil {
		return in, nil
	}
	return named, nil
}

// takeFiles applies take to each file of a value of a type of files.
func takeFiles(v any, typ string, take func(any) (any, error)) (any, error) {
	inner, isList := element(typ)
	if !isList {
		return take(v)
	}
	return eachItem(v, func(item any) (any, error) { return takeFiles(item, inner, take) })
}

// openFiles gives a value of a type of files as another run takes it: what the author
// named is read there. What came from a node is no path; of an image it may be an
// address.
func openFiles(v any, typ string, from disk) (any, error) {
	return takeFiles(v, typ, func(v any) (any, error) {
		if path, ok := v.(authorsFile); ok {
			return v, from.look(context.Background(), string(path))
		}
		return openOne(context.Background(), v, typ, from)
	})
}

// openOne gives a file of a type as nodes work with it: its plain value or, of an
// image, its address.
func openOne(ctx context.Context, v any, typ string, from disk) (any, error) {
	if text, ok := v.(string); ok && typ == "image" && isAddress(text) {
		return v, nil
	}
	return openValue(ctx, v, from)
}

// takeFile looks up what the one who asks for a run names.
func takeFile(ctx context.Context, v any, typ string, from disk) (any, error) {
	path, named, err := spec.NamedFile(v)
	if text, ok := v.(string); ok {
		path, named = strings.TrimSpace(text), true
	}
	switch {
	case err != nil:
		return nil, err
	case !named:
		return openValue(ctx, v, from)
	case path == "":
		return nil, errors.New("the path of the file is empty")
	case isAddress(path) && typ == "image":
		return v, nil
	case isAddress(path):
		return nil, fmt.Errorf("%s; give it as text, and read it with a url_loader node", notAPath(path))
	}
	return authorsFile(path), from.look(ctx, path)
}
