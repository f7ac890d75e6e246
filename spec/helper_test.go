package spec

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// pipelines that tests put before their batches.
const (
	oneInput = `version: 1
pipeline:
  name: one
  nodes:
    topic: {type: input, inputs: {input_type: string}}
    out: {type: output, inputs: {output_type: string, value: "{{ topic.text }}"}}
`
	twoInputs = `version: 1
pipeline:
  name: two
  nodes:
    topic: {type: input, inputs: {input_type: string}}
    count: {type: input, inputs: {input_type: int32, use_default_value: true, default_value: 7}}
    out: {type: output, inputs: {output_type: string, value: "{{ topic.text }}{{ count.value }}"}}
`
)

// parsed reads a batch file that stands in dir, and fails on any error in it.
func parsed(t testing.TB, dir, text string, opts Options) *File {
	t.Helper()
	f, problems := Parse(filepath.Join(dir, "batch.yaml"), []byte(text), opts)
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs.Error())
	}
	return f
}

// batchOf gives the only batch, b, of a file with the given lines below it.
func batchOf(t testing.TB, dir, pipeline, body string) *Batch {
	t.Helper()
	return parsed(t, dir, pipeline+"batches:\n  b: "+body+"\n", Options{}).Batches[0]
}

func itemsOf(t testing.TB, b *Batch, stdin io.Reader) []Item {
	t.Helper()
	var items []Item
	if err := b.Items(stdin, func(i Item) bool { items = append(items, i); return true }); err != nil {
		t.Fatal(err)
	}
	return items
}

// inputsOf gives every item's inputs as JSON, or its error.
func inputsOf(items []Item) []string {
	var all []string
	for _, i := range items {
		if i.Err != nil {
			all = append(all, i.Err.Class+": "+i.Err.Problem.Message)
			continue
		}
		all = append(all, string(AppendJSON(nil, i.Inputs)))
	}
	return all
}

func idsOf(items []Item) []string {
	var ids []string
	for _, i := range items {
		ids = append(ids, i.ID)
	}
	return ids
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func lookupIn(vars map[string]string) Environment {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func mustContain(t testing.TB, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q is not in:\n%s", part, text)
	}
}

func toNumber(i int) json.Number { return json.Number(strconv.Itoa(i)) }
