package schema

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestCompileRefuses(t *testing.T) {
	const types = `value must be one of "array", "boolean", "integer", "null", "number", "object", "string"`
	for text, wanted := range map[string]string{
		``:                                 "not a JSON Schema, as it is not JSON: unexpected end of JSON input",
		`{"type": "object"`:                "not a JSON Schema, as it is not JSON: unexpected end of JSON input",
		`{type: object}`:                   "not a JSON Schema, as it is not JSON: invalid character 't' looking for beginning of object key string",
		`{"type": "object"}}`:              "not a JSON Schema, as it is not JSON: invalid character '}' after top-level value",
		`{"type": "object"} {}`:            "not a JSON Schema, as it is not JSON: invalid character '{' after top-level value",
		`[]`:                               "not a JSON Schema: expected object or boolean, but got array",
		`"object"`:                         "not a JSON Schema: expected object or boolean, but got string",
		`{"type": "strin"}`:                "not a JSON Schema: at /type: " + types,
		`{"required": "a"}`:                "not a JSON Schema: at /required: expected array, but got string",
		`{"minLength": -1}`:                "not a JSON Schema: at /minLength: must be >= 0 but found -1",
		`{"maxLength": 1e9999999}`:         "a number in it is too large",
		`{"pattern": "(?=a)"}`:             "not a JSON Schema: at /pattern: '(?=a)' is not valid 'regex'",
		`{"$ref": "#"}`:                    "not a JSON Schema: infinite loop #/$ref",
		`{"$ref": "#/$defs/a"}`:            "not a JSON Schema: #/$defs/a not found",
		`{"$schema": "draft 7"}`:           "not a JSON Schema: $schema must be uri",
		`{"$schema": 7}`:                   "not a JSON Schema: invalid $schema",
		`{"items": {"items": {"type":1}}}`: "not a JSON Schema: at /items/items/type: " + types,
	} {
		w, err := Compile(text)
		if w != nil || err == nil || err.Error() != wanted {
			t.Errorf("%s: %v, want %s", text, err, wanted)
		}
	}
}

// TestCompileReadsNothingElse: the documents are there, and would be schemas.
func TestCompileReadsNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(path, []byte(`{"type": "string"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was asked for", r.URL)
		_, _ = w.Write([]byte(`{"type": "string"}`))
	}))
	defer server.Close()
	for _, ref := range []string{"file://" + path, path, "other.json", "../other.json", server.URL, server.URL + "/other.json#/a", "//" + strings.TrimPrefix(server.URL, "http://")} {
		for _, text := range []string{
			`{"$ref": REF}`, `{"properties": {"a": {"items": {"$ref": REF}}}}`, `{"$dynamicRef": REF}`, `{"$schema": REF, "type": "string"}`,
			`{"$defs": {"a": {"$id": "` + server.URL + `/base.json", "$ref": REF}}, "$ref": "#/$defs/a"}`,
		} {
			text = strings.Replace(text, "REF", strconv.Quote(ref), 1)
			if _, err := Compile(text); err == nil {
				t.Errorf("%s is a schema", text)
			} else if message := err.Error(); !strings.HasSuffix(message, "other documents are not read") && !strings.Contains(message, "$schema must be uri") {
				t.Errorf("%s: %s", text, message)
			}
		}
	}
	// What it holds itself, and the drafts, are at hand.
	for _, text := range []string{
		`{"$defs": {"name": {"type": "string"}}, "$ref": "#/$defs/name"}`,
		`{"$defs": {"name": {"$anchor": "n", "type": "string"}}, "$ref": "#n"}`,
		`{"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}`,
		`{"$id": "` + server.URL + `/base.json", "$defs": {"name": {"$id": "name.json", "type": "string"}}, "$ref": "name.json"}`,
		`{"$ref": "https://json-schema.org/draft/2020-12/meta/validation#/$defs/stringArray", "type": "string"}`,
	} {
		w, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := w.Check(json.Number("1")); err == nil {
			t.Errorf("%s takes a number", text)
		}
	}
}

func TestCheckSaysWhere(t *testing.T) {
	w, err := Compile(`{
		"type": "object", "required": ["name"], "additionalProperties": false,
		"properties": {
			"name": {"type": "string", "minLength": 1},
			"size": {"type": "integer", "minimum": 0},
			"tags": {"type": "array", "maxItems": 2, "uniqueItems": true, "items": {"enum": ["a", "b", 1]}}
		}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	for wanted, v := range map[string]any{
		"":                              object{"name": "x", "size": json.Number("3.0"), "tags": []any{"a", json.Number("1")}},
		"expected object, but got null": nil,
		"missing properties: 'name'":    object{},
		"additionalProperties 'more' not allowed":               object{"name": "x", "more": true},
		"at /name: length must be >= 1, but got 0":              object{"name": ""},
		"at /name: expected string, but got number":             object{"name": json.Number("1")},
		"at /size: expected integer, but got number":            object{"name": "x", "size": json.Number("3.5")},
		"at /size: must be >= 0 but found -3":                   object{"name": "x", "size": json.Number("-3")},
		`at /tags/1: value must be one of "a", "b", "1"`:        object{"name": "x", "tags": []any{"a", "c"}},
		"at /tags: maximum 2 items required, but found 3 items": object{"name": "x", "tags": []any{"a", "b", json.Number("1")}},
		"a number in it is too large":                           object{"name": "x", "size": json.Number("1e9999999")},
	} {
		got := ""
		if err := w.Check(v); err != nil {
			got = err.Error()
		}
		if got != wanted {
			t.Errorf("%v: %s, want %s", v, got, wanted)
		}
	}
	if err := w.Check(object{"name": "x"}); err != nil {
		t.Errorf("after all that: %v", err)
	}
}
