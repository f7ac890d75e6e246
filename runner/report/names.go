package report

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// memberNames adds the names of the inputs and outputs of a result line. It
// makes nothing of their values, which would take three times as long.
func memberNames(line []byte, inputs, outputs map[string]bool) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(line), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadToken()
		if err != nil {
			return err
		}
		names := inputs
		switch key.String() {
		case "outputs":
			names = outputs
			fallthrough
		case "inputs":
			err = addNames(d, names)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func addNames(d *jsontext.Decoder, names map[string]bool) error {
	if d.PeekKind() != '{' {
		return d.SkipValue() // null
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if s := name.String(); !names[s] {
			names[s] = true
		}
		if err := d.SkipValue(); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}
