package vectorshift

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

// equal compares plain values; numbers by what they are worth.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && equalNumbers(string(a), string(b))
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	}
	return reflect.DeepEqual(a, b)
}

// same tells whether an input that is set to a says what it says set to b: references
// count in any form, numbers also as text where the catalogue asks for numbers.
func same(f schema.Field, a, b any) bool { return equal(normal(f, a), normal(f, b)) }

func normal(f schema.Field, v any) any {
	v = renamed(typed(f, v), nil)
	if list, ok := v.([]any); ok && f.Name == "dependencies" { // the order says nothing
		texts := map[string]bool{}
		for _, item := range list {
			texts[spec.Text(item)] = true
		}
		return plain(slices.Sorted(maps.Keys(texts)))
	}
	return v
}

var number = spec.Pattern(`^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$`)

// typed gives a value the type that the catalogue asks for, where it is text that
// says a number, true or false.
func typed(f schema.Field, v any) any {
	switch s, _ := v.(string); {
	case f.Type == "bool" && (s == "true" || s == "false"):
		return s == "true"
	case (f.Type == "int32" || f.Type == "float") && number().MatchString(s):
		return json.Number(s)
	}
	return v
}

func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	if !strings.ContainsAny(a+b, ".eE") { // may have more digits than a float holds
		return false
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

// How much of a value is shown, and of what stands before a difference in it.
const (
	maxShown  = 60 // characters
	maxBefore = 20
)

// change shows an old value and a new one, from shortly before they differ.
func change(old, now any) string {
	a, b := []rune(oneLine(old)), []rune(oneLine(now))
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	from := 0
	if max(len(a), len(b)) > maxShown && same > maxBefore {
		from = same - maxBefore
	}
	return ": " + shown(string(a), from) + " -> " + shown(string(b), from)
}

// shown is a value in a message, from a character on.
func shown(v any, from int) string {
	line := []rune(oneLine(v))
	cut := ""
	if from > 0 {
		line, cut = line[from:], schema.Cut
	}
	if len(line) == 0 {
		return `""`
	}
	return cut + schema.Shorten(string(line), maxShown)
}

func oneLine(v any) string { return strings.Join(strings.Fields(spec.Text(v)), " ") }
