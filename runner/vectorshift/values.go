package vectorshift

import (
	"encoding/json"
	"fmt"
	"strings"

	"nightshift/runner"
	"nightshift/spec"
)

// encodeInputs gives the values of inputs the form of the wire: an object is
// {"type": "map", "items": {...}}, at any depth. Where an input is of a type of
// files, {file: path} (or {path: path}) is the file itself; paths are relative to dir. What has the
// form of the wire stays as it is. Errors are *runner.InputError.
func encodeInputs(in map[string]any, types map[string]string, dir string) (map[string]any, error) {
	wire := make(map[string]any, len(in))
	for name, value := range in {
		encoded, err := encode(plain(value), spec.IsFileType(types[name]), dir)
		if err != nil {
			return nil, &runner.InputError{Err: fmt.Errorf("input %s: %w", name, err)}
		}
		wire[name] = encoded
	}
	return wire, nil
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
		if name, named, err := spec.NamedFile(v); named && files {
			if err != nil {
				return nil, err
			}
			return encodeFile(name, dir)
		}
		if spec.IsFile(v) {
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

func encodeFile(name, dir string) (any, error) {
	data, err := spec.ReadFile(name, dir, spec.MaxFile)
	if err != nil {
		return nil, err
	}
	return spec.FileValue(name, data), nil
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

// languages are the numbers that the platform has for those of code.
var languages = map[string]json.Number{"python": "0", "py": "0", "javascript": "1", "js": "1"}

// onWire gives what a batch file says of an input in the platform's words.
func onWire(nodeType, input string, v any) any {
	if number, known := languages[strings.ToLower(strings.TrimSpace(text(v)))]; known && nodeType == "code_execution" && input == "language" {
		return number
	}
	return v
}
