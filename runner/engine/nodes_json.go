package engine

import (
	"fmt"
	"maps"
	"slices"

	"nightshift/spec"
)

// compileReadJSON sets one output for each key. A key is looked up as it is
// written, then as a path with dots; one that is not there gives the text null.
func compileReadJSON(s *setup) step {
	text, all := s.in("json_string"), s.out("json_values")
	types, _ := s.spec.Inputs["processed_outputs"].(map[string]any)
	type output struct {
		key  string
		typ  string
		slot int
	}
	var outputs []output
	keys, written := s.spec.Inputs["keys"].([]any)
	if !written {
		s.refuse("keys", "keys must be written out: they decide which outputs the node has")
	}
	for _, v := range keys {
		key, ok := v.(string)
		if fields, isMap := v.(map[string]any); isMap {
			key, ok = fields["key"].(string)
		}
		if key == "complete" || key == "json_values" {
			s.refuse("keys", "key %q cannot be read: the node has an output %s of its own", key, key)
		}
		if ok {
			typ, _ := types[key].(string)
			outputs = append(outputs, output{key, typ, s.out(key)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if !slices.ContainsFunc(outputs, func(o output) bool { return o.key == name }) {
			s.refuse("processed_outputs", "processed_outputs names %q, which is not among the keys", name)
		}
	}
	return func(c *call) error {
		parsed, err := spec.ParseJSON([]byte(text.text(c)))
		if err != nil {
			return notJSON(err)
		}
		values := make(map[string]any, len(outputs))
		for _, o := range outputs {
			v, found := spec.LookUp(parsed, o.key)
			values[o.key] = v
			switch {
			case !found:
				v = "null"
			case o.typ == "" || o.typ == "string":
				if _, isText := v.(string); !isText {
					v = string(spec.AppendJSON(nil, v))
				}
			case v != nil:
				if v, err = spec.Convert(v, o.typ); err != nil {
					return fmt.Errorf("key %q: %w", o.key, err)
				}
			}
			c.set(o.slot, v)
		}
		c.set(all, string(spec.AppendJSON(nil, values)))
		return nil
	}
}

// compileWriteJSON builds an object in the order of its fields, or sets fields
// in one that is given.
func compileWriteJSON(s *setup) step {
	selected, fields, text, out := s.in("selected"), s.in("fields"), s.in("json_string"), s.out("updated_json")
	return func(c *call) error {
		pairs, err := fields.pairs(c)
		if err != nil {
			return err
		}
		how, err := selected.choice(c)
		if err != nil {
			return err
		}
		var object orderedObject
		if how == "old" {
			if object, err = parseObject(text.text(c)); err != nil {
				return err
			}
		}
		for _, p := range pairs {
			object.set(p.key, spec.AppendJSON(nil, p.value))
		}
		c.set(out, object.String())
		return nil
	}
}
