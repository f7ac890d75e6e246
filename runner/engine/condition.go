package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"nightshift/schema"
	"nightshift/spec"
)

// group is one path of a condition: clauses, joined from left to right.
type group struct {
	clauses []clause
	or      []bool // beside clauses[1:]: joined by OR, not AND
}

type clause struct {
	operator    operator
	left, right *spec.Template
	key         string // of a structured left side
}

// compileCondition sets the output of the first group that is true, or
// path_else.
func compileCondition(s *setup) step {
	var groups []group
	var outs []int
	var paths []string
	written, _ := s.spec.Inputs["conditions"].([]any)
	_, reference := s.spec.Inputs["conditions"].(string)
	if reference {
		s.refuse("conditions", "conditions must be written out: they decide which outputs the node has")
	}
	for i, v := range written {
		paths = append(paths, fmt.Sprintf("path_%d", i))
		g, err := s.group(v)
		if err != nil {
			s.refuse("conditions", "conditions[%d]: %v", i, err)
			continue
		}
		groups = append(groups, g)
		outs = append(outs, s.out(paths[i]))
	}
	otherwise := s.out("path_else")
	if !reference {
		s.refuseOtherPaths(append(paths, "path_else"))
	}
	return func(c *call) error {
		chosen := otherwise
		for i, g := range groups {
			holds, err := g.holds(c)
			if err != nil {
				return fmt.Errorf("conditions[%d]: %w", i, err)
			}
			if holds {
				chosen = outs[i]
				break
			}
		}
		c.set(chosen, true)
		return nil
	}
}

func (s *setup) group(v any) (g group, err error) {
	written, ok := v.(map[string]any)
	if !ok {
		return g, fmt.Errorf("must be written out as {clauses: [...]}")
	}
	clauses, _ := written["clauses"].([]any)
	operators, _ := written["operators"].([]any)
	if len(clauses) == 0 {
		return g, fmt.Errorf("has no clauses")
	}
	if len(operators) != len(clauses)-1 {
		return g, fmt.Errorf("%d clauses need %d operators between them, but there are %d", len(clauses), len(clauses)-1, len(operators))
	}
	for i, o := range operators {
		if o != "AND" && o != "OR" {
			return g, fmt.Errorf("operators[%d]: %s is neither AND nor OR", i, quote(o))
		}
		g.or = append(g.or, o == "OR")
	}
	for i, v := range clauses {
		c, err := s.clause(v)
		if err != nil {
			return g, fmt.Errorf("clauses[%d]: %w", i, err)
		}
		g.clauses = append(g.clauses, c)
	}
	return g, nil
}

// clause takes {operator, input, key, value}, or [operator, input, value].
func (s *setup) clause(v any) (c clause, err error) {
	var name, left, right any
	one, two := false, false
	switch v := v.(type) {
	case map[string]any:
		name = v["operator"]
		left, one = v["input"]
		right, two = v["value"]
		c.key, _ = v["key"].(string)
	case []any:
		if len(v) > 0 {
			name = v[0]
		}
		if one = len(v) > 1; one {
			left = v[1]
		}
		if two = len(v) > 2; two {
			right = v[2]
		}
	default:
		return c, fmt.Errorf("must be written out as {operator: ..., input: ..., value: ...}")
	}
	text, _ := name.(string)
	op, ok := operators()[foldOperator(text)]
	if !ok {
		return c, fmt.Errorf("there is no operator %q%s", text, schema.DidYouMean(text, operatorNames))
	}
	if !one {
		return c, fmt.Errorf("%s needs an input to test", text)
	}
	if op.unary == two {
		if op.unary {
			return c, fmt.Errorf("%s takes no value", text)
		}
		return c, fmt.Errorf("%s needs a value to compare with", text)
	}
	c.operator, c.left, c.right = op, s.bind(left), s.bind(right)
	return c, nil
}

func (g group) holds(c *call) (bool, error) {
	var result bool
	for i, clause := range g.clauses {
		if i > 0 && result == g.or[i-1] {
			continue // true OR ..., false AND ...: decided so far
		}
		holds, err := clause.holds(c)
		if err != nil {
			return false, fmt.Errorf("clauses[%d]: %w", i, err)
		}
		result = holds
	}
	return result, nil
}

func (c clause) holds(call *call) (bool, error) {
	left := c.left.Value(call.get)
	if c.key != "" {
		if text, ok := left.(string); ok {
			left, _ = spec.ParseJSON([]byte(text))
		}
		fields, ok := left.(map[string]any)
		if !ok {
			return false, fmt.Errorf("the left side has no fields, so it has no %q", c.key)
		}
		left = fields[c.key]
	}
	return c.operator.test(left, c.right.Value(call.get))
}

// operator is one test of a left side against a right side.
type operator struct {
	unary bool
	test  func(left, right any) (bool, error)
}

// operatorNames are the names as the platform writes them; the spellings of its
// SDK (GREATER_THAN) and of its pages (greater than) are the same when folded.
var operatorNames = []string{
	"Equal", "NotEqual", "LessThan", "GreaterThan", "LessThanEqual", "GreaterThanEqual",
	"TextContains", "TextDoesNotContain", "TextStartsWith", "TextDoesNotStartWith", "TextEndsWith", "TextDoesNotEndWith",
	"TextLengthGreaterThan", "TextLengthLessThan", "IsEmpty", "IsNotEmpty", "IsTrue", "IsFalse",
	"VecContainsItem", "VecDoesNotContainItem", "VecContainsVec", "MapContainsKey",
}

