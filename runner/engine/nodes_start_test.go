package engine

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

func TestInput(t *testing.T) {
	t.Parallel()
	number := func(s string) json.Number { return json.Number(s) }
	for _, c := range []struct {
		name, node string
		in         runner.Inputs
		want       string // JSON
		err        string
	}{
		{name: "text", node: `input_type: string`, in: runner.Inputs{"in": "ä\r\n"}, want: `"ä\r\n"`},
		{name: "text of a number", node: `input_type: string`, in: runner.Inputs{"in": number("12345678901234567890")}, want: `"12345678901234567890"`},
		{name: "empty text is a value", node: `input_type: string, use_default_value: true, default_value: x`, in: runner.Inputs{"in": ""}, want: `""`},
		{name: "number as text", node: `input_type: int32`, in: runner.Inputs{"in": " 007 "}, want: `7`},
		{name: "whole number with a point", node: `input_type: int32`, in: runner.Inputs{"in": number("-2.0")}, want: `-2`},
		{name: "float keeps its digits", node: `input_type: float`, in: runner.Inputs{"in": number("1.23456789012345678901")}, want: `1.23456789012345678901`},
		{name: "bool as text", node: `input_type: bool`, in: runner.Inputs{"in": "FALSE"}, want: `false`},
		{name: "timestamp", node: `input_type: timestamp`, in: runner.Inputs{"in": "2026-11-23"}, want: `"2026-11-23"`},
		{name: "list", node: `input_type: vec<string>`, in: runner.Inputs{"in": []any{"a", number("1")}}, want: `["a",1]`},
		{name: "list as text", node: `input_type: vec<vec<string>>`, in: runner.Inputs{"in": `[["a"], []]`}, want: `[["a"],[]]`},
		{name: "default", node: `input_type: int32, use_default_value: true, default_value: "5"`, in: runner.Inputs{}, want: `5`},
		{name: "default instead of null", node: `input_type: string, use_default_value: true, default_value: x`, in: runner.Inputs{"in": nil}, want: `"x"`},
		{name: "default that is not used", node: `input_type: string, default_value: x`, in: runner.Inputs{}, err: `input "in" is missing`},
		{name: "missing", node: `input_type: string`, in: nil, err: `input "in" is missing`},
		{name: "null", node: `input_type: string`, in: runner.Inputs{"in": nil}, err: `input "in" is missing`},
		{name: "unknown", node: `input_type: string`, in: runner.Inputs{"in": "x", "inn": "y"}, err: `the pipeline has no input "inn"; did you mean "in"?`},
		{name: "list where text is due", node: `input_type: string`, in: runner.Inputs{"in": []any{}}, err: `input "in": it is a list, but must be text`},
		{name: "no number", node: `input_type: int32`, in: runner.Inputs{"in": "seven"}, err: `input "in": "seven" is not a number`},
		{name: "fraction", node: `input_type: int32`, in: runner.Inputs{"in": number("1.5")}, err: `input "in": 1.5 is not a whole number`},
		{name: "more than 32 bits", node: `input_type: int32`, in: runner.Inputs{"in": number("2147483648")}, err: `input "in": 2147483648 does not fit into 32 bits`},
		{name: "no bool", node: `input_type: bool`, in: runner.Inputs{"in": "1"}, err: `input "in": "1" is not true or false`},
		{name: "no list", node: `input_type: vec<string>`, in: runner.Inputs{"in": "a, b"}, err: `input "in": not a list, such as ["a", "b"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := "value"
			if strings.HasPrefix(c.node, "input_type: string") {
				out = "text"
			}
			outputs, err := runNodes(t, `
				in: {type: input, inputs: {`+c.node+`}}
				one: {type: create_list, inputs: {list: ["{{ in.`+out+` }}"]}}
				out: {type: output, inputs: {output_type: json, value: "{{ one.output }}"}}
			`, c.in)
			if c.err != "" {
				checkError(t, err, c.err)
				if inputError := (*runner.InputError)(nil); !errors.As(err, &inputError) {
					t.Errorf("%T is no *runner.InputError", err)
				}
				return
			}
			if got, want := asJSON(outputs), `{"out":[`+c.want+`]}`; err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		})
	}
}

func TestInputsThatAreRefused(t *testing.T) {
	t.Parallel()
	for node, want := range map[string]string{
		`input_type: agent`:    `input_type agent is not run here: it is an object of the platform: use backend vectorshift`,
		`input_type: pipeline`: `input_type pipeline is not run here: name the pipeline in a node of type pipeline, or use backend vectorshift`,
		`input_type: file, use_default_value: true, default_value: "https://h/a"`: `input "default_value": "https://h/a" is an address, not the path of a file; read it with a url_loader node`,
		`input_type: int32, use_default_value: true, default_value: x`:            `default_value: "x" is not a number`,
		`input_type: bool, use_default_value: true`:                               `default_value: "" is not true or false`,
	} {
		_, err := runNodes(t, `in: {type: input, inputs: {`+node+`}}`, nil)
		checkError(t, err, want)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, typ, value string // value is JSON
		want, err        string
	}{
		{"text", "string", `"ä\r\n"`, `"ä\r\n"`, ""},
		{"number as text", "string", `12345678901234567890`, `"12345678901234567890"`, ""},
		{"null as text", "string", `null`, `""`, ""},
		{"map as text", "stream<string>", `{"b": [1, null], "a": "ä"}`, `"{\"a\":\"ä\",\"b\":[1,null]}"`, ""},
		{"whole number", "int32", `"12"`, `12`, ""},
		{"float keeps its digits", "float", `12345678901234567890.10`, `12345678901234567890.10`, ""},
		{"bool", "bool", `"True"`, `true`, ""},
		{"timestamp", "timestamp", `"2026-11-23T00:00:00Z"`, `"2026-11-23T00:00:00Z"`, ""},
		{"JSON from text", "json", `"{\"b\": 12345678901234567890, \"a\": [null]}"`, `{"a":[null],"b":12345678901234567890}`, ""},
		{"JSON from a value", "json", `[1, {"a": "x"}]`, `[1,{"a":"x"}]`, ""},
		{"JSON null", "json", `null`, `null`, ""},
		{"no JSON", "json", `"{a: 1}"`, "", `node out (output): output_type json: "{a: 1}" is not JSON`},
		{"no number", "float", `"1,5"`, "", `node out (output): output_type float: "1,5" is not a number`},
		{"more than 32 bits", "int32", `-2147483649`, "", `node out (output): output_type int32: -2147483649 does not fit into 32 bits`},
		{"no bool", "bool", `1`, "", `node out (output): output_type bool: "1" is not true or false`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			outputs, err := runNodes(t, `
				given: {type: input}
				v: {type: read_json_values, inputs: {json_string: "{{ given.text }}", keys: [a], processed_outputs: {a: any}}}
				out: {type: output, inputs: {output_type: `+c.typ+`, value: "{{ v.a }}"}}
			`, runner.Inputs{"given": `{"a": ` + c.value + `}`})
			if c.err != "" {
				checkError(t, err, c.err)
			} else if got, want := asJSON(outputs), `{"out":`+c.want+`}`; err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		})
	}
}

func TestOutputsThatAreRefused(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		`dataframe`:       `output_type dataframe is not run here: give the rows as a CSV file (input_type file) and read them with csv_reader, or use backend vectorshift`,
		`"{{ in.text }}"`: `output_type {{ in.text }} is not run here: write it out, as one of the types that are published`,
	} {
		_, err := runNodes(t, `
			in: {type: input}
			out: {type: output, inputs: {output_type: `+typ+`, value: x}}
		`, runner.Inputs{"in": "string"})
		checkError(t, err, want)
	}
}

// Nodes that the catalogue knows and this engine does not.
func TestNodesThatAreRefused(t *testing.T) {
	t.Parallel()
	for nodes, want := range map[string]string{
		`a: {type: semantic_search, inputs: {documents: x, query: y}}`: `node type "semantic_search" is not run on this machine: cut the text with chunking, and let ai_filter_list keep the chunks that answer the query`,
		`a: {type: rss}`: `node type "rss" is not run on this machine: fetch the feed with an api node, and take its entries apart with code_execution`,
	} {
		if problems := New(Options{}).Check(parsePipeline(t, nodes)); len(problems) != 1 || problems[0].Message != want || problems[0].Line == 0 {
			t.Errorf("%v\nwant: %s", problems, want)
		}
		_, err := runNodes(t, nodes, nil)
		checkError(t, err, want)
	}
	_, err := New(Options{}).Save(t.Context(), &spec.Pipeline{Name: "p"}, runner.SaveOptions{})
	checkError(t, err, "pipeline p has no nodes that could be run")
}
