package schema

import (
	"encoding/json"
	"slices"
	"strings"
)

// accepts tells whether the inputs of a node are surely right. Where it says no, the
// schema has the last word, and says what is wrong: compiling that takes
// longer than everything else that is done for a node.
func (t *NodeType) accepts(value any, batch bool) bool {
	inputs, ok := value.(map[string]any)
	if !ok {
		return false
	}
	known := 0
	for _, fields := range [][]Field{t.Inputs, CommonInputs()} {
		for _, f := range fields {
			v, given := inputs[f.Name]
			switch {
			case given && batch && f.varies():
				known++
				if !f.acceptsEach(v) {
					return false
				}
			case given:
				known++
				if !acceptsType(f.Type, f.Enum, v) {
					return false
				}
			case f.Required && f.When.Holds(func(name string) any { return t.Setting(inputs, name) }):
				return false
			}
		}
	}
	return known == len(inputs) || t.OpenInputs
}

// acceptsEach is acceptsType for a value that may be another one in each call of a
// node in batch mode: one for all, or a list of them.
func (f Field) acceptsEach(v any) bool {
	typ, list := Element(f.Type)
	values, isList := v.([]any)
	switch {
	case !isList:
		return acceptsType(f.Type, f.Enum, v)
	case !list:
		return acceptsAll(f.Type, f.Enum, values)
	}
	for _, v := range values {
		inner, isList := v.([]any)
		if isList && !acceptsAll(typ, f.Enum, inner) || !isList && !acceptsType(typ, f.Enum, v) {
			return false
		}
	}
	return true
}

func acceptsAll(typ string, enum []string, values []any) bool {
	return !slices.ContainsFunc(values, func(v any) bool { return !acceptsType(typ, enum, v) })
}

// acceptsType is typeSchema, as far as it is sure.
func acceptsType(typ string, enum []string, v any) bool {
	s, isText := v.(string)
	if inner, list := Element(typ); list {
		values, isList := v.([]any)
		return isList && acceptsAll(inner, enum, values) || holdsReference(s)
	}
	switch typ {
	case "string", "path":
		return isText
	case "int32":
		n, _ := v.(json.Number)
		return n != "" && strings.Trim(string(n), "-0123456789") == "" || holdsReference(s)
	case "float":
		_, ok := v.(json.Number)
		return ok || holdsReference(s)
	case "bool":
		_, ok := v.(bool)
		return ok || holdsReference(s)
	case "enum":
		return isText && slices.Contains(enum, s) || holdsReference(s)
	}
	if strings.HasPrefix(typ, "stream<") {
		return isText
	}
	fields, isMap := v.(map[string]any)
	values, isList := v.([]any)
	if strings.HasPrefix(typ, "map<") {
		return isMap || holdsReference(s)
	}
	r, ok := LookupRecord(typ)
	switch {
	case !ok:
		return true
	case isList:
		return len(values) > 0 && len(values) <= len(r.List)
	case !isMap:
		return isText && (r.Scalar != "" || holdsReference(s))
	}
	known := 0
	for _, f := range r.Fields {
		v, given := fields[f.Name]
		if given && !acceptsType(f.Type, f.Enum, v) || !given && f.Required {
			return false
		}
		if given {
			known++
		}
	}
	return known == len(fields)
}

// holdsReference is referencePattern, for references on one line.
func holdsReference(s string) bool {
	_, rest, ok := strings.Cut(s, "{{")
	line, _, closed := strings.Cut(rest, "}}")
	return ok && closed && !strings.Contains(line, "\n")
}
