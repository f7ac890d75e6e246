package schema

import (
	"maps"
	"strings"
)

// referencePattern matches text that holds a reference; such text is allowed
// wherever a typed value is, as its type is known only when the run gets there.
const referencePattern = `\{\{.*\}\}`

// inputsSchema is the JSON Schema of the `inputs` of one node type.
func inputsSchema(t *NodeType) map[string]any {
	fields := append(append([]Field{}, t.Inputs...), CommonInputs()...)
	s := objectSchema(fields)
	s["additionalProperties"] = t.OpenInputs
	s["description"] = t.Summary
	var conditional []any
	for _, f := range fields {
		if f.Required && len(f.When) > 0 {
			conditional = append(conditional, map[string]any{
				"if":   whenSchema(t, f.When),
				"then": map[string]any{"required": []any{f.Name}, "because": "; it is required with " + f.When.String()},
			})
		}
	}
	if conditional != nil {
		s["allOf"] = conditional
	}
	return s
}

// batchInputsSchema is that of a node in batch mode, which may have a list of values
// where it has one value else. It refers to the other one under $defs.
func batchInputsSchema(t *NodeType) map[string]any {
	s := inputsSchema(t)
	for name := range s["properties"].(map[string]any) {
		f, _ := t.Input(name)
		at := "#/$defs/inputs." + t.Name + "/properties/" + name
		field := map[string]any{"$ref": at}
		if strings.HasPrefix(f.Type, "vec<") && f.varies() {
			field = orReference("array", map[string]any{"items": orEach(at + "/items")})
		} else if f.varies() {
			field = orEach(at)
		}
		s["properties"].(map[string]any)[name] = field
	}
	return s
}

// orEach allows a list of values as well.
func orEach(ref string) map[string]any {
	one := map[string]any{"$ref": ref}
	return map[string]any{"if": map[string]any{"type": "array"}, "then": map[string]any{"items": one}, "else": one}
}

// varies tells whether the input may have another value in each call of a node in
// batch mode.
func (f Field) varies() bool { return f.Name != "dependencies" }

func objectSchema(fields []Field) map[string]any {
	properties := map[string]any{}
	var required []any
	for _, f := range fields {
		properties[f.Name] = fieldSchema(f)
		if f.Required && len(f.When) == 0 {
			required = append(required, f.Name)
		}
	}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		s["required"] = required
	}
	return s
}

func fieldSchema(f Field) map[string]any {
	s := typeSchema(f.Type, f.Enum)
	if f.Doc != "" {
		s["description"] = f.Doc
	}
	if f.Default != nil {
		s["default"] = f.Default
	}
	return s
}

// whenSchema tells whether a condition holds, a left-out input having its default.
func whenSchema(t *NodeType, w When) map[string]any {
	properties := map[string]any{}
	var required []any
	for _, c := range w {
		f, _ := t.Input(c.Field)
		values := make([]any, len(c.Values))
		for i, v := range c.Values {
			values[i] = v
			if f.Type == "bool" {
				values[i] = v == "true"
			}
		}
		match := map[string]any{"enum": values}
		if c.Negate {
			match = map[string]any{"not": match}
		}
		properties[c.Field] = match
		if !(When{c}).Holds(func(string) any { return f.Default }) {
			required = append(required, c.Field)
		}
	}
	s := map[string]any{"properties": properties}
	if required != nil {
		s["required"] = required
	}
	return s
}

// typeSchema is the schema of a value of a catalogue type. Object types (files,
// knowledge bases, ...) are left open: their forms are the backends' business.
func typeSchema(typ string, enum []string) map[string]any {
	if inner, list := Element(typ); list {
		return orReference("array", map[string]any{"items": typeSchema(inner, enum)})
	}
	switch {
	case typ == "string", typ == "path", strings.HasPrefix(typ, "stream<"):
		return map[string]any{"type": "string"}
	case typ == "int32":
		return orReference("integer", nil)
	case typ == "float":
		return orReference("number", nil)
	case typ == "bool":
		return orReference("boolean", nil)
	case typ == "enum":
		values := make([]any, len(enum))
		for i, v := range enum {
			values[i] = v
		}
		return map[string]any{"anyOf": []any{
			map[string]any{"enum": values},
			map[string]any{"type": "string", "pattern": referencePattern},
		}}
	case strings.HasPrefix(typ, "map<"):
		return orReference("object", nil)
	}
	if r, ok := LookupRecord(typ); ok {
		s := objectSchema(r.Fields)
		types := []any{"object", "string"}
		if r.List != nil {
			types = append(types, "array")
			s["minItems"], s["maxItems"] = 1, len(r.List)
		}
		s["type"] = types
		if r.Scalar == "" {
			s["pattern"] = referencePattern
		}
		return s
	}
	return map[string]any{}
}

// orReference allows a value of a JSON type, or text that holds a reference.
func orReference(jsonType string, more map[string]any) map[string]any {
	s := map[string]any{"type": []any{jsonType, "string"}, "pattern": referencePattern}
	maps.Copy(s, more)
	return s
}
