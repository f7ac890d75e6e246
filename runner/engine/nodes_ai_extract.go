package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

const (
	extract = `You extract data from texts. Find these fields in the text that you are given:`

	extractAnswer = `Answer with a JSON object that has each field by its name. What the text does not say is null: never guess.`
)

// unions is how many members of a schema may be of two types at Anthropic, and
// all of ours may be null.
const unions = 16

// wantedField is one field to extract.
type wantedField struct {
	name, typ   string
	description *spec.Template
	out         int
}

// compileExtractData sets one output for each field.
func compileExtractData(s *setup) step {
	m := s.model("")
	text, context := s.needed("text"), s.in("additional_context")
	fields := s.wantedFields()
	return func(c *call) error {
		r, data, err := m.about(c, text)
		if err != nil {
			return err
		}
		var f form
		var list choices
		for _, field := range fields {
			typ, _ := jsonType(field.typ)
			f = f.with(field.name, map[string]any{"anyOf": []any{typ, map[string]any{"type": "null"}}})
			list.names = append(list.names, fmt.Sprintf("%q (%s)", field.name, field.typ))
			list.descriptions = append(list.descriptions, strings.TrimSpace(field.description.Text(c.get)))
		}
		r.System = paragraphs(extract+list.described(), also(context.text(c)), extractAnswer, dataIsData)
		r.Prompt = tagged("text", data)
		if r.Provider != "anthropic" || len(fields) <= unions {
			r.Schema = f.schema()
		}
		values := make([]any, len(fields))
		_, err = m.object(c, r, func(object map[string]any) (err error) {
			found := false
			for i, field := range fields {
				v, ok := said(object, field.name)
				found = found || ok
				if values[i], err = readAs(v, field.typ); err != nil {
					return fmt.Errorf("its field %q: %w", field.name, err)
				}
			}
			if !found {
				return errors.New("it has none of the fields")
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, field := range fields {
			c.set(field.out, values[i])
		}
		return nil
	}
}

// wantedFields are the fields as they are written. Their types stand in
// processed_outputs or beside them; without one, a field is text.
func (s *setup) wantedFields() []wantedField {
	list, written := s.spec.Inputs["fields"].([]any)
	if !written || len(list) == 0 {
		s.refuse("fields", "fields must be written out: they decide which outputs the node has")
	}
	types, _ := s.spec.Inputs["processed_outputs"].(map[string]any)
	var fields []wantedField
	var names []string
	for i, v := range list {
		field, _ := v.(map[string]any)
		name, _ := field["name"].(string)
		switch {
		case name == "":
			s.refuse("fields", "fields[%d] is not {name: ..., type: ..., description: ...}", i)
			continue
		case name == "complete":
			s.refuse("fields", "field %q cannot be extracted: the node has an output %s of its own", name, name)
		case slices.Contains(names, name):
			s.refuse("fields", "field %q is there twice", name)
		}
		typ := "string"
		for _, given := range []any{types[name], field["type"]} {
			if text, _ := given.(string); text != "" {
				typ = text
				break
			}
		}
		if _, ok := jsonType(typ); !ok {
			s.refuse("fields", "field %q: values of type %q are not extracted; they can be string, int32, float, bool, timestamp, any, or vec<...> of one of them%s",
				name, typ, schema.DidYouMean(typ, []string{"string", "int32", "float", "bool", "timestamp", "any", "vec<string>"}))
		}
		names = append(names, name)
		fields = append(fields, wantedField{name, typ, s.bind(field["description"]), s.out(name)})
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if !slices.Contains(names, name) {
			s.refuse("processed_outputs", "processed_outputs names %q, which is not among the fields%s", name, schema.DidYouMean(name, names))
		}
	}
	return fields
}

// element gives the type of the elements of a list: vec<T> or list<T>, or list
// alone, which holds anything.
func element(typ string) (string, bool) {
	if typ == "list" {
		return "any", true
	}
	for _, list := range []string{"vec<", "list<"} {
		if inner, ok := strings.CutPrefix(typ, list); ok && strings.HasSuffix(inner, ">") {
			return strings.TrimSuffix(inner, ">"), true
		}
	}
	return "", false
}

// jsonType gives the JSON Schema of a type, if such values can be extracted.
func jsonType(typ string) (any, bool) {
	if inner, ok := element(typ); ok {
		items, known := jsonType(inner)
		return map[string]any{"type": "array", "items": items}, known
	}
	switch typ {
	case "string", "timestamp":
		return map[string]any{"type": "string"}, true
	case "int32":
		return map[string]any{"type": "integer"}, true
	case "float":
		return map[string]any{"type": "number"}, true
	case "bool":
		return map[string]any{"type": "boolean"}, true
	case "any":
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "string"}, map[string]any{"type": "number"}, map[string]any{"type": "boolean"},
			map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
		}}, true
	}
	return nil, false
}

// readAs gives a value that a model found its type; one that it did not find is
// null.
func readAs(v any, typ string) (any, error) {
	inner, isList := element(typ)
	switch {
	case v == nil || typ == "any":
		return v, nil
	case typ == "string" || typ == "timestamp" || isList:
	case blank(v):
		return nil, nil
	}
	if !isList {
		return spec.Convert(v, typ)
	}
	return eachItem(v, func(item any) (any, error) { return readAs(item, inner) })
}
