package engine

import (
	"fmt"
	"slices"

	"nightshift/schema"
	"nightshift/spec"
)

// maxDuplicates is how many items list_size may ask for.
const maxDuplicates = 100_000

// compileFilterList keeps the items that pass a test, or whose partner in
// another list does. The tests are those of a condition.
func compileFilterList(s *setup) step {
	f, name, value := s.filter(), s.in("condition_type"), s.in("condition_value")
	if word, literal := name.literal(); literal {
		if _, err := findOperator(spec.Text(word)); err != nil {
			s.refuse("condition_type", "%v", err)
		}
	}
	return func(c *call) error {
		l, err := f.lists(c)
		if err != nil {
			return err
		}
		test, err := findOperator(name.text(c))
		if err != nil {
			return fmt.Errorf("input %q: %w", name.name, err)
		}
		right := value.value(c)
		passes := make([]bool, len(l.tested))
		for i, left := range l.tested {
			if passes[i], err = test.test(left, right); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		c.set(f.out, l.kept(passes))
		return nil
	}
}

func findOperator(name string) (operator, error) {
	op, ok := operators()[foldOperator(name)]
	if !ok {
		return op, fmt.Errorf("there is no condition %s%s", quote(name), schema.DidYouMean(name, operatorNames))
	}
	return op, nil
}

// filter is what the nodes that filter a list have in common.
type filter struct {
	items, mode, others, leaveBlank input
	out                             int
}

func (s *setup) filter() filter {
	return filter{s.in("list_to_filter"), s.in("filter_mode"), s.in("filter_by"), s.in("output_blank_value"), s.out("output")}
}

// filtered are the lists of one call.
type filtered struct {
	list   []any
	tested []any // beside the items of list: what is tested
	blanks bool  // an item that does not pass leaves a blank
}

// lists reads the list to filter, and what is tested: the list itself, or another
// one of the same length.
func (f filter) lists(c *call) (l filtered, err error) {
	if l.blanks, err = f.leaveBlank.boolean(c); err != nil {
		return l, err
	}
	if l.list, err = f.items.list(c); err != nil {
		return l, err
	}
	l.tested = l.list
	mode, err := f.mode.choice(c)
	if err != nil || mode == "single" {
		return l, err
	}
	if l.tested, err = f.others.list(c); err == nil && len(l.tested) != len(l.list) {
		err = fmt.Errorf("input %q has %d items, but %s has %d", f.others.name, len(l.tested), f.items.name, len(l.list))
	}
	return l, err
}

// kept gives the items that pass, in their order.
func (l filtered) kept(passes []bool) []any {
	kept := []any{}
	for i, item := range l.list {
		switch {
		case passes[i]:
			kept = append(kept, item)
		case l.blanks:
			kept = append(kept, "")
		}
	}
	return kept
}

// compileDuplicateList repeats an item, as often as is said or as another list
// has items.
func compileDuplicateList(s *setup) step {
	item, specified, size, match := s.in("input_field"), s.in("specify_list_size"), s.in("list_size"), s.in("list_size_to_match")
	out := s.out("output")
	count := func(c *call) (int, error) {
		is, err := specified.boolean(c)
		if err != nil {
			return 0, err
		}
		if !is {
			list, err := match.list(c)
			return len(list), err
		}
		n, err := size.integer(c)
		switch {
		case err != nil:
			return 0, err
		case n < 0:
			return 0, fmt.Errorf("input %q: %d is negative", size.name, n)
		case n > maxDuplicates:
			return 0, fmt.Errorf("input %q: %d is more than %d, the most that can be made", size.name, n, maxDuplicates)
		}
		return n, nil
	}
	return func(c *call) error {
		n, err := count(c)
		if err != nil {
			return err
		}
		c.set(out, slices.Repeat([]any{item.value(c)}, n))
		return nil
	}
}

// compileListDeduplicator keeps the first of the items that are equal, as it
// stands there. What is equal hangs on the type of the items.
func compileListDeduplicator(s *setup) step {
	items, typ, out := s.in("list"), s.in("type"), s.out("output")
	return func(c *call) error {
		list, err := items.list(c)
		if err != nil {
			return err
		}
		of, err := typ.choice(c)
		if err != nil {
			return err
		}
		seen := make(map[any]bool, len(list))
		once := []any{}
		for i, item := range list {
			key, err := identity(item, of)
			if err != nil {
				return fmt.Errorf("input %q: element %d: %w", items.name, i, err)
			}
			if !seen[key] {
				seen[key] = true
				once = append(once, item)
			}
		}
		c.set(out, once)
		return nil
	}
}

// identity gives the same key to all that is the same value of a type: a text to
// the letter, a number however it is written, true or false, an instant in
// whatever zone.
func identity(v any, typ string) (any, error) {
	switch typ {
	case "int32", "float":
		number, err := spec.ToNumber(v)
		return newDecimal(number), err
	case "bool":
		return spec.Convert(v, "bool")
	case "timestamp":
		at, err := instant(spec.Text(v))
		return at.UTC(), err
	}
	return spec.Text(v), nil
}
