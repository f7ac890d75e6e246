package schema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Value turns a YAML node (with aliases already resolved) into the plain values
// of JSON: nil, bool, string, json.Number, []any and map[string]any. Numbers
// keep all their digits; dates stay the text that was written; keys that are
// not text become the text that was written.
func Value(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return Value(n.Content[0])
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := Value(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[n.Content[i].Value] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			v, err := Value(c)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil, fmt.Errorf("unexpected kind of YAML node")
}

func scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, fmt.Errorf("%s is not true or false", n.Value)
		}
		return b, nil
	case "!!int":
		i, ok := new(big.Int).SetString(strings.ReplaceAll(strings.TrimPrefix(n.Value, "+"), "_", ""), 0)
		if !ok {
			return nil, fmt.Errorf("%s is not a number", n.Value)
		}
		return json.Number(i.String()), nil
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil {
			return nil, fmt.Errorf("%s is not a number", n.Value)
		}
		number := strings.TrimPrefix(n.Value, "+")
		switch _, err := strconv.ParseFloat(number, 64); {
		case isJSONNumber(number) && err == nil:
			return json.Number(number), nil
		case isJSONNumber(number):
			return nil, fmt.Errorf("%s is too large a number", n.Value)
		case f != f || f-f != 0: // .nan and .inf
			return nil, fmt.Errorf("%s has no form in JSON; write a finite number, or quote it", n.Value)
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
	}
	return n.Value, nil // text, dates, binary
}

func isJSONNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
}
