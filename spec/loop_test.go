package spec

import (
	"strings"
	"testing"
)

const looped = `version: 1
pipeline:
  name: looped
  nodes:
    topic: {type: input}
    before: {type: text, inputs: {text: "{{ topic.text }}"}}
    t: {type: text, inputs: {text: "{{ before.text }}"}, cyclic_inputs: {text: "{{ more.text }}"}}
    c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ t.text }}", 5]]}]}}
    side: {type: text, inputs: {text: "{{ t.text }}"}}
    other: {type: text, inputs: {text: "{{ topic.text }}"}}
    more: {type: text, inputs: {text: "{{ t.text }}{{ other.text }}", dependencies: ["{{ c.path_0 }}"]}}
    out: {type: output, inputs: {value: "{{ t.text }}{{ side.text }}"}}
batches:
  b: {inputs: [{topic: a}]}
`

// A loop is what stands between its entry and what the cyclic inputs refer to. What
// only they refer to is of use: nothing is warned of.
func TestLoopsOfAPipeline(t *testing.T) {
	f, problems := Parse("batch.yaml", []byte(looped), Options{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	loops, broken := f.Pipeline.Loops()
	if len(broken) > 0 || len(loops) != 1 || loops[0].Entry.Name != "t" {
		t.Fatalf("%+v, %v; want one loop, of t", loops, broken)
	}
	var names []string
	for _, n := range loops[0].Body {
		names = append(names, n.Name)
	}
	if got := strings.Join(names, " "); got != "t c more" {
		t.Errorf("body %s; want t c more", got)
	}
	entry := loops[0].Entry
	if round := entry.Round(); round.Inputs["text"] != "{{ more.text }}" || entry.Inputs["text"] != "{{ before.text }}" {
		t.Errorf("the inputs %v become %v", entry.Inputs, round.Inputs)
	}
}

// Another loop is another pipeline.
func TestDigestOfLoops(t *testing.T) {
	before := digestOf(t, looped, nil)
	for _, other := range []string{`text: "{{ more.text }}!"`, `text: "{{ more.text }}", dependencies: "{{ c.complete }}"`} {
		if digestOf(t, strings.Replace(looped, `cyclic_inputs: {text: "{{ more.text }}"`, "cyclic_inputs: {"+other, 1), nil) == before {
			t.Errorf("%s changes nothing", other)
		}
	}
	if digestOf(t, strings.Replace(looped, `, cyclic_inputs: {text: "{{ more.text }}"}`, "", 1), nil) == before {
		t.Error("a pipeline without the loop is the same")
	}
}
