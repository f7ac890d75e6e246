package engine

import (
	"slices"

	"nightshift/spec"
)

// compileMerge rejoins branches. A field is empty where all that it refers to
// was skipped, whatever text stands around the references.
func compileMerge(s *setup) step {
	function, fields, out := s.in("function"), s.in("fields"), s.out("output")
	items, written := fields.template.Items()
	completes := make([][]int, len(items)) // of the nodes that an item refers to
	for i, item := range items {
		for ref := range item.Refs() {
			completes[i] = append(completes[i], s.slots[[2]string{ref.Node, "complete"}].slot)
		}
	}
	return func(c *call) error {
		how, err := function.choice(c)
		if err != nil {
			return err
		}
		list := make([]any, 0, len(items))
		for i, item := range items {
			ran := func(slot int) bool { return c.run.values[slot] == true }
			if completes[i] == nil || slices.ContainsFunc(completes[i], ran) {
				list = append(list, item.Value(c.get))
			}
		}
		if !written {
			if list, err = fields.list(c); err != nil {
				return err
			}
			list = slices.Clone(list)
		}
		list = slices.DeleteFunc(list, spec.IsEmpty)
		switch {
		case how == "join":
			c.set(out, list)
		case len(list) > 0:
			c.set(out, list[0])
		default:
			c.set(out, "")
		}
		return nil
	}
}
