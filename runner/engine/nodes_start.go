package engine

import (
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
// value from the start. Of files it also gives their names and texts, where a
// node refers to them.
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
	text, texts := s.refers("processed_text"), s.refers("processed_texts")
	if text || texts {
		s.refuseParsers()
	}
	outText, outTexts, outName := s.out("processed_text"), s.out("processed_texts"), s.out("file_name")
	given, dir := &spec.Ref{Slot: slot}, s.engine.dir
	return func(c *call) error {
		v, err := openFiles(c.get(given), in.Type, dir)
		if err != nil {
			return err
		}
		c.set(slot, v)
		if f, one := v.(map[string]any); one {
			c.set(outName, fileName(f))
			if text {
				content, err := fileText(f)
				if err != nil {
					return err
				}
				c.set(outText, content)
			}
		}
		if !texts {
			return nil
		}
		contents := []any{}
		for i, f := range v.([]any) {
			content, err := fileText(f.(map[string]any))
			if err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
			contents = append(contents, content)
		}
		c.set(outTexts, contents)
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
	form := published
	if spec.IsFileType(typ) { // the whole content, as the platform gives it
		value = s.fileIn("value").input
		form = func(v any, typ string) (any, error) { return openFiles(v, typ, s.engine.dir) }
	}
	s.program.outputs = append(s.program.outputs, name)
	return func(c *call) error {
		v, err := form(value.value(c), typ)
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
