package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"nightshift/spec"
)

// call is one execution of a node. It is the node's only way to the run.
type call struct {
	ctx context.Context
	get func(*spec.Ref) any
	run *run
}

// set gives an output its value; slot -1 is an output that nobody can refer to.
func (c *call) set(slot int, v any) {
	if slot >= 0 {
		c.run.values[slot] = v
	}
}

// input is one input of a node, its references bound to slots.
type input struct {
	name     string
	template *spec.Template
}

func (in input) value(c *call) any { return in.template.Value(c.get) }

func (in input) text(c *call) string { return in.template.Text(c.get) }

// list wants a list; text that is a JSON list is taken for one, nothing for an
// empty one.
func (in input) list(c *call) ([]any, error) { return toList(in.value(c), in.name) }

func toList(v any, name string) ([]any, error) {
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
	return nil, fmt.Errorf("input %q: %s is not a list", name, quote(v))
}

func (in input) integer(c *call) (int, error) {
	number, err := spec.ToNumber(in.value(c))
	if err != nil {
		return 0, fmt.Errorf("input %q: %w", in.name, err)
	}
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
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

// literal gives the value of an input without references.
func (in input) literal() (any, bool) { return in.template.Literal() }

// quote shows a value in an error, shortened.
func quote(v any) string {
	text := []rune(spec.Text(v))
	if len(text) > 60 {
		text = append(text[:60], '…')
	}
	return strconv.Quote(string(text))
}

func number(i int) json.Number { return json.Number(strconv.Itoa(i)) }
