package llm

import (
	"errors"
	"fmt"
	"strings"

	"nightshift/runner"
	"nightshift/spec"
)

// schemaAt is a schema, and where it is sent.
type schemaAt struct {
	place
	schema string
}

// schemaForm tells whether schemas are put in words, and whether that is known.
func (c *Client) schemaForm(at schemaAt) (inWords, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	inWords, known = c.inWords[at]
	return inWords, known
}

// setSchemaForm remembers what has worked; why is what did not.
func (c *Client) setSchemaForm(at schemaAt, inWords bool, why error) {
	c.mu.Lock()
	_, known := c.inWords[at]
	if !known {
		c.inWords[at] = inWords
	}
	c.mu.Unlock()
	if !known && inWords {
		c.log(fmt.Sprintf("%s does not take a JSON Schema, and is told it in words from now on: %v", at.model, why))
	}
}

// namesSchema is how refusals speak of the members that hold a schema.
var namesSchema = spec.Pattern(`(?i)response[_ ]format|json[_ ]schema|structured[_ -]output|output[_ ](config|format)`)

// refusesSchema tells whether a model takes no schema, or not this one.
func refusesSchema(err error) bool {
	e, ok := errors.AsType[*runner.APIError](err)
	return ok && e.NotUnderstood() &&
		namesSchema().MatchString(e.Message) && !strings.Contains(e.Message, "effort") // output_config holds that, too
}

// understood tells whether a call got as far as the model: it answered, however
// badly, or is only too busy to.
func understood(err error) bool {
	if _, bad := errors.AsType[*BadAnswer](err); err == nil || bad {
		return true
	}
	e, ok := errors.AsType[*runner.APIError](err)
	return ok && e.Refused()
}
