package engine

import (
	"strings"
	"testing"
)

func TestReadJSONValues(t *testing.T) {
	t.Parallel()
	const text = `json_string: "{{ v.a }}", `
	testNodes(t, "read_json_values", "json_values", []nodeCase{
		{name: "text", node: text + `keys: [k]`, given: `{"a": "{\"k\": \"ä\"}"}`, out: "k", want: `"ä"`},
		{name: "a key as a record", node: text + `keys: [{key: k}]`, given: `{"a": "{\"k\": \"x\"}"}`, out: "k", want: `"x"`},
		{name: "a missing key is the text null", node: text + `keys: [k]`, given: `{"a": "{}"}`, out: "k", want: `"null"`},
		{name: "a typed key that is missing too", node: text + `keys: [k], processed_outputs: {k: int32}`, given: `{"a": "{}"}`, out: "k", want: `"null"`},
		{name: "null is the text null", node: text + `keys: [k]`, given: `{"a": "{\"k\": null}"}`, out: "k", want: `"null"`},
		{name: "null where a number is named", node: text + `keys: [k], processed_outputs: {k: int32}`, given: `{"a": "{\"k\": null}"}`, out: "k", want: `null`},
		{name: "other values are JSON text", node: text + `keys: [k]`, given: `{"a": "{\"k\": [1, {\"b\": true}]}"}`, out: "k", want: `"[1,{\"b\":true}]"`},
		{name: "long number as text", node: text + `keys: [k]`, given: `{"a": "{\"k\": 12345678901234567890}"}`, out: "k", want: `"12345678901234567890"`},
		{name: "long number as number", node: text + `keys: [k], processed_outputs: {k: float}`, given: `{"a": "{\"k\": 12345678901234567890}"}`, out: "k", want: `12345678901234567890`},
		{name: "number as text of a typed key", node: text + `keys: [k], processed_outputs: {k: int32}`, given: `{"a": "{\"k\": \"5\"}"}`, out: "k", want: `5`},
		{name: "list of a typed key", node: text + `keys: [k], processed_outputs: {k: vec<string>}`, given: `{"a": "{\"k\": [\"x\"]}"}`, out: "k", want: `["x"]`},
		{name: "path", node: text + `keys: [k.l.m]`, given: `{"a": "{\"k\": {\"l\": {\"m\": \"x\"}}}"}`, out: "k.l.m", want: `"x"`},
		{name: "literal before path", node: text + `keys: [k.l]`, given: `{"a": "{\"k.l\": \"literal\", \"k\": {\"l\": \"path\"}}"}`, out: "k.l", want: `"literal"`},
		{name: "path through a text", node: text + `keys: [k.l]`, given: `{"a": "{\"k\": \"x\"}"}`, out: "k.l", want: `"null"`},
		{name: "all values", node: text + `keys: [y, x.z, gone], processed_outputs: {y: float}`, given: `{"a": "{\"x\": {\"z\": [1]}, \"y\": 1.50, \"other\": 2}"}`, want: `"{\"gone\":null,\"x.z\":[1],\"y\":1.50}"`},
		{name: "an object instead of text", node: text + `keys: [k]`, given: `{"a": {"k": "x"}}`, out: "k", want: `"x"`},
		{name: "a list has no keys", node: text + `keys: [k]`, given: `{"a": [1]}`, out: "k", want: `"null"`},
		{name: "CRLF between", node: text + `keys: [k]`, given: `{"a": "{\r\n\"k\":\r\n\"x\\r\\n\"}\r\n"}`, out: "k", want: `"x\r\n"`},
		{name: "wrong type", node: text + `keys: [k], processed_outputs: {k: int32}`, given: `{"a": "{\"k\": \"five\"}"}`, out: "k", err: `node n (read_json_values): key "k": "five" is not a number`},
		{name: "no JSON", node: text + `keys: [k]`, given: `{"a": "{\"k\": }"}`, err: `node n (read_json_values): input "json_string" is not JSON: missing value after object name within "/k" after offset 6`},
		{name: "nothing", node: text + `keys: [k]`, given: `{"a": null}`, err: `node n (read_json_values): input "json_string" is not JSON: unexpected EOF`},
		{name: "a name twice", node: text + `keys: [k]`, given: `{"a": "{\"k\": 1, \"k\": 2}"}`, err: `node n (read_json_values): input "json_string" is not JSON: duplicate object member name "k"`},
		{name: "keys from elsewhere", node: text + `keys: "{{ v.b }}"`, err: `keys must be written out: they decide which outputs the node has`},
		{name: "a key with the name of an output", node: text + `keys: [complete]`, err: `key "complete" cannot be read: the node has an output complete of its own`},
		{name: "a type without its key", node: text + `keys: [k], processed_outputs: {k: string, l: int32}`, err: `processed_outputs names "l", which is not among the keys`},
	})
}

