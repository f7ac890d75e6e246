package spec

import (
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

// TestSnippet: the caret stands below the column, as a terminal shows it.
func TestSnippet(t *testing.T) {
	for _, test := range []struct {
		name, line string
		col        int // of the X in line
		shown      string
	}{
		{"plain", "ab X", 4, "ab X"},
		{"tab", "a\tX", 3, "a X"},
		{"accents", "é è X", 5, "é è X"},
		{"combining", "e\u0301 X", 4, "e\u0301 X"},
		{"wide", "漢字: X", 5, "漢字: X"},
		{"emoji", "👩‍👩‍👧 X", 7, "👩‍👩‍👧 X"},
		{"long before", strings.Repeat("a", 150) + "X", 151, "…" + strings.Repeat("a", 40) + "X"},
		{"long after", "aX" + strings.Repeat("b", 150), 2, "aX" + strings.Repeat("b", 98) + "…"},
		{"long wide", strings.Repeat("漢", 150) + "X", 151, "…" + strings.Repeat("漢", 40) + "X"},
		{"past the end", "ab", 9, "ab"},
		{"secret before", "hunter2 hunter2 X", 17, "[hidden] [hidden] X"},
		{"secret cut by the window", "hunter2" + strings.Repeat("a", 150) + "X", 158, "…" + strings.Repeat("a", 40) + "X"},
		{"secret at the window's edge", strings.Repeat("a", 20) + "hunter2" + strings.Repeat("b", 37) + "X" + strings.Repeat("c", 100), 65,
			"…en]" + strings.Repeat("b", 37) + "X" + strings.Repeat("c", 59) + "…"},
	} {
		d := &document{split: []string{"", test.line}, redact: NewRedactor([]string{"hunter2"})}
		got := d.snippet(2, test.col)
		line, caret, _ := strings.Cut(got, "\n")
		if want := "    2 | " + test.shown; line != want {
			t.Errorf("%s: %q, want %q", test.name, line, want)
		}
		before, _, found := strings.Cut(line, "X")
		if !found {
			before = line
		}
		if len(caret)-1 != uniseg.StringWidth(before) || !strings.HasSuffix(caret, "^") {
			t.Errorf("%s: the caret is off:\n%s", test.name, got)
		}
	}
	d := &document{split: []string{"a"}, redact: &Redactor{}}
	if got := d.snippet(0, 0) + d.snippet(2, 1); got != "" {
		t.Errorf("a snippet of no line: %q", got)
	}
}

// TestSnippetLines: lines end where the parser thinks so.
func TestSnippetLines(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028"} {
		source := strings.Join([]string{"version: 1", "pipeline: x", "bathces: y", ""}, end)
		_, problems := Parse("f.yaml", []byte(source), Options{})
		if end == "\u0085" || end == "\u2028" {
			source = "a: \"one" + end + "two\"\nbathces: y\n"
			_, problems = Parse("f.yaml", []byte(source), Options{})
		}
		if got := problems.Error(); !strings.Contains(got, "3 | bathces: y\n      | ^") {
			t.Errorf("%q: no snippet of the line in\n%s", end, got)
		}
	}
}
