package vectorshift

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"nightshift/runner"
)

// maxFile is the most that a file may have that is sent along, in bytes.
const maxFile = 25 << 20

// encodeInputs gives the values of inputs the form of the wire: an object is
// {"type": "map", "items": {...}}, at any depth. Where an input is of a type of
// files, {file: path} is the file itself; paths are relative to dir. What has the
// form of the wire stays as it is. Errors are *runner.InputError.
func encodeInputs(in map[string]any, types map[string]string, dir string) (map[string]any, error) {
	wire := make(map[string]any, len(in))
	for name, value := range in {
		encoded, err := encode(plain(value), takesFiles(types[name]), dir)
		if err != nil {
			return nil, &runner.InputError{Err: fmt.Errorf("input %s: %w", name, err)}
		}
		wire[name] = encoded
	}
	return wire, nil
}

// takesFiles tells whether values of a type are files, or lists of them.
func takesFiles(typ string) bool {
	switch strings.TrimRight(strings.ReplaceAll(typ, "vec<", ""), ">") {
	case "file", "image", "audio":
		return true
	}
	return false
}

func encode(v any, files bool, dir string) (any, error) {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			encoded, err := encode(item, files, dir)
			if err != nil {
				return nil, err
			}
			list[i] = encoded
		}
		return list, nil
	case map[string]any:
		if path, ok := v["file"]; ok && files {
			return encodeFile(path, len(v), dir)
		}
		if isFile(v) {
			return v, nil
		}
		if _, ok := items(v); ok {
			return v, writable(v)
		}
		members := make(map[string]any, len(v))
		for key, member := range v {
			encoded, err := encode(member, false, dir)
			if err != nil {
				return nil, err
			}
			members[key] = encoded
		}
		return map[string]any{"type": "map", "items": members}, nil
	case nil, bool, string:
		return v, nil
	}
	return v, writable(v)
}

// writable finds what JSON cannot hold: numbers that are none, functions.
func writable(v any) error {
	if _, err := json.Marshal(v); err != nil {
		return fmt.Errorf("it cannot be written as JSON: %w", err)
	}
	return nil
}

// items gives the members of an object that has the form of the wire.
func items(v map[string]any) (map[string]any, bool) {
	members, ok := v["items"].(map[string]any)
	return members, ok && v["type"] == "map" && len(v) == 2
}

func isFile(v map[string]any) bool {
	_, ok := v["raw_bytes"].(string)
	return ok && v["type"] == "file"
}

func encodeFile(path any, members int, dir string) (any, error) {
	name, ok := path.(string)
	if !ok || name == "" || members != 1 {
		return nil, errors.New("a file is given as {file: path}")
	}
	data, err := readFile(name, dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the file %s: %w", name, err)
	}
	return map[string]any{
		"type": "file", "raw_bytes": base64.StdEncoding.EncodeToString(data),
		"metadata": map[string]any{"name": filepath.Base(name), "path": name, "mime_type": mimeType(name, data)},
	}, nil
}

func readFile(path, dir string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, reason(err)
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case !info.Mode().IsRegular(): // a pipe would be waited for
		return nil, errors.New("it is no file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, reason(err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("it has more than %d MB, which is as much as is sent", maxFile>>20)
	}
	return data, nil
}

// reason is an error of a file without its name, which is said already.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// mimeType tells by the bytes what pictures and PDFs are, as their names are often
// wrong, and by the ending of the name what the rest is.
func mimeType(name string, data []byte) string {
	seen := http.DetectContentType(data)
	if !strings.HasPrefix(seen, "image/") && seen != "application/pdf" {
		seen = cmp.Or(mime.TypeByExtension(filepath.Ext(name)), seen)
	}
	kind, _, _ := strings.Cut(seen, ";")
	return kind
}

// decodeOutputs gives the outputs of a run as plain values: an object of the wire is
// a plain one again, at any depth, and all else stays. It is nil where v is no object.
func decodeOutputs(v any) map[string]any {
	outputs, _ := decode(v).(map[string]any)
	return outputs
}

func decode(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = decode(item)
		}
		return list
	case map[string]any:
		if members, ok := items(v); ok {
			v = members
		}
		plain := make(map[string]any, len(v))
		for key, member := range v {
			plain[key] = decode(member)
		}
		return plain
	}
	return v
}
