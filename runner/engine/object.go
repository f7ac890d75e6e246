package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"nightshift/spec"
)

// orderedObject is a JSON object whose members keep their order.
type orderedObject []member

type member struct {
	name  string
	value []byte // JSON
}

// parseObject reads an object and leaves the values of its members as they are.
func parseObject(text string) (orderedObject, error) {
	d := jsontext.NewDecoder(strings.NewReader(text))
	if d.PeekKind() != '{' {
		if _, err := spec.ParseJSON([]byte(text)); err != nil {
			return nil, notJSON(err)
		}
		return nil, fmt.Errorf("input \"json_string\" is not a JSON object")
	}
	var o orderedObject
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() == '"' {
		var name jsontext.Token
		if name, err = d.ReadToken(); err != nil {
			break
		}
		key := name.String()
		var value jsontext.Value
		if value, err = d.ReadValue(); err == nil {
			o = append(o, member{key, bytes.Clone(value)})
		}
	}
	if err == nil {
		_, err = d.ReadToken() // the closing brace
	}
	if err != nil {
		return nil, notJSON(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, notJSON(errors.New("something follows the JSON value"))
	}
	return o, nil
}

// set replaces the member of that name, or adds it at the end.
func (o *orderedObject) set(name string, value []byte) {
	if i := slices.IndexFunc(*o, func(m member) bool { return m.name == name }); i >= 0 {
		(*o)[i].value = value
		return
	}
	*o = append(*o, member{name, value})
}

func (o orderedObject) String() string {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = spec.AppendJSON(b, m.name)
		b = append(b, ':')
		b = append(b, m.value...)
	}
	return string(append(b, '}'))
}
