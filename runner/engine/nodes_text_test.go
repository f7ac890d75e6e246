package engine

import "testing"

func TestCombineText(t *testing.T) {
	t.Parallel()
	testNodes(t, "combine_text", "processed_text", []nodeCase{
		{name: "nothing between", node: `text: [a, b, " c"]`, want: `"ab c"`},
		{name: "empty list", node: `text: []`, want: `""`},
		{name: "null and empty pieces", node: `text: ["{{ v.a }}", "", x]`, given: `{"a": null}`, want: `"x"`},
		{name: "unicode", node: `text: ["{{ v.a }}", "\u0301👩"]`, given: `{"a": "e"}`, want: "\"e\u0301👩\""},
		{name: "long number", node: `text: ["{{ v.a }}", "!"]`, given: `{"a": 12345678901234567890}`, want: `"12345678901234567890!"`},
		{name: "nested values are JSON", node: `text: ["{{ v.a }}"]`, given: `{"a": {"y": [1, "z"], "x": null}}`, want: `"{\"x\":null,\"y\":[1,\"z\"]}"`},
		{name: "list from elsewhere", node: `text: "{{ v.a }}"`, given: `{"a": ["x", 1, true]}`, want: `"x1true"`},
		{name: "list as text", node: `text: "{{ v.a }}"`, given: `{"a": "[\"x\", \"y\"]"}`, want: `"xy"`},
		{name: "null instead of a list", node: `text: "{{ v.a }}"`, given: `{"a": null}`, want: `""`},
		{name: "text instead of a list", node: `text: "{{ v.a }}"`, given: `{"a": "x"}`, err: `node n (combine_text): input "text": "x" is not a list`},
		{name: "map instead of a list", node: `text: "{{ v.a }}"`, given: `{"a": {"b": 1}}`, err: `node n (combine_text): input "text": "{\"b\":1}" is not a list`},
	})
}

func TestSplitText(t *testing.T) {
	t.Parallel()
	const text = `text: "{{ v.a }}"`
	testNodes(t, "split_text", "processed_text", []nodeCase{
		{name: "space is the default", node: text, given: `{"a": "a b"}`, want: `["a","b"]`},
		{name: "runs of white space", node: text, given: `{"a": " a\t\r\n b\u00a0c "}`, want: `["a","b","c"]`},
		{name: "only white space", node: text, given: `{"a": " \n "}`, want: `[]`},
		{name: "null", node: text, given: `{"a": null}`, want: `[]`},
		{name: "number", node: text, given: `{"a": 12345678901234567890}`, want: `["12345678901234567890"]`},
		{name: "lines", node: text + `, delimiter: newline`, given: `{"a": "a\nb\n\nc"}`, want: `["a","b","","c"]`},
		{name: "CRLF", node: text + `, delimiter: newline`, given: `{"a": "a\r\nb\r\n"}`, want: `["a","b"]`},
		{name: "a lone CR is no newline", node: text + `, delimiter: newline`, given: `{"a": "a\rb"}`, want: `["a\rb"]`},
		{name: "one empty line", node: text + `, delimiter: newline`, given: `{"a": "\n"}`, want: `[""]`},
		{name: "two empty lines", node: text + `, delimiter: newline`, given: `{"a": "\r\n\n"}`, want: `["",""]`},
		{name: "no line", node: text + `, delimiter: newline`, given: `{"a": ""}`, want: `[]`},
		{name: "characters", node: text + `, delimiter: character(s), character: ", "`, given: `{"a": "a, b,c, "}`, want: `["a","b,c",""]`},
		{name: "characters are no pattern", node: text + `, delimiter: character(s), character: "."`, given: `{"a": "a.b"}`, want: `["a","b"]`},
		{name: "characters in nothing", node: text + `, delimiter: character(s), character: ","`, given: `{"a": ""}`, want: `[""]`},
		{name: "unicode separator", node: text + `, delimiter: character(s), character: →`, given: `{"a": "ä→ö"}`, want: `["ä","ö"]`},
		{name: "empty separator", node: text + `, delimiter: character(s), character: ""`, given: `{"a": "ab"}`, err: `node n (split_text): input "character" is empty, so there is nothing to split at`},
		{name: "unknown delimiter", node: text + `, delimiter: "{{ v.b }}"`, given: `{"a": "ab", "b": "tab"}`, err: `node n (split_text): input "delimiter": "tab" is not one of character(s), newline, space`},
	})
}