func TestWriteJSONValue(t *testing.T) {
	t.Parallel()
	testNodes(t, "write_json_value", "updated_json", []nodeCase{
		{name: "order is kept", node: `fields: [{key: b, value: x}, {key: a, value: y}]`, want: `"{\"b\":\"x\",\"a\":\"y\"}"`},
		{name: "empty", node: `selected: new`, want: `"{}"`},
		{name: "types are kept", node: `fields: [{key: n, value: "{{ v.a }}"}, {key: z, value: "{{ v.b }}"}, {key: t, value: "{{ v.a }}!"}, {key: l, value: [1.50, null]}]`, given: `{"a": 12345678901234567890, "b": null}`, want: `"{\"n\":12345678901234567890,\"z\":null,\"t\":\"12345678901234567890!\",\"l\":[1.50,null]}"`},
		{name: "no value is null", node: `fields: [{key: k}]`, want: `"{\"k\":null}"`},
		{name: "a key twice", node: `fields: [{key: k, value: a}, {key: l, value: b}, {key: k, value: c}]`, want: `"{\"k\":\"c\",\"l\":\"b\"}"`},
		{name: "unicode key with a dot", node: `fields: [{key: "ä.\"", value: x}]`, want: `"{\"ä.\\\"\":\"x\"}"`},
		{name: "replaced in its place", node: `selected: old, json_string: "{{ v.a }}", fields: [{key: k, value: "{{ v.b }}"}, {key: new, value: 2}]`, given: `{"a": "{\"z\": 1.0, \"k\": {\"deep\": 0}, \"a\": 12345678901234567890}", "b": ["x"]}`, want: `"{\"z\":1.0,\"k\":[\"x\"],\"a\":12345678901234567890,\"new\":2}"`},
		{name: "fields from elsewhere", node: `fields: "{{ v.a }}"`, given: `{"a": [{"key": "k", "value": 1}]}`, want: `"{\"k\":1}"`},
		{name: "a field without key", node: `fields: "{{ v.a }}"`, given: `{"a": [{"key": "k", "value": 1}, {"value": 1}]}`, err: `node n (write_json_value): input "fields": element 1 is not {key: ..., value: ...}`},
		{name: "no field", node: `fields: "{{ v.a }}"`, given: `{"a": ["x"]}`, err: `node n (write_json_value): input "fields": element 0 is not {key: ..., value: ...}`},
		{name: "no JSON", node: `selected: old, json_string: "{{ v.a }}"`, given: `{"a": "{\"k\": 1"}`, err: `node n (write_json_value): input "json_string" is not JSON: unexpected EOF after offset 7`},
		{name: "no JSON at all", node: `selected: old, json_string: "{{ v.a }}"`, given: `{"a": "x"}`, err: `node n (write_json_value): input "json_string" is not JSON: invalid character 'x' at start of value`},
		{name: "nothing", node: `selected: old, json_string: ""`, err: `node n (write_json_value): input "json_string" is not JSON: unexpected EOF`},
		{name: "no object", node: `selected: old, json_string: "{{ v.a }}"`, given: `{"a": "[1]"}`, err: `node n (write_json_value): input "json_string" is not a JSON object`},
		{name: "two objects", node: `selected: old, json_string: "{{ v.a }}"`, given: `{"a": "{\"a\": 1} {\"b\": 2}"}`, err: `node n (write_json_value): input "json_string" is not JSON: something follows the JSON value`},
		{name: "a name twice", node: `selected: old, json_string: "{{ v.a }}"`, given: `{"a": "{\"a\": 1, \"a\": 2}"}`, err: `node n (write_json_value): input "json_string" is not JSON: duplicate object member name "a"`},
		{name: "neither new nor old", node: `selected: "{{ v.a }}"`, given: `{"a": "Old"}`, err: `node n (write_json_value): input "selected": "Old" is not one of new, old`},
	})
}

func TestLongErrorsAreCut(t *testing.T) {
	t.Parallel()
	_, err := runNode(t, `{type: get_list_item, inputs: {index: 0, list: "{{ v.a }}"}}`, "output", `{"a": "`+strings.Repeat("ä", 100)+`"}`)
	checkError(t, err, `node n (get_list_item): input "list": "`+strings.Repeat("ä", 60)+`…" is not a list`)
}
