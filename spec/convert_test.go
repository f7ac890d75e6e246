package spec

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestConvert gives values the types of inputs. A want that begins with ! is a
// part of the error.
func TestConvert(t *testing.T) {
	list := []any{"a", json.Number("1")}
	for _, test := range []struct {
		typ   string
		value any
		want  string
	}{
		{"string", "text", `"text"`},
		{"string", json.Number("5"), `"5"`},
		{"string", json.Number("0.10000000000000000000000000000001"), `"0.10000000000000000000000000000001"`},
		{"string", true, `"true"`},
		{"string", "", `""`},
		{"string", list, "!it is a list, but must be text"},
		{"string", map[string]any{}, "!it is an object, but must be text"},
		{"int32", "5", "5"},
		{"int32", " 5 ", "5"},
		{"int32", "007", "7"},
		{"int32", "+5", "5"},
		{"int32", "-0", "0"},
		{"int32", "1e3", "1000"},
		{"int32", json.Number("5.0"), "5"},
		{"int32", json.Number("2147483647"), "2147483647"},
		{"int32", json.Number("-2147483648"), "-2147483648"},
		{"int32", json.Number("2147483648"), "!does not fit into 32 bits"},
		{"int32", "-2147483649", "!does not fit into 32 bits"},
		{"int32", "99999999999999999999999", "!does not fit into 32 bits"},
		{"int32", "1e400", "!is not a number"},
		{"int32", "1.5", "!1.5 is not a whole number"},
		{"int32", "five", `!"five" is not a number`},
		{"int32", "0x10", "16"},
		{"int32", "1_000", "1000"},
		{"int32", "1,000", "!is not a number"},
		{"int32", "NaN", "!is not a number"},
		{"int32", "Inf", "!is not a number"},
		{"int32", true, "!is not a number"},
		{"int32", list, "!is not a number"},
		{"int32", strings.Repeat("x", 1000), "!xxx…"},
		{"float", "0.1", "0.1"},
		{"float", ".5", "0.5"},
		{"float", "5", "5"},
		{"float", json.Number("3.14159265358979323846264338327950288"), "3.14159265358979323846264338327950288"},
		{"float", "infinity", "!is not a number"},
		{"bool", "true", "true"},
		{"bool", " FALSE ", "false"},
		{"bool", true, "true"},
		{"bool", "yes", "!is not true or false"},
		{"bool", json.Number("1"), "!is not true or false"},
		{"vec<string>", list, `["a",1]`},
		{"vec<string>", `["a", "b"]`, `["a","b"]`},
		{"vec<string>", ` [] `, `[]`},
		{"vec<string>", "a, b", "!not a list"},
		{"vec<string>", `{"a": 1}`, "!not a list"},
		{"vec<string>", `["a"] x`, "!not a list"},
		{"vec<vec<string>>", `[["a"]]`, `[["a"]]`},
		{"timestamp", "2024-01-02T03:04:05Z", `"2024-01-02T03:04:05Z"`},
		{"timestamp", map[string]any{}, "!must be text"},
		{"file", map[string]any{"url": "x"}, `{"url":"x"}`},
		{"knowledge_base", "x", `"x"`},
	} {
		v, err := Convert(test.value, test.typ)
		if part, wrong := strings.CutPrefix(test.want, "!"); wrong {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%v as %s: %v (%v), want the error %q", test.value, test.typ, v, err, part)
			} else if len(err.Error()) > 150 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
			continue
		}
		if err != nil {
			t.Errorf("%v as %s: %v", test.value, test.typ, err)
		} else if got := string(AppendJSON(nil, v)); got != test.want {
			t.Errorf("%v as %s: %s, want %s", test.value, test.typ, got, test.want)
		}
	}
}

// TestConvertNumbers: a number is the same number as text, and every float64
// stays what it was.
func TestConvertNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.Int64().Draw(t, "i")
		text := strconv.FormatInt(i, 10)
		fromText, err1 := Convert(text, "int32")
		fromNumber, err2 := Convert(json.Number(text), "int32")
		if fits := i >= math.MinInt32 && i <= math.MaxInt32; (err1 == nil) != fits || (err2 == nil) != fits {
			t.Fatalf("%d: %v, %v", i, err1, err2)
		}
		if err1 == nil && (fromText != fromNumber || fromText != json.Number(text)) {
			t.Fatalf("%d: %v and %v", i, fromText, fromNumber)
		}
		f := rapid.Float64().Draw(t, "f")
		number, err := ToNumber(strconv.FormatFloat(f, 'g', -1, 64))
		if back, _ := strconv.ParseFloat(string(number), 64); err != nil || back != f {
			t.Fatalf("%v became %s (%v)", f, number, err)
		}
	})
}

// TestInputDefaults: an empty cell means the default, except where text is asked for.
func TestInputDefaults(t *testing.T) {
	for body, want := range map[string]string{
		"{inputs: [{topic: a}]}":                                   `{"count":7,"topic":"a"}`,
		"{inputs: [{topic: a, count: null}]}":                      `{"count":7,"topic":"a"}`,
		`{inputs: [{topic: "", count: ""}]}`:                       `{"count":7,"topic":""}`,
		`{matrix: {topic: [a]}, map: {topic: "{{ row.topic }}!"}}`: `{"count":7,"topic":"a!"}`,
	} {
		got := inputsOf(itemsOf(t, batchOf(t, "", twoInputs, body), nil))
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %s", body, got, want)
		}
	}
}