func TestTextFormatter(t *testing.T) {
	t.Parallel()
	const text = `text: "{{ v.a }}", `
	testNodes(t, "text_formatter", "output", []nodeCase{
		{name: "upper case is the default", node: `text: "{{ v.a }}"`, given: `{"a": "straße é"}`, want: `"STRAßE É"`},
		{name: "lower case", node: text + `formatter: To Lowercase`, given: `{"a": "ÄB ΣX 1"}`, want: `"äb σx 1"`},
		{name: "proper case", node: text + `formatter: To Propercase`, given: `{"a": "the QUICK well-known\tfox, 3rd ǆ"}`, want: `"The Quick Well-Known\tFox, 3rd ǅ"`},
		{name: "proper case and apostrophes", node: text + `formatter: To Propercase`, given: `{"a": "don't O’NEIL 'quoted' dogs' x"}`, want: `"Don't O’neil 'Quoted' Dogs' X"`},
		{name: "proper case and accents of their own", node: text + `formatter: To Propercase`, given: `{"a": "cafe\u0301s A\u0308RA"}`, want: "\"Cafe\u0301s A\u0308ra\""},
		{name: "trim", node: text + `formatter: Trim Spaces`, given: `{"a": "\u00a0\r\n a  b \t"}`, want: `"a  b"`},
		{name: "truncate counts characters", node: text + `formatter: Truncate, max_num_token: 1`, given: `{"a": "äöü👩x"}`, want: `"äöü👩"`},
		{name: "truncate what is short", node: text + `formatter: Truncate, max_num_token: 2`, given: `{"a": "abcdefgh"}`, want: `"abcdefgh"`},
		{name: "truncate to nothing", node: text + `formatter: Truncate, max_num_token: 0`, given: `{"a": "abc"}`, want: `""`},
		{name: "truncate at a number as text", node: text + `formatter: Truncate, max_num_token: "{{ v.b }}"`, given: `{"a": "abcdef", "b": " 1.0 "}`, want: `"abcd"`},
		{name: "truncate below nothing", node: text + `formatter: Truncate, max_num_token: -1`, given: `{"a": "abc"}`, err: `node n (text_formatter): input "max_num_token": -1 is negative`},
		{name: "truncate at a fraction", node: text + `formatter: Truncate, max_num_token: "{{ v.b }}"`, given: `{"a": "abc", "b": 1.5}`, err: `node n (text_formatter): input "max_num_token": 1.5 is not a whole number`},
		{name: "truncate far away", node: text + `formatter: Truncate, max_num_token: "{{ v.b }}"`, given: `{"a": "abc", "b": 12345678901234567890}`, err: `node n (text_formatter): input "max_num_token": 12345678901234567890 is too large`},
		{name: "null", node: text + `formatter: To Propercase`, given: `{"a": null}`, want: `""`},
		{name: "list is JSON", node: `text: "{{ v.a }}"`, given: `{"a": ["x"]}`, want: `"[\"X\"]"`},
		{name: "unknown formatter", node: text + `formatter: "{{ v.b }}"`, given: `{"a": "x", "b": "Reverse"}`, err: `node n (text_formatter): input "formatter": "Reverse" is not one of To Lowercase, To Propercase, To Uppercase, Trim Spaces, Truncate`},
	})
}

func TestFindAndReplace(t *testing.T) {
	t.Parallel()
	const text = `text_to_manipulate: "{{ v.a }}", `
	testNodes(t, "find_and_replace", "processed_text", []nodeCase{
		{name: "all occurrences, in order", node: text + `replacements: [{find: a, replace: b}, {find: b, replace: c}]`, given: `{"a": "aab"}`, want: `"ccc"`},
		{name: "no pattern", node: text + `replacements: [{find: ".*", replace: $0}]`, given: `{"a": "a.*b"}`, want: `"a$0b"`},
		{name: "no pairs", node: `text_to_manipulate: "{{ v.a }}"`, given: `{"a": "x"}`, want: `"x"`},
		{name: "replaced by nothing", node: text + `replacements: [{find: x}]`, given: `{"a": "axb"}`, want: `"ab"`},
		{name: "CRLF", node: text + `replacements: [{find: "\r\n", replace: "\n"}]`, given: `{"a": "a\r\nb\n"}`, want: `"a\nb\n"`},
		{name: "unicode", node: text + `replacements: [{find: ß, replace: 👩}]`, given: `{"a": "aßb"}`, want: `"a👩b"`},
		{name: "case matters", node: text + `replacements: [{find: A, replace: x}]`, given: `{"a": "aA"}`, want: `"ax"`},
		{name: "typed values are text", node: text + `replacements: [{find: "{{ v.b }}", replace: "{{ v.c }}"}]`, given: `{"a": "n 7", "b": 7, "c": [1]}`, want: `"n [1]"`},
		{name: "pairs from elsewhere", node: text + `replacements: "{{ v.b }}"`, given: `{"a": "x", "b": [{"find": "x", "replace": "y"}]}`, want: `"y"`},
		{name: "nothing to find", node: text + `replacements: [{find: a, replace: b}, {find: "", replace: x}]`, given: `{"a": "a"}`, err: `node n (find_and_replace): input "replacements": element 1 has nothing to find`},
		{name: "no pair", node: text + `replacements: "{{ v.b }}"`, given: `{"a": "a", "b": ["x"]}`, err: `node n (find_and_replace): input "replacements": element 0 is not {find: ..., replace: ...}`},
		{name: "no list", node: text + `replacements: "{{ v.b }}"`, given: `{"a": "a", "b": 1}`, err: `node n (find_and_replace): input "replacements": "1" is not a list`},
	})
}
