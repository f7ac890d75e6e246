package llm

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// resolve gives a schema with what it refers to, and what it chooses of; false
// for one that nothing fits.
func (m *maker) resolve(schema any, depth int) (map[string]any, bool) {
	s, ok := schema.(map[string]any)
	if !ok {
		return nil, schema != false
	}
	for range mostDepth { // one may refer to itself
		m.left--
		part := m.part(s, depth)
		if part == nil || m.left < 0 {
			break
		}
		s = joined(s, part)
	}
	return s, true
}

// part takes one part out of a schema that consists of several; nil: it does not.
func (m *maker) part(s map[string]any, depth int) map[string]any {
	if ref, ok := s["$ref"].(string); ok {
		return map[string]any{"$ref": nil, "": m.lookup(ref)}
	}
	if all, ok := s["allOf"].([]any); ok {
		merged := map[string]any{}
		for _, one := range all {
			if one, ok := m.resolve(one, depth); ok && m.left > 0 {
				merged = joined(merged, map[string]any{"": one})
			}
		}
		return map[string]any{"allOf": nil, "": merged}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if options, ok := s[key].([]any); ok && len(options) > 0 {
			return map[string]any{key: nil, "": m.option(options, depth)}
		}
	}
	return nil
}

// joined adds to a schema what stands under "" in a part, and takes away what the
// part has as nil.
func joined(s, part map[string]any) map[string]any {
	sum := maps.Clone(s)
	for key := range part {
		delete(sum, key)
	}
	more, _ := part[""].(map[string]any)
	for key, v := range more {
		switch old := sum[key].(type) {
		case nil:
			sum[key] = v
		case map[string]any:
			if v, ok := v.(map[string]any); ok && key == "properties" {
				all := maps.Clone(v)
				maps.Copy(all, old)
				sum[key] = all
			}
		case []any:
			if v, ok := v.([]any); ok && key == "required" {
				sum[key] = slices.Concat(old, v)
			}
		}
	}
	return sum
}

// option chooses the first, but what ends soon where the value is deep.
func (m *maker) option(options []any, depth int) any {
	if m.style == asNulls || depth > fullDepth {
		for _, o := range options {
			if s, _ := o.(map[string]any); s["type"] == "null" {
				return o
			}
		}
	}
	if depth > fullDepth {
		for _, o := range options {
			if s, _ := o.(map[string]any); slices.Contains([]any{"string", "number", "integer", "boolean"}, s["type"]) {
				return o
			}
		}
	}
	return options[0]
}

// lookup gives what a reference within the schema means, or nil.
func (m *maker) lookup(ref string) any {
	pointer, ok := strings.CutPrefix(ref, "#")
	pointer, err := url.PathUnescape(pointer)
	if !ok || err != nil {
		return nil
	}
	at := m.root
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			at = v[i]
		default:
			return nil
		}
	}
	return at
}

// typeOf is the type of the value, also where the schema does not say it.
func (m *maker) typeOf(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if one, _ := one.(string); (one == "null") == (m.style == asNulls && slices.Contains(t, any("null"))) {
				return one
			}
		}
	}
	for _, hint := range []struct {
		typ  string
		keys []string
	}{
		{"object", []string{"properties", "required", "additionalProperties", "minProperties"}},
		{"array", []string{"items", "prefixItems", "minItems", "maxItems"}},
		{"number", []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
	} {
		if slices.ContainsFunc(hint.keys, func(key string) bool { return s[key] != nil }) {
			return hint.typ
		}
	}
	return "string"
}