// operators are the tests by folded name.
var operators = sync.OnceValue(func() map[string]operator {
	textual := func(test func(left, right string) bool) operator {
		return operator{test: func(l, r any) (bool, error) { return test(spec.Text(l), spec.Text(r)), nil }}
	}
	ordered := func(test func(order int) bool) operator {
		return operator{test: func(l, r any) (bool, error) {
			order, err := compareNumbers(l, r)
			return err == nil && test(order), err
		}}
	}
	length := func(test func(n, limit int) bool) operator {
		return operator{test: func(l, r any) (bool, error) {
			limit, err := strconv.Atoi(strings.TrimSpace(spec.Text(r)))
			if err != nil {
				return false, fmt.Errorf("%s is not a number of characters", quote(r))
			}
			return test(utf8.RuneCountInString(spec.Text(l)), limit), nil
		}}
	}
	contains := operator{test: func(l, r any) (bool, error) {
		list, err := sideList("left", l)
		return listHas(list, r), err
	}}
	all := map[string]operator{
		"Equal":                 {test: func(l, r any) (bool, error) { return equal(l, r), nil }},
		"LessThan":              ordered(func(o int) bool { return o < 0 }),
		"GreaterThan":           ordered(func(o int) bool { return o > 0 }),
		"LessThanEqual":         ordered(func(o int) bool { return o <= 0 }),
		"GreaterThanEqual":      ordered(func(o int) bool { return o >= 0 }),
		"TextContains":          textual(strings.Contains),
		"TextStartsWith":        textual(strings.HasPrefix),
		"TextEndsWith":          textual(strings.HasSuffix),
		"TextLengthGreaterThan": length(func(n, limit int) bool { return n > limit }),
		"TextLengthLessThan":    length(func(n, limit int) bool { return n < limit }),
		"IsEmpty":               {unary: true, test: func(l, _ any) (bool, error) { return spec.IsEmpty(l), nil }},
		"IsTrue":                {unary: true, test: isBool(true)},
		"IsFalse":               {unary: true, test: isBool(false)},
		"VecContainsItem":       contains,
		"VecContainsVec":        {test: listHasAll},
		"MapContainsKey":        {test: mapHasKey},
	}
	for name, opposite := range map[string]string{
		"NotEqual": "Equal", "TextDoesNotContain": "TextContains", "TextDoesNotStartWith": "TextStartsWith",
		"TextDoesNotEndWith": "TextEndsWith", "IsNotEmpty": "IsEmpty", "VecDoesNotContainItem": "VecContainsItem",
	} {
		base := all[opposite]
		all[name] = operator{unary: base.unary, test: func(l, r any) (bool, error) {
			holds, err := base.test(l, r)
			return !holds && err == nil, err
		}}
	}
	folded := make(map[string]operator, 2*len(all))
	for name, op := range all {
		folded[foldOperator(name)] = op
	}
	for alias, name := range map[string]string{
		"TextDoesNotContains": "TextDoesNotContain", "VecDoesNotContainsItem": "VecDoesNotContainItem", // the platform's own spellings
		"Contains": "TextContains", "DoesNotContain": "TextDoesNotContain", "StartsWith": "TextStartsWith", "DoesNotStartWith": "TextDoesNotStartWith",
		"BeginsWith": "TextStartsWith", "DoesNotBeginWith": "TextDoesNotStartWith", "EndsWith": "TextEndsWith", "DoesNotEndWith": "TextDoesNotEndWith",
		"Equals": "Equal", "NotEquals": "NotEqual", "LessOrEqual": "LessThanEqual", "GreaterOrEqual": "GreaterThanEqual",
		"LessThanOrEqual": "LessThanEqual", "GreaterThanOrEqual": "GreaterThanEqual",
		"LongerThan": "TextLengthGreaterThan", "ShorterThan": "TextLengthLessThan",
		"ListContainsItem": "VecContainsItem", "ListDoesNotContainItem": "VecDoesNotContainItem", "ListContainsList": "VecContainsVec",
	} {
		folded[foldOperator(alias)] = all[name]
	}
	return folded
})

func foldOperator(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_ -", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

func isBool(want bool) func(l, _ any) (bool, error) {
	return func(l, _ any) (bool, error) {
		v, err := spec.Convert(l, "bool")
		if err != nil {
			return false, fmt.Errorf("left side: %w", err)
		}
		return v == want, nil
	}
}

func listHas(list []any, item any) bool {
	return slices.ContainsFunc(list, func(v any) bool { return equal(v, item) })
}

func listHasAll(l, r any) (bool, error) {
	list, err := sideList("left", l)
	if err != nil {
		return false, err
	}
	wanted, err := sideList("right", r)
	if err != nil {
		return false, err
	}
	missing := func(item any) bool { return !listHas(list, item) }
	return !slices.ContainsFunc(wanted, missing), nil
}

func sideList(side string, v any) ([]any, error) {
	list, err := toList(v)
	if err != nil {
		return nil, fmt.Errorf("%s side: %w", side, err)
	}
	return list, nil
}

func mapHasKey(l, r any) (bool, error) {
	if text, ok := l.(string); ok {
		l, _ = spec.ParseJSON([]byte(text))
	}
	m, ok := l.(map[string]any)
	if !ok {
		return false, fmt.Errorf("left side: %s is not a map", quote(l))
	}
	_, has := m[spec.Text(r)]
	return has, nil
}
