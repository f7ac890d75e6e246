package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// call is one execution of a node. It is the node's only way to the run.
type call struct {
	ctx     context.Context
	begin   context.Context // of a call for an element: when it is done, nothing more is begun; nil: ctx says it
	get     func(*spec.Ref) any
	run     *run
	node    *node
	own     []any         // its outputs
	kept    []any         // its memos
	element bool          // of a list, in batch mode
	usage   *runner.Usage // of a blocking node: what the models that it asked took
}

// set gives an output its value; slot -1 is an output that nobody can refer to.
func (c *call) set(slot int, v any) {
	if slot >= 0 {
		c.own[slot-c.node.first] = v
	}
}

// input is one input of a node, its references bound to slots.
type input struct {
	name     string
	template *spec.Template
	choices  []string // of an enum: the words that it takes
}

func (in input) value(c *call) any { return in.template.Value(c.get) }

func (in input) text(c *call) string { return in.template.Text(c.get) }

// list wants a list; text that is a JSON list is taken for one, nothing for an
// empty one.
func (in input) list(c *call) ([]any, error) {
	list, err := toList(in.value(c))
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.name, err)
	}
	return list, nil
}

func toList(v any) ([]any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		return v, nil
	case string:
		if parsed, err := spec.ParseJSON([]byte(v)); err == nil {
			if list, ok := parsed.([]any); ok {
				return list, nil
			}
		}
	}
	return nil, fmt.Errorf("%s is not a list", quote(v))
}

// eachItem gives what becomes of the items of a list.
func eachItem(v any, become func(item any) (any, error)) ([]any, error) {
	list, err := toList(v)
	if err != nil {
		return nil, err
	}
	items := make([]any, len(list))
	for i, item := range list {
		if items[i], err = become(item); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return items, nil
}

func (in input) integer(c *call) (int, error) {
	number, err := spec.ToNumber(in.value(c))
	if err != nil {
		return 0, fmt.Errorf("input %q: %w", in.name, err)
	}
	f, err := strconv.ParseFloat(string(number), 64)
	switch {
	case err != nil || math.Abs(f) > 1<<53:
		return 0, fmt.Errorf("input %q: %s is too large", in.name, number)
	case f != math.Trunc(f):
		return 0, fmt.Errorf("input %q: %s is not a whole number", in.name, number)
	}
	return int(f), nil
}

func (in input) boolean(c *call) (bool, error) {
	v, err := spec.Convert(in.value(c), "bool")
	if err != nil {
		return false, fmt.Errorf("input %q: %w", in.name, err)
	}
	return v.(bool), nil
}

// choice wants one of the words of an enum: what comes from a reference was not
// checked before the run.
func (in input) choice(c *call) (string, error) {
	word := in.text(c)
	if !slices.Contains(in.choices, word) {
		return "", fmt.Errorf("input %q: %s is not one of %s", in.name, quote(word), strings.Join(in.choices, ", "))
	}
	return word, nil
}

// pair is an element of a list of {key, value}.
type pair struct {
	key   string
	value any
}

// pairs wants a list of {key, value}, as for the headers of a request.
func (in input) pairs(c *call) ([]pair, error) {
	list, err := in.list(c)
	if err != nil {
		return nil, err
	}
	pairs := make([]pair, len(list))
	for i, v := range list {
		fields, _ := v.(map[string]any)
		key := spec.Text(fields["key"])
		if key == "" {
			return nil, fmt.Errorf("input %q: element %d is not {key: ..., value: ...}", in.name, i)
		}
		pairs[i] = pair{key, fields["value"]}
	}
	return pairs, nil
}

// literal gives the value of an input without references.
func (in input) literal() (any, bool) { return in.template.Literal() }

// quote shows a value in an error, shortened.
func quote(v any) string {
	return strconv.Quote(schema.Shorten(spec.Text(v), 60))
}

// notJSON says in the words of the user why a text is not JSON.
func notJSON(err error) error {
	return fmt.Errorf("input \"json_string\" is not JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
}
