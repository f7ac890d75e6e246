package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/spec"
)

// piece is literal text or, where from is set, a reference to an output.
type piece struct {
	text   string
	from   *randomNode
	output string
}

// randomNode is a node of a random graph, in the form that the reference
// interpreter works on.
type randomNode struct {
	name, typ    string
	fields       [][]piece // text: one; combine_text, merge: any number; condition: one left side for each group
	rights       []string  // condition: beside fields
	join         bool      // merge
	dependencies []piece
}

// randomGraph draws nodes that refer to earlier ones only.
func randomGraph(t *rapid.T) []*randomNode {
	var nodes []*randomNode
	word := rapid.SampledFrom([]string{"", "a", "b", "ä ", "\n", "{{ x }}"})
	for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
		n := &randomNode{name: fmt.Sprintf("n%d", i), typ: rapid.SampledFrom([]string{"text", "text", "combine_text", "merge", "merge", "condition", "condition"}).Draw(t, "type")}
		data := slices.DeleteFunc(slices.Clone(nodes), func(n *randomNode) bool { return n.typ == "condition" })
		template := func() (pieces []piece) {
			for range rapid.IntRange(1, 2).Draw(t, "pieces") {
				if len(data) > 0 && rapid.IntRange(0, 3).Draw(t, "refer") > 0 {
					from := rapid.SampledFrom(data).Draw(t, "from")
					output := map[string]string{"text": "text", "combine_text": "processed_text", "merge": "output"}[from.typ]
					pieces = append(pieces, piece{from: from, output: output})
				} else {
					pieces = append(pieces, piece{text: word.Draw(t, "word")})
				}
			}
			return pieces
		}
		fields := 1
		if n.typ != "text" {
			fields = rapid.IntRange(0, 3).Draw(t, "fields")
		}
		for range fields {
			n.fields = append(n.fields, template())
			n.rights = append(n.rights, word.Draw(t, "right"))
		}
		n.join = rapid.Bool().Draw(t, "join")
		for range rapid.IntRange(0, 2).Draw(t, "dependencies") {
			if len(nodes) == 0 {
				break
			}
			d := piece{from: rapid.SampledFrom(nodes).Draw(t, "on"), output: "complete"}
			if d.from.typ == "condition" && rapid.IntRange(0, 4).Draw(t, "of a path") > 0 {
				d.output = "path_else"
				if k := len(d.from.fields); k > 0 && rapid.Bool().Draw(t, "of a group") {
					d.output = fmt.Sprintf("path_%d", rapid.IntRange(0, k-1).Draw(t, "group"))
				}
			}
			n.dependencies = append(n.dependencies, d)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// line is the node as a batch file has it. JSON is YAML.
func (n *randomNode) line() string {
	written := func(pieces []piece) string {
		var b strings.Builder
		for _, p := range pieces {
			if p.from != nil {
				fmt.Fprintf(&b, "{{ %s.%s }}", p.from.name, p.output)
			}
			b.WriteString(p.text)
		}
		return b.String()
	}
	list := []any{}
	for i, f := range n.fields {
		if n.typ == "condition" {
			list = append(list, map[string]any{"clauses": []any{[]any{"Equal", written(f), n.rights[i]}}})
		} else {
			list = append(list, written(f))
		}
	}
	dependencies := []any{}
	for _, d := range n.dependencies {
		dependencies = append(dependencies, written([]piece{d}))
	}
	inputs := map[string]any{"dependencies": dependencies}
	switch n.typ {
	case "text":
		inputs["text"] = list[0]
	case "combine_text":
		inputs["text"] = list
	case "condition":
		inputs["conditions"] = list
	case "merge":
		inputs["fields"], inputs["function"] = list, map[bool]string{true: "join", false: "first"}[n.join]
	}
	return n.name + ": " + string(spec.AppendJSON(nil, map[string]any{"type": n.typ, "inputs": inputs}))
}

// reference interprets a graph by recursion, straight from what the catalogue
// says. A node that is not there was skipped; a condition's value is its path.
type reference map[*randomNode]any

func (r reference) value(n *randomNode) (v any, ran bool) {
	if v, known := r[n]; known {
		return v, v != nil
	}
	v = r.evaluate(n)
	r[n] = v
	return v, v != nil
}

func (r reference) evaluate(n *randomNode) any {
	for _, d := range n.dependencies {
		if v, ran := r.value(d.from); !ran || d.output != "complete" && v != d.output {
			return nil
		}
	}
	references, skipped, fallback := 0, 0, false
	var values []any
	for _, f := range n.fields {
		v, of, missing := r.template(f)
		references, skipped = references+of, skipped+missing
		fallback = fallback || of == 0 && asText(v) != "" && asText(v) != "[]"
		if of == 0 || missing < of {
			values = append(values, v)
		}
	}
	if n.typ == "merge" && references > 0 && skipped == references && !fallback || n.typ != "merge" && skipped > 0 {
		return nil
	}
	switch n.typ {
	case "condition":
		for i, v := range values {
			if asText(v) == n.rights[i] {
				return fmt.Sprintf("path_%d", i)
			}
		}
		return "path_else"
	case "merge":
		full := []any{}
		for _, v := range values {
			if list, isList := v.([]any); isList && len(list) > 0 || !isList && v != "" {
				full = append(full, v)
			}
		}
		if n.join {
			return full
		}
		return append(full, "")[0]
	}
	text := ""
	for _, v := range values {
		text += asText(v)
	}
	return text
}

// template gives a value, how many references it has, and how many of them are
// to skipped nodes.
func (r reference) template(pieces []piece) (v any, references, skipped int) {
	text := ""
	for _, p := range pieces {
		text += p.text
		if p.from == nil {
			continue
		}
		references++
		from, ran := r.value(p.from)
		if !ran {
			skipped++
		}
		v = from
		text += asText(from)
	}
	alone := !slices.ContainsFunc(pieces, func(p piece) bool { return p.from == nil && p.text != "" })
	if references == 1 && alone {
		return v, references, skipped
	}
	return text, references, skipped
}

func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestRandomGraphs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		nodes := randomGraph(rt)
		var lines []string
		want, ref := map[string]any{}, reference{}
		for _, n := range nodes {
			lines = append(lines, n.line())
			if n.typ != "condition" {
				output := map[string]string{"text": "text", "combine_text": "processed_text", "merge": "output"}[n.typ]
				lines = append(lines, fmt.Sprintf(`o_%s: {type: output, inputs: {value: "{{ %s.%s }}"}}`, n.name, n.name, output))
				want["o_"+n.name] = nil
				if v, ran := ref.value(n); ran {
					want["o_"+n.name] = asText(v)
				}
			}
		}
		lines = rapid.Permutation(lines).Draw(rt, "order")
		got, err := runNodes(t, strings.Join(lines, "\n"), nil)
		if err != nil || asJSON(got) != asJSON(want) {
			rt.Fatalf("%s\n got %s, %v\nwant %s", strings.Join(lines, "\n"), asJSON(got), err, asJSON(want))
		}
	})
}
