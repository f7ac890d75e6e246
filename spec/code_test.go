package spec

import (
	"fmt"
	"strings"
	"testing"
)

// codeFile is a batch file with a node of code, written as text after "code: ".
func codeFile(code string) string {
	return `version: 1
pipeline:
  name: one
  nodes:
    topic: {type: input, inputs: {input_type: string}}
    make:
      type: code_execution
      inputs:
        language: 1
        input_schema: [{name: text, type: string, value: "{{ topic.text }}"}]
        output_schema: [{name: a, type: string}]
        code: ` + code + `
    out: {type: output, inputs: {output_type: string, value: "{{ make.a }}"}}
batches:
  b: {inputs: [{topic: space}]}
`
}

// TestCodeVariables: what looks like a variable in code is mostly none.
func TestCodeVariables(t *testing.T) {
	env := lookupIn(map[string]string{"text": "set", "other": "set"})
	for code, want := range map[string]string{
		"a = `${missing}`":            "12:15: variable missing is not set; set it, or write ${missing:-default}; in JavaScript write $${missing}",
		"a = `${text}`":               "12:15: warning: the variable text of the environment becomes a part of the code; in JavaScript write $${text}, or ${text:?} if that is meant",
		"a = `$${text} $$$${text}`":   "",
		"a = '${text:?} ${N:-5}'":     "",
		"function a() {{ return 1 }}": "",
		"a = (() => {{ return }})()":  "",
		"a = '{{ topic }}'":           "12:15: {{ topic }} names a node, but no output of it; write {{ topic.text }}",
		"a = '{{ topc.text }}'":       `12:15: {{ topc.text }}: there is no node "topc"; did you mean "topic"?`,
		"a = `${text.x}`":             "12:15: ${text.x} does not name a variable; write $${ for plain text",
		"a = `${text}${other}$${b}`":  "12:15: warning: the variable other of the environment becomes a part of the code; in JavaScript write $${other}, or ${other:?} if that is meant; 12:15: warning: the variable text of the environment becomes a part of the code; in JavaScript write $${text}, or ${text:?} if that is meant",
	} {
		_, problems := Parse("f.yaml", []byte(codeFile(code)), Options{Env: env})
		var got []string
		for _, p := range problems {
			kind := ""
			if p.Warning {
				kind = "warning: "
			}
			got = append(got, fmt.Sprintf("%d:%d: %s%s", p.Line, p.Col, kind, p.Message))
		}
		if got := strings.Join(got, "; "); got != want {
			t.Errorf("%s:\n %s\nwant\n %s", code, got, want)
		}
	}
	// Beside the code, variables are filled in as everywhere, and braces looked at.
	text := strings.Replace(codeFile("a = 1"), "name: text, type: string, value: \"", "name: text, type: string, value: \"${text} {{ return }} ", 1)
	if _, problems := Parse("f.yaml", []byte(text), Options{Env: env}); len(problems) != 1 || !strings.HasPrefix(problems[0].Message, "{{ return }} is no reference to a node") {
		t.Errorf("an input of the node: %v", problems)
	}
}

// TestProblemInside: a problem of a text in a block is shown where it stands.
func TestProblemInside(t *testing.T) {
	for _, test := range []struct {
		name, code string
		line, col  int
		want       string
	}{
		{"block", "|\n          é = 1\n          b = 2", 2, 5, "14:15"},
		{"with an empty line first", "|\n\n          a = 1", 2, 1, "14:11"},
		{"with a comment and a chomping", "|- # so\n          a = 1", 1, 3, "13:13"},
		{"with an indent of its own", "|2\n            a = 1", 1, 5, "13:15"},
		{"an escaped dollar", "|\n          a = 1\n          b = `$${a}`", 2, 1, "14:11"},
		{"behind its end", "|\n          a = (\n", 2, 1, "13:16"},
		{"plain", "a = 1", 1, 3, "12:15"},
		{"folded", ">\n          a = 1\n          b = 2", 1, 9, "12:15"},
		{"quoted", `"a = 1\nb = 2"`, 2, 1, "12:15"},
		{"of a variable with lines", "|\n          ${many:?}\n          b = 2", 2, 1, "12:15"},
		{"windows", "|\r\n          a = 1\r\n          b = 2\r", 2, 3, "14:13"},
		{"no line", "|\n          a = 1", 0, 0, "12:15"},
	} {
		f, problems := Parse("f.yaml", []byte(codeFile(test.code)), Options{Env: lookupIn(map[string]string{"many": "x\ny\nz"})})
		if len(problems) > 0 {
			t.Errorf("%s: %v", test.name, problems)
			continue
		}
		p := f.Pipeline.Node("make").ProblemInside("code", test.line, test.col, "wrong")
		if got := fmt.Sprintf("%d:%d", p.Line, p.Col); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	f := parsed(t, "", codeFile("x"), Options{Set: []string{"pipeline.nodes.make.inputs.code=a = ("}})
	if p := f.Pipeline.Node("make").ProblemInside("code", 1, 5, "wrong"); p.Line != 0 || !strings.HasPrefix(p.File, "--set ") {
		t.Errorf("of a flag: %+v", p)
	}
	over, err := parsed(t, "", codeFile("|\n          a = (\n"), Options{}).Pipeline.Override(map[string]any{"make.code": "b = ("})
	if err != nil {
		t.Fatal(err)
	}
	if p := over.Nodes[1].ProblemInside("code", 1, 5, "wrong"); p.Line != 12 {
		t.Errorf("of an override: %+v", p)
	}
	if p := (&Node{}).ProblemInside("code", 1, 5, "wrong"); p.Line != 0 || p.Message != "wrong" {
		t.Errorf("of a node without a file: %+v", p)
	}
}
