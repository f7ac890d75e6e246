package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// Written is a JSON Schema that an author wrote, such as that of a model's answer.
type Written struct{ schema *jsonschema.Schema }

// Compile makes a schema of its text: draft 2020-12 unless it says otherwise. It
// must stand by itself: no file and no address is read for a $ref.
func Compile(text string) (w *Written, err error) {
	const url = "nightshift:///written.json"
	defer failOfNumbers(&err)
	if err := json.Unmarshal([]byte(text), new(json.RawMessage)); err != nil {
		return nil, fmt.Errorf("not a JSON Schema, as it is not JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.LoadURL = func(string) (io.ReadCloser, error) { return nil, errors.New("other documents are not read") }
	err = c.AddResource(url, strings.NewReader(text))
	var s *jsonschema.Schema
	if err == nil {
		s, err = c.Compile(url)
	}
	if err != nil {
		message := strings.NewReplacer("jsonschema: ", "", " in "+url, "", url, "").Replace(lastCause(err))
		return nil, fmt.Errorf("not a JSON Schema: %s", message)
	}
	return &Written{s}, nil
}

// Check says at which place, and why, a plain value does not fit the schema.
func (w *Written) Check(v any) (err error) {
	defer failOfNumbers(&err)
	if err := w.schema.Validate(v); err != nil {
		return errors.New(lastCause(err))
	}
	return nil
}

// failOfNumbers makes an error of a panic: the library has it from numbers with
// exponents of more than a million, which a model may well write.
func failOfNumbers(err *error) {
	if recover() != nil {
		*err = errors.New("a number in it is too large")
	}
}

// lastCause is the innermost reason of a validation that failed, with its place.
func lastCause(err error) string {
	schemaErr, ok := errors.AsType[*jsonschema.SchemaError](err)
	if ok {
		err = schemaErr.Err
	}
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err.Error()
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	if invalid.InstanceLocation == "" {
		return invalid.Message
	}
	return fmt.Sprintf("at %s: %s", invalid.InstanceLocation, invalid.Message)
}
