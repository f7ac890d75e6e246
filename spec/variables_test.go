package spec

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/schema"
)

// TestExpandText fills variables in. A want that begins with ! is a part of the error.
func TestExpandText(t *testing.T) {
	env := lookupIn(map[string]string{"A": "1", "EMPTY": "", "DOLLAR": "${A}", "_x9": "under"})
	for text, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		"${A}":               "1",
		"a${A}b${A}c":        "a1b1c",
		"${_x9}":             "under",
		"${EMPTY}":           "",
		"${EMPTY:-x}":        "x",
		"${NONE:-x}":         "x",
		"${NONE:-}":          "",
		"${NONE:-a b:c-d?e}": "a b:c-d?e",
		"${A:-x}":            "1",
		"${A:?no}":           "1",
		"${DOLLAR}":          "${A}", // what a variable holds is not looked at again
		"$$":                 "$",
		"$${A}":              "${A}",
		"$$$$":               "$$",
		"$$${A}":             "$1",
		"$":                  "$",
		"$5 and $A":          "$5 and $A",
		"100$":               "100$",
		"{{ a.b }}":          "{{ a.b }}",
		"${NONE}":            "!variable NONE is not set",
		"${NONE:?give it}":   "!variable NONE is not set: give it",
		"${EMPTY:?give it}":  "!give it",
		"${NONE:?}":          "!variable NONE is not set",
		"${":                 "!closing brace",
		"x ${A":              "!closing brace",
		"${}":                "!does not name a variable",
		"${ A }":             "!does not name a variable",
		"${9}":               "!does not name a variable",
		"${A:}":              "!is not understood",
		"${A:+x}":            "!is not understood",
		"${NONE:-${A}}":      "!holds another variable",
	} {
		got, err := expandText(text, env)
		if part, wrong := strings.CutPrefix(want, "!"); wrong {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q (%v), want the error %q", text, got, err, part)
			}
		} else if err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", text, got, err, want)
		}
	}
}

// TestExpandDollars: text whose dollars are doubled stays what it was.
func TestExpandDollars(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("$${}:-?A b"))).Draw(t, "text")
		got, err := expandText(strings.ReplaceAll(text, "$", "$$"), lookupIn(nil))
		if err != nil || got != text {
			t.Fatalf("%q became %q (%v)", text, got, err)
		}
	})
}

// TestExpandTypes: a value without quotes gets the type of its new text, one
// with quotes is text; keys are left alone.
func TestExpandTypes(t *testing.T) {
	env := lookupIn(map[string]string{"N": "12", "B": "true", "E": "", "T": "a: b", "F": "1.50", "X": "<<"})
	for source, want := range map[string]string{
		"v: ${N}":               `{"v":12}`,
		"v: '${N}'":             `{"v":"12"}`,
		`v: "${N}"`:             `{"v":"12"}`,
		"v: |-\n  ${N}":         `{"v":"12"}`,
		"v: >-\n  ${N}":         `{"v":"12"}`,
		"v: !!str ${N}":         `{"v":"12"}`,
		"v: ${N}0":              `{"v":120}`,
		"v: ${N} items":         `{"v":"12 items"}`,
		"v: ${B}":               `{"v":true}`,
		"v: ${E}":               `{"v":null}`,
		"v: ${F}":               `{"v":1.50}`,
		"v: ${T}":               `{"v":"a: b"}`,
		"v: ${X}":               `{"v":"<<"}`,
		"v: ['${N}', \"${B}\"]": `{"v":["12","true"]}`,
		"${N}: 1":               `{"${N}":1}`,
		"v: $$5":                `{"v":"$5"}`,
	} {
		d := parseDocument("f.yaml", []byte(source), &Redactor{})
		d.reading = newReading(Options{Env: env})
		d.expand(d.root)
		v, err := schema.Value(d.root)
		if err != nil || len(d.problems) > 0 {
			t.Fatalf("%s: %v %v", source, err, d.problems)
		}
		if got := string(AppendJSON(nil, v)); got != want {
			t.Errorf("%q: %s, want %s", source, got, want)
		}
	}
}

// TestRowsAreNotExpanded: what stands in a source is data.
func TestRowsAreNotExpanded(t *testing.T) {
	b := batchOf(t, "", oneInput, `{from: "-", map: {topic: "{{ row.a }}"}}`)
	got := inputsOf(itemsOf(t, b, strings.NewReader(`{"a": "${HOME} $$ {{ row.b }} {{ topic.text }}"}`)))
	if want := `{"topic":"${HOME} $$ {{ row.b }} {{ topic.text }}"}`; got[0] != want {
		t.Errorf("%s, want %s", got[0], want)
	}
}

// TestAliases: aliases and merge keys are applied before anything else looks.
func TestAliases(t *testing.T) {
	for source, want := range map[string]string{
		"a: &x {b: 1}\nc: *x":                                 `{"a":{"b":1},"c":{"b":1}}`,
		"a: &x {b: 1, d: 2}\nc: {<<: *x, b: 3}":               `{"a":{"b":1,"d":2},"c":{"b":3,"d":2}}`,
		"a: &x {b: 1}\nc: {b: 3, <<: *x}":                     `{"a":{"b":1},"c":{"b":3}}`,
		"a: &x {b: 1}\nd: &y {b: 2, e: 3}\nc: {<<: [*x, *y]}": `{"a":{"b":1},"c":{"b":1,"e":3},"d":{"b":2,"e":3}}`,
		"a: &x k\n*x : 1":                                     `{"a":"k","k":1}`,
		"a: &x {b: 1}\ne: &y {<<: *x, f: 2}\nc: {<<: *y}":     `{"a":{"b":1},"c":{"b":1,"f":2},"e":{"b":1,"f":2}}`,
		"a: [&x 1, *x, *x]":                                   `{"a":[1,1,1]}`,
		"'<<': {b: 1}":                                        `{"<<":{"b":1}}`,
		"1: a\ntrue: b\n2024-01-02: c\n~: d":                  `{"1":"a","2024-01-02":"c","true":"b","~":"d"}`,
	} {
		d := parseDocument("f.yaml", []byte(source), &Redactor{})
		if len(d.problems) > 0 {
			t.Errorf("%q: %v", source, d.problems)
			continue
		}
		v, err := schema.Value(d.root)
		if got := string(AppendJSON(nil, v)); err != nil || got != want {
			t.Errorf("%q: %s (%v), want %s", source, got, err, want)
		}
	}
	// Each alias is its own copy: --set and variables change one place only.
	d := parseDocument("f.yaml", []byte("a: &x {b: '$${V}'}\nc: *x"), &Redactor{})
	d.reading = newReading(Options{Env: lookupIn(nil)})
	d.expand(d.root)
	if v, _ := schema.Value(d.root); string(AppendJSON(nil, v)) != `{"a":{"b":"${V}"},"c":{"b":"${V}"}}` {
		t.Errorf("expanded twice: %s", AppendJSON(nil, v))
	}
}
