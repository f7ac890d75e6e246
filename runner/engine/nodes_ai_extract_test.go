package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"nightshift/runner"
)

// Every field is an output of its own, also where the model named only some.
func TestExtractedOutputs(t *testing.T) {
	t.Parallel()
	m := newModel(t, always(`{"total": "12.50", "items": ["a", "b"], "name": null}`))
	status := runToEnd(t, m.engine(t, Options{}), `
		in: {type: input}
		n:
		  type: extract_data
		  inputs:
		    text: "{{ in.text }}"
		    fields: [{name: name}, {name: total, type: float}, {name: items, type: "vec<string>"}, {name: paid, type: bool}]
		out: {type: output, inputs: {value: "{{ n.name }}|{{ n.total }}|{{ n.items }}|{{ n.paid }}"}}
	`, runner.Inputs{"in": "a bill"})
	if status.Err != nil {
		t.Fatal(status.Err)
	}
	same(t, "outputs", asJSON(status.Outputs), `{"out":"|12.50|[\"a\",\"b\"]|"}`)
}

// Anthropic takes no schema in which more than 16 members may be null. The form
// is then asked for in words alone.
func TestManyFields(t *testing.T) {
	t.Parallel()
	for n, schema := range map[int]bool{unions: true, unions + 1: false} {
		var fields []string
		for i := range n {
			fields = append(fields, fmt.Sprintf("{name: f%d}", i))
		}
		m := newMessages(t, `{"f3": "x"}`)
		status := runToEnd(t, m.engine(t, Options{}), `
			in: {type: input}
			n: {type: extract_data, inputs: {provider: anthropic, model: claude-sonnet-4-5, text: "{{ in.text }}", fields: [`+strings.Join(fields, ", ")+`]}}
			out: {type: output, inputs: {value: "{{ n.f3 }}{{ n.f4 }}"}}
		`, runner.Inputs{"in": "a"})
		if status.Err != nil {
			t.Fatal(status.Err)
		}
		same(t, "outputs", asJSON(status.Outputs), `{"out":"x"}`)
		var body struct {
			Output json.RawMessage `json:"output_config"`
		}
		if err := json.Unmarshal([]byte(m.body()), &body); err != nil {
			t.Fatal(err)
		}
		if (body.Output != nil) != schema {
			t.Errorf("%d fields: %s", n, m.body())
		}
	}
}
