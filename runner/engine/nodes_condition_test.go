package engine

import (
	"testing"

	"nightshift/runner"
)

// condition runs a condition of one group, and tells whether it held.
func condition(t *testing.T, group, given string) (string, error) {
	t.Helper()
	outputs, err := runNodes(t, `
		given: {type: input}
		v:
		  type: read_json_values
		  inputs: {json_string: "{{ given.text }}", keys: [a, b], processed_outputs: {a: any, b: any}}
		n: {type: condition, inputs: {conditions: [`+group+`]}}
		yes: {type: text, inputs: {text: "true", dependencies: ["{{ n.path_0 }}"]}}
		no: {type: text, inputs: {text: "false", dependencies: ["{{ n.path_else }}"]}}
		all: {type: merge, inputs: {function: join, fields: ["{{ yes.text }}", "{{ no.text }}"]}}
		out: {type: output, inputs: {value: "{{ all.output }}"}}
	`, runner.Inputs{"given": given})
	if err != nil {
		return "", err
	}
	return outputs["out"].(string), nil
}

func TestConditionOperators(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		operator, a, b string // b "": the operator takes one side
		want           string // true, false or an error
	}{
		{"Equal", `"a"`, `"a"`, "true"},
		{"Equal", `"a"`, `"A"`, "false"},
		{"Equal", `"1.0"`, `1`, "true"},
		{"Equal", `" 007 "`, `"7"`, "true"},
		{"Equal", `1e2`, `"100.00"`, "true"},
		{"Equal", `-0.0`, `0`, "true"},
		{"Equal", `12345678901234567890`, `12345678901234567891`, "false"},
		{"Equal", `12345678901234567890`, `"12345678901234567890.0"`, "true"},
		{"Equal", `0.1000000000000000001`, `0.1`, "false"},
		{"Equal", `1e999`, `1e998`, "false"},
		{"Equal", `"+x"`, `"x"`, "false"},
		{"Equal", `true`, `"true"`, "true"},
		{"Equal", `null`, `""`, "true"},
		{"Equal", `[1, {"k": "x"}]`, `"[1,{\"k\":\"x\"}]"`, "true"},
		{"not equals", `"é"`, `"e"`, "true"},
		{"NOT_EQUAL", `1`, `"1"`, "false"},
		{"LessThan", `9`, `"10"`, "true"},
		{"LessThan", `-12345678901234567891`, `-12345678901234567890`, "true"},
		{"LessThan", `9223372036854775807`, `9223372036854775808`, "true"},
		{"LessThan", `-1`, `0.5`, "true"},
		{"LESS_THAN", `2`, `2`, "false"},
		{"LessThan", `"a"`, `1`, `left side: "a" is not a number`},
		{"GreaterThan", `0.001`, `1e-4`, "true"},
		{"greater than", `1`, `null`, `right side: "" is not a number`},
		{"less or equal", `2`, `"2.0"`, "true"},
		{"LessThanEqual", `3`, `2`, "false"},
		{"GREATER_THAN_EQUAL", `2`, `2`, "true"},
		{"GreaterThanEqual", `1e400`, `1e401`, "false"},
		{"TextContains", `"Straße"`, `"aß"`, "true"},
		{"contains", `"abc"`, `"B"`, "false"},
		{"TextContains", `12345678901234567890`, `67890`, "true"},
		{"TextContains", `null`, `""`, "true"},
		{"TextDoesNotContains", `"abc"`, `"x"`, "true"},
		{"does not contain", `"abc"`, `"b"`, "false"},
		{"begins with", `"abc"`, `"ab"`, "true"},
		{"TextDoesNotStartWith", `"abc"`, `"b"`, "true"},
		{"TEXT_ENDS_WITH", `"abc\r\n"`, `"\n"`, "true"},
		{"TextDoesNotEndWith", `"abc"`, `"bc"`, "false"},
		{"TextLengthGreaterThan", `"äö👩"`, `"2"`, "true"},
		{"longer than", `"äö"`, `2`, "false"},
		{"shorter than", `""`, `1`, "true"},
		{"TextLengthLessThan", `"abc"`, `"2.5"`, `"2.5" is not a number of characters`},
		{"IsEmpty", `""`, "", "true"},
		{"IsEmpty", `null`, "", "true"},
		{"IsEmpty", `[]`, "", "true"},
		{"is empty", `{}`, "", "true"},
		{"IsEmpty", `0`, "", "false"},
		{"IsEmpty", `false`, "", "false"},
		{"IS_NOT_EMPTY", `" "`, "", "true"},
		{"IsTrue", `"TRUE"`, "", "true"},
		{"IsTrue", `false`, "", "false"},
		{"IsFalse", `false`, "", "true"},
		{"IsFalse", `"no"`, "", `left side: "no" is not true or false`},
		{"VecContainsItem", `["a", "1.0", null]`, `1`, "true"},
		{"list contains item", `"[\"a\"]"`, `"a"`, "true"},
		{"VecContainsItem", `[]`, `""`, "false"},
		{"VecContainsItem", `null`, `"a"`, "false"},
		{"VecContainsItem", `["12345678901234567890"]`, `12345678901234567891`, "false"},
		{"VecContainsItem", `"a"`, `"a"`, `left side: "a" is not a list`},
		{"VecDoesNotContainsItem", `["a"]`, `"b"`, "true"},
		{"VecDoesNotContainItem", `5`, `"b"`, `left side: "5" is not a list`},
		{"VecContainsVec", `[1, 2, 3]`, `["3", 1]`, "true"},
		{"list contains list", `[1]`, `[1, 2]`, "false"},
		{"VecContainsVec", `[1]`, `[]`, "true"},
		{"VecContainsVec", `[1]`, `1`, `right side: "1" is not a list`},
		{"MapContainsKey", `{"ä.b": null}`, `"ä.b"`, "true"},
		{"map contains key", `"{\"a\": 1}"`, `"b"`, "false"},
		{"MapContainsKey", `[1]`, `"a"`, `left side: "[1]" is not a map`},
	} {
		t.Run(c.operator+"/"+c.a+"/"+c.b, func(t *testing.T) {
			t.Parallel()
			record, list := `{operator: `+c.operator+`, input: "{{ v.a }}", value: "{{ v.b }}"}`, `[`+c.operator+`, "{{ v.a }}", "{{ v.b }}"]`
			given := `{"a": ` + c.a + `, "b": ` + c.b + `}`
			if c.b == "" {
				record, list = `{operator: `+c.operator+`, input: "{{ v.a }}"}`, `[`+c.operator+`, "{{ v.a }}"]`
				given = `{"a": ` + c.a + `}`
			}
			for _, clause := range []string{record, list} {
				got, err := condition(t, `{clauses: [`+clause+`]}`, given)
				if c.want == "true" || c.want == "false" {
					if err != nil || got != `["`+c.want+`"]` {
						t.Errorf("%s: %s, %v; want %s", clause, got, err, c.want)
					}
				} else {
					checkError(t, err, `node n (condition): conditions[0]: clauses[0]: `+c.want)
				}
			}
		})
	}
}

