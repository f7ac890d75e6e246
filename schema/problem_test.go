package schema

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func node(t *testing.T, source string) *yaml.Node {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(source), &n); err != nil {
		t.Fatal(err)
	}
	return n.Content[0]
}

func TestDidYouMean(t *testing.T) {
	names := []string{"concurrency", "timeout", "To Uppercase", "a", "id", "max_tokens"}
	for word, want := range map[string]string{
		"concurency": "concurrency", "Concurrency": "concurrency", "tiemout": "timeout", "to_uppercase": "To Uppercase", "touppercase": "To Uppercase",
		"maxTokens": "max_tokens", "max-tokens": "max_tokens", "ID": "id", "A": "a",
		"something else": "", "b": "", "xy": "", "": "", "timeout": "",
	} {
		got := DidYouMean(word, names)
		if want == "" && got != "" || want != "" && got != `; did you mean "`+want+`"?` {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	ps := Problems{
		{File: "b", Line: 2, Col: 1, Message: "second", Snippet: "s"},
		{File: "b", Line: 1, Col: 9, Message: "late"},
		{File: "b", Line: 1, Col: 2, Message: "early", Warning: true},
		{File: "a", Message: "whole"},
		{File: "b", Line: 2, Col: 1, Message: "second", Snippet: "s"},
	}.Sort()
	want := "a: whole\nb:1:2: warning: early\nb:1:9: late\nb:2:1: second\ns"
	if got := ps.Error(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	errs, warnings := ps.Split()
	if len(errs) != 3 || len(warnings) != 1 || warnings[0].Message != "early" {
		t.Errorf("%d errors, %d warnings", len(errs), len(warnings))
	}
}

// TestValue turns YAML into the values of JSON; numbers keep their digits.
func TestValue(t *testing.T) {
	for source, want := range map[string]string{
		"1": "1", "-1": "-1", "+1": "1", "1_000": "1000", "0x1F": "31", "0o17": "15", "0b101": "5", "1.50": "1.50", "1e3": "1e3", ".5": "0.5",
		"123456789012345678901234567890": "123456789012345678901234567890", "0.1000000000000000000001": "0.1000000000000000000001",
		"true": "true", "~": "null", "": "null", "text": `"text"`, "'1'": `"1"`, "2024-01-02": `"2024-01-02"`, "yes": `"yes"`, "!!str 5": `"5"`,
		"{1: a, true: b}": `{"1":"a","true":"b"}`, "[a, {b: [1]}]": `["a",{"b":[1]}]`,
	} {
		v, err := Value(node(t, "["+strings.TrimSpace(source+" ")+"]"))
		if source == "" {
			v, err = Value(node(t, "[~]"))
		}
		if got := string(marshal(v)); err != nil || got != "["+want+"]" {
			t.Errorf("%s: %s (%v), want [%s]", source, got, err, want)
		}
	}
	for _, source := range []string{".nan", ".inf", "-.inf", "!!int x", "!!bool x", "!!float x"} {
		if v, err := Value(node(t, "{a: ["+source+"]}")); err == nil || strings.Contains(err.Error(), "unmarshal") {
			t.Errorf("%s: %v (%v)", source, v, err)
		}
	}
}

// TestReferencesAnywhere: where a type wants a number, a switch or a list, a
// reference may stand, and other text may not.
func TestReferencesAnywhere(t *testing.T) {
	trimmer := LookupNodeType("list_trimmer")
	for source, bad := range map[string]string{
		`{type: string, list: "{{ a.b }}", item_to_keep: "{{ a.b }}", specify_section: "{{ c.d }}"}`: "",
		`{type: "{{ a.b }}", list: [a, "{{ a.b }}"], item_to_keep: 5}`:                               "",
		`{list: "a", item_to_keep: 5}`:   "list is the text",
		`{list: [], item_to_keep: five}`: "item_to_keep is the text",
		`{list: [], item_to_keep: 1.5}`:  "item_to_keep is 1.5",
	} {
		problems := Problems(ValidateInputs(trimmer, node(t, source), ""))
		if got := problems.Error(); (got == "") != (bad == "") || !strings.Contains(got, bad) {
			t.Errorf("%s: %q, want %q", source, got, bad)
		}
	}
}

// TestNearest: of names that differ in case only, the one that is written alike.
func TestNearest(t *testing.T) {
	for _, test := range []struct {
		word, want string
		names      []string
	}{
		{"tnoe", "tone", []string{"Tone", "tone"}},
		{"TNOE", "TONE", []string{"tone", "TONE", "Tone"}},
		{"base_ulr", "base_url", []string{"BaseURL", "base_url"}},
		{"tone", "", []string{"Tone", "tone"}},
		{"tone", "Tone", []string{"Tone", "told"}},
		{"ab", "", []string{"abcdefgh", "xy"}},
		{"über", "uber", []string{"uber"}},
	} {
		if got := Nearest(test.word, test.names); got != test.want {
			t.Errorf("%s among %v: %q, want %q", test.word, test.names, got, test.want)
		}
	}
}
