package engine

import (
	"fmt"
	"strings"

	"nightshift/spec"
)

func compileCreateList(s *setup) step {
	items, out := s.in("list"), s.out("output")
	return func(c *call) error {
		list, err := items.list(c)
		if list == nil {
			list = []any{}
		}
		c.set(out, list)
		return err
	}
}

func compileCombineList(s *setup) step {
	lists, out := s.in("list"), s.out("output")
	return func(c *call) error {
		all, err := lists.list(c)
		if err != nil {
			return err
		}
		combined := []any{}
		for i, v := range all {
			list, err := toList(v)
			if err != nil {
				return fmt.Errorf("input \"list\": element %d: %w", i, err)
			}
			combined = append(combined, list...)
		}
		c.set(out, combined)
		return nil
	}
}

func compileFlattenList(s *setup) step {
	lists, out := s.in("list_of_lists"), s.out("flattened_list")
	return func(c *call) error {
		all, err := lists.list(c)
		if err != nil {
			return err
		}
		flat := []any{}
		for _, v := range all {
			if inner, ok := v.([]any); ok {
				flat = append(flat, inner...)
			} else {
				flat = append(flat, v)
			}
		}
		c.set(out, flat)
		return nil
	}
}

func compileGetListItem(s *setup) step {
	items, index, out := s.in("list"), s.in("index"), s.out("output")
	return func(c *call) error {
		list, err := items.list(c)
		if err != nil {
			return err
		}
		i, err := index.integer(c)
		if err != nil {
			return err
		}
		at := i
		if at < 0 {
			at += len(list)
		}
		if at < 0 || at >= len(list) {
			return fmt.Errorf("input \"index\": %d is outside of a list of %d", i, len(list))
		}
		c.set(out, list[at])
		return nil
	}
}

func compileJoinListItem(s *setup) step {
	items, byNewline, characters, out := s.in("list"), s.in("join_by_newline"), s.in("join_characters"), s.out("joined_text")
	return func(c *call) error {
		list, err := items.list(c)
		if err != nil {
			return err
		}
		newline, err := byNewline.boolean(c)
		if err != nil {
			return err
		}
		separator := "\n"
		if !newline {
			separator = characters.text(c)
		}
		texts := make([]string, len(list))
		for i, v := range list {
			texts[i] = spec.Text(v)
		}
		c.set(out, strings.Join(texts, separator))
		return nil
	}
}

func compileListTrimmer(s *setup) step {
	items, section, keep := s.in("list"), s.in("specify_section"), s.in("item_to_keep")
	start, end, out := s.in("start_index"), s.in("end_index"), s.out("output")
	return func(c *call) error {
		list, err := items.list(c)
		if err != nil {
			return err
		}
		slice, err := section.boolean(c)
		if err != nil {
			return err
		}
		from, last := 0, keep
		if slice {
			last = end
			if from, err = start.integer(c); err != nil {
				return err
			}
		}
		until, err := last.integer(c)
		if err != nil {
			return err
		}
		from = min(max(from, 0), len(list))
		until = min(max(until, from), len(list))
		c.set(out, list[from:until:until])
		return nil
	}
}
