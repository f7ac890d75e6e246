package engine

import (
	"context"
	"fmt"
	"slices"

	"nightshift/spec"
)

// inputTypes are the input types whose values have a plain form, and the outputs
// that hold them.
var inputTypes = map[string]string{
	"string": "text", "int32": "value", "float": "value", "bool": "value", "timestamp": "value",
	"vec<string>": "value", "vec<vec<string>>": "value",
	"file": "file", "image": "image", "audio": "audio", "vec<file>": "files", "vec<vec<file>>": "value",
}

// insteadOfType says what to do where values are objects of the platform.
func insteadOfType(typ string) string {
	switch typ {
	case "dataframe", "table":
		return "give the rows as a CSV file (input_type file) and read them with csv_reader, or use backend vectorshift"
	case "pipeline":
		return "name the pipeline in a node of type pipeline, or use backend vectorshift"
	case "agent", "knowledge_base":
		return "it is an object of the platform: use backend vectorshift"
	}
	return "write it out, as one of the types that are published"
}

// compileInput gives what the run was started with, which is in the slot of the
// value from the start.
func compileInput(s *setup) step {
	p := spec.Pipeline{Nodes: []*spec.Node{s.spec}}
	in := p.InputNodes()[0]
	name, known := inputTypes[in.Type]
	if !known {
		s.refuse("input_type", "input_type %s is not run here: %s", in.Type, insteadOfType(in.Type))
		return nil
	}
	if in.HasDefault {
		if spec.IsFileType(in.Type) {
			in.Default = s.authorsFiles("default_value", in.Default, in.Type == "image")
		}
		if _, err := spec.Convert(in.Default, in.Type); err != nil {
			s.refuse("default_value", "default_value: %v", err)
		}
	}
	slot := s.out(name)
	s.program.inputs = append(s.program.inputs, programInput{Input: in, slot: slot})
	if !spec.IsFileType(in.Type) {
		return func(*call) error { return nil }
	}
	return s.inputOfFiles(in.Type, name)
}

// inputOfFiles reads the files that a run was started with, which may take long. As
// runs may be many and wait for hours, they keep the content and the text only where
// a node refers to it.
func (s *setup) inputOfFiles(typ, name string) step {
	s.made.blocking = true
	content, text, texts := s.refers(name), s.refers("processed_text"), s.refers("processed_texts")
	if text || texts {
		s.refuseParsers()
	}
	slot, outText, outTexts, outName := s.out(name), s.out("processed_text"), s.out("processed_texts"), s.out("file_name")
	given, from := &spec.Ref{Slot: slot}, s.engine.disk
	return func(c *call) error {
		contents := []any{}
		v, err := takeFiles(c.get(given), typ, func(v any) (any, error) {
			if path, named := v.(authorsFile); named && !content && !text && !texts {
				c.set(outName, fileName(map[string]any{"metadata": map[string]any{"path": string(path)}}))
				return nil, nil
			}
			v, err := openOne(c.ctx, v, typ, from)
			f, is := v.(map[string]any)
			if err != nil || !is {
				return v, err
			}
			c.set(outName, fileName(f))
			if text || texts {
				found, err := fileText(f)
				if err != nil {
					return nil, err
				}
				c.set(outText, found)
				contents = append(contents, found)
			}
			if !content {
				return nil, nil
			}
			return f, nil
		})
		if err != nil {
			return err
		}
		if !content {
			v = nil
		}
		c.set(slot, v)
		if texts {
			c.set(outTexts, contents)
		}
		return nil
	}
}

var outputTypes = []string{"string", "int32", "float", "bool", "timestamp", "json", "stream<string>", "file", "image", "audio", "vec<file>"}

func compileOutput(s *setup) step {
	name, value := s.spec.Name, s.in("value")
	typ, _ := s.spec.Inputs["output_type"].(string)
	if typ == "" {
		typ = "string"
	}
	if !slices.Contains(outputTypes, typ) {
		s.refuse("output_type", "output_type %s is not run here: %s", typ, insteadOfType(typ))
		return nil
	}
	form := func(_ context.Context, v any) (any, error) { return published(v, typ) }
	if spec.IsFileType(typ) { // the whole content, as the platform gives it
		value = s.fileIn("value").input
		form = func(ctx context.Context, v any) (any, error) {
			return takeFiles(v, typ, func(v any) (any, error) { return openOne(ctx, v, typ, s.engine.disk) })
		}
	}
	s.program.outputs = append(s.program.outputs, name)
	return func(c *call) error {
		v, err := form(c.ctx, value.value(c))
		if err != nil {
			return fmt.Errorf("output_type %s: %w", typ, err)
		}
		c.run.outputs[name] = v
		return nil
	}
}

// published gives a value the form of an output type.
func published(v any, typ string) (any, error) {
	switch typ {
	case "string", "stream<string>", "timestamp":
		return spec.Text(v), nil
	case "json":
		text, ok := v.(string)
		if !ok {
			return v, nil
		}
		parsed, err := spec.ParseJSON([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%s is not JSON", quote(text))
		}
		return parsed, nil
	}
	return spec.Convert(v, typ)
}