func TestConditionGroups(t *testing.T) {
	t.Parallel()
	const (
		yes = `{operator: Equal, input: x, value: x}`
		no  = `{operator: Equal, input: x, value: y}`
		bad = `{operator: LessThan, input: x, value: y}`
	)
	for group, want := range map[string]string{
		`{clauses: [` + yes + `]}`:                                             `["true"]`,
		`{clauses: [` + no + `]}`:                                              `["false"]`,
		`{clauses: [` + yes + `,` + no + `], operators: [AND]}`:                `["false"]`,
		`{clauses: [` + no + `,` + yes + `], operators: [OR]}`:                 `["true"]`,
		`{clauses: [` + yes + `,` + no + `,` + no + `], operators: [OR, AND]}`: `["false"]`, // left to right, not AND first
		`{clauses: [` + no + `,` + no + `,` + yes + `], operators: [AND, OR]}`: `["true"]`,
		`{clauses: [` + yes + `,` + bad + `], operators: [OR]}`:                `["true"]`, // decided: the rest is not looked at
		`{clauses: [` + no + `,` + bad + `], operators: [AND]}`:                `["false"]`,
		`{clauses: [{operator: Equal, input: "{{ v.a }}", key: k, value: 1}]}`: `["true"]`,
		`{clauses: [{operator: Equal, input: "{{ v.b }}", key: k, value: 2}]}`: `["true"]`, // of text that is JSON
		`{clauses: [{operator: IsEmpty, input: "{{ v.a }}", key: gone}]}`:      `["true"]`,
	} {
		got, err := condition(t, group, `{"a": {"k": "1.0"}, "b": "{\"k\": 2}"}`)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", group, got, err, want)
		}
	}
	for group, want := range map[string]string{
		`{clauses: [` + yes + `,` + bad + `], operators: [AND]}`:       `node n (condition): conditions[0]: clauses[1]: left side: "x" is not a number`,
		`{clauses: [{operator: IsEmpty, input: "{{ v.a }}", key: k}]}`: `node n (condition): conditions[0]: clauses[0]: the left side has no fields, so it has no "k"`,
		`{clauses: []}`:                       `conditions[0]: has no clauses`,
		`{clauses: [` + yes + `,` + no + `]}`: `conditions[0]: 2 clauses need 1 operators between them, but there are 0`,
		`{clauses: [` + yes + `,` + no + `], operators: ["{{ v.a }}"]}`: `conditions[0]: operators[0]: "{{ v.a }}" is neither AND nor OR`,
		`{clauses: [{operator: IsBefore, input: x, value: y}]}`:         `conditions[0]: clauses[0]: there is no operator "IsBefore"`,
		`{clauses: [{operator: GraterThan, input: x, value: y}]}`:       `conditions[0]: clauses[0]: there is no operator "GraterThan"; did you mean "GreaterThan"?`,
		`{clauses: [{operator: Equal, input: x}]}`:                      `conditions[0]: clauses[0]: Equal needs a value to compare with`,
		`{clauses: [{operator: IsEmpty, input: x, value: y}]}`:          `conditions[0]: clauses[0]: IsEmpty takes no value`,
		`{clauses: [{operator: IsEmpty}]}`:                              `conditions[0]: clauses[0]: IsEmpty needs an input to test`,
		`{clauses: [[IsEmpty]]}`:                                        `conditions[0]: clauses[0]: IsEmpty needs an input to test`,
		`{clauses: ["{{ v.a }}"]}`:                                      `conditions[0]: clauses[0]: must be written out as {operator: ..., input: ..., value: ...}`,
		`"{{ v.a }}"`:                                                   `conditions[0]: must be written out as {clauses: [...]}`,
	} {
		_, err := condition(t, group, `{"a": "text"}`)
		checkError(t, err, want)
	}
	_, err := runNodes(t, `
		v: {type: input}
		n: {type: condition, inputs: {conditions: "{{ v.text }}"}}
	`, nil)
	checkError(t, err, `conditions must be written out: they decide which outputs the node has`)
}
