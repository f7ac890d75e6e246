package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends a plain value as JSON on one line, keys sorted: the same
// value always gives the same bytes.
func AppendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		b, _ = jsontext.AppendQuote(b, v) // the error is about invalid UTF-8, which is replaced
		return b
	case json.Number:
		return append(b, v...)
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendJSON(b, item)
		}
		return append(b, ']')
	case map[string]any:
		return appendMap(b, v)
	}
	// A backend outside of this project may hand over other values of Go.
	raw, err := json.Marshal(v)
	if err != nil {
		return AppendJSON(b, fmt.Sprint(v))
	}
	return append(b, raw...)
}

func appendMap(b []byte, m map[string]any) []byte {
	b = append(b, '{')
	var buf [8]string
	names := slices.AppendSeq(buf[:0], maps.Keys(m))
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, name)
		b = append(b, ':')
		b = AppendJSON(b, m[name])
	}
	return append(b, '}')
}

// IsEmpty tells whether a plain value is nothing: null, no text, no elements.
func IsEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// LookUp gives a member of an object: the one of that name or, behind dots, one
// inside of another.
func LookUp(v any, name string) (any, bool) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	if member, ok := object[name]; ok {
		return member, true
	}
	outer, inner, dotted := strings.Cut(name, ".")
	if !dotted {
		return nil, false
	}
	return LookUp(object[outer], inner)
}

// jsonReader decodes JSON into plain values. Numbers keep their digits; a name
// that occurs twice in an object, or invalid UTF-8, is an error.
type jsonReader struct {
	text  bytes.Reader
	token *jsontext.Decoder
}

// ParseJSON decodes one JSON text.
func ParseJSON(text []byte) (any, error) {
	return new(jsonReader).parse(text)
}

func (r *jsonReader) parse(text []byte) (any, error) {
	r.text.Reset(text)
	if r.token == nil {
		r.token = jsontext.NewDecoder(&r.text)
	} else {
		r.token.Reset(&r.text)
	}
	v, err := readValue(r.token)
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if _, err := r.token.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the JSON value")
	}
	return v, nil
}

// readValue reads the next value of a stream of JSON.
func readValue(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		return json.Number(token.String()), nil
	case '[':
		list := []any{}
		for d.PeekKind() != ']' {
			v, err := readValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.ReadToken()
		return list, err
	default:
		m := map[string]any{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if m[key], err = readValue(d); err != nil {
				return nil, err
			}
		}
		_, err := d.ReadToken()
		return m, err
	}
}
