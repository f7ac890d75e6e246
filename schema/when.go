package schema

import (
	"fmt"
	"slices"
	"strings"
)

// When is a condition on the other inputs of a node: all clauses must hold.
// The empty condition always holds.
type When []Clause

// Clause is one `field=value`, `field!=value` or `field in [a, b]`.
type Clause struct {
	Field  string
	Negate bool
	Values []string
}

func parseWhen(s string) (When, error) {
	var w When
	for part := range strings.SplitSeq(s, " and ") {
		var c Clause
		if field, list, ok := strings.Cut(part, " in ["); ok {
			c.Field = field
			c.Values = strings.Split(strings.TrimSuffix(list, "]"), ", ")
		} else if field, value, ok := strings.Cut(part, "!="); ok {
			c = Clause{Field: field, Negate: true, Values: []string{value}}
		} else if field, value, ok := strings.Cut(part, "="); ok {
			c = Clause{Field: field, Values: []string{value}}
		} else {
			return nil, fmt.Errorf("condition %q is not field=value", part)
		}
		w = append(w, c)
	}
	return w, nil
}

// Holds tells whether the condition is met; setting gives an input's value. A
// value that is a reference is unknown before the run, and meets any clause.
func (w When) Holds(setting func(field string) any) bool {
	for _, c := range w {
		v := setting(c.Field)
		if s, ok := v.(string); ok && strings.Contains(s, "{{") {
			continue
		}
		if slices.Contains(c.Values, fmt.Sprint(v)) == c.Negate {
			return false
		}
	}
	return true
}

func (w When) String() string {
	parts := make([]string, len(w))
	for i, c := range w {
		switch {
		case c.Negate:
			parts[i] = c.Field + "!=" + c.Values[0]
		case len(c.Values) == 1:
			parts[i] = c.Field + "=" + c.Values[0]
		default:
			parts[i] = c.Field + " in [" + strings.Join(c.Values, ", ") + "]"
		}
	}
	return strings.Join(parts, " and ")
}
