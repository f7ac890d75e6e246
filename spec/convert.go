package spec

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Convert gives a value the type that an input declares (input_type): text becomes a number
// where it is one, as tables hold nothing but text. Types that have no plain
// form (files, tables, ...) pass as they are.
func Convert(v any, typ string) (any, error) {
	switch typ {
	case "string", "timestamp":
		switch v.(type) {
		case []any, map[string]any:
			return nil, fmt.Errorf("it is %s, but must be text", kindOf(v))
		}
		return Text(v), nil
	case "int32", "float":
		number, err := ToNumber(v)
		if err != nil || typ == "float" {
			return number, err
		}
		if f, err := strconv.ParseFloat(string(number), 64); err != nil || f != math.Trunc(f) {
			return nil, fmt.Errorf("%s is not a whole number", number)
		} else if f < math.MinInt32 || f > math.MaxInt32 {
			return nil, fmt.Errorf("%s does not fit into 32 bits", number)
		} else {
			return json.Number(strconv.FormatInt(int64(f), 10)), nil
		}
	case "bool":
		switch text := strings.ToLower(strings.TrimSpace(Text(v))); text {
		case "true", "false":
			return text == "true", nil
		}
		return nil, fmt.Errorf("%s is not true or false", quoteValue(v))
	case "vec<string>", "vec<vec<string>>", "vec<file>", "vec<vec<file>>":
		if text, ok := v.(string); ok { // a list in a cell of a table is written as JSON
			v, _ = ParseJSON([]byte(text))
		}
		if _, ok := v.([]any); !ok {
			return nil, fmt.Errorf("not a list, such as [\"a\", \"b\"]")
		}
	}
	return v, nil
}

// ToNumber takes a number, or text that is one: also with a plus, with leading
// zeros, without a digit before the point, or in another of YAML's forms. All digits are kept.
func ToNumber(v any) (json.Number, error) {
	switch v := v.(type) {
	case json.Number:
		return v, nil
	case string:
		text := strings.TrimPrefix(strings.TrimSpace(v), "+")
		digits, negative := strings.CutPrefix(text, "-")
		if digits == "" || digits[0] != '.' && (digits[0] < '0' || digits[0] > '9') {
			break
		}
		if digits = strings.TrimLeft(digits, "0"); digits == "" || digits[0] < '0' || digits[0] > '9' {
			digits = "0" + digits
		}
		if negative {
			digits = "-" + digits
		}
		if _, err := strconv.ParseFloat(digits, 64); err == nil && json.Valid([]byte(digits)) {
			return json.Number(digits), nil
		}
		if n, ok := new(big.Int).SetString(text, 0); ok { // 0x10, 1_000
			return json.Number(n.String()), nil
		}
	}
	return "", fmt.Errorf("%s is not a number", quoteValue(v))
}

func quoteValue(v any) string {
	return strconv.Quote(shorten(Text(v)))
}
