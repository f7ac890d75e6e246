package engine

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
	cyclic       *randomNode // whose text is this one's from the second round on
}

// dataOutput is the output of each type that holds data.
var dataOutput = map[string]string{"text": "text", "each": "text", "combine_text": "processed_text", "merge": "output"}

// isList tells whether the node may give a list.
func (n *randomNode) isList() bool {
	return n.typ == "each" || n.typ == "merge" && (n.join || slices.ContainsFunc(n.fields, func(f []piece) bool {
		return len(f) == 1 && f[0].from != nil && f[0].from.isList()
	}))
}

// randomGraph draws nodes that refer to earlier ones only, behind those that are given.
func randomGraph(t *rapid.T, nodes ...*randomNode) []*randomNode {
	word := rapid.SampledFrom([]string{"", "a", "b", "ä ", "\n", "{{ x }}", "x", "xx"})
	for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
		n := &randomNode{name: fmt.Sprintf("n%d", i), typ: rapid.SampledFrom([]string{"text", "text", "combine_text", "each", "each", "merge", "merge", "condition", "condition"}).Draw(t, "type")}
		data := slices.DeleteFunc(slices.Clone(nodes), func(n *randomNode) bool { return n.typ == "condition" })
		template := func() (pieces []piece) {
			for range rapid.IntRange(1, 2).Draw(t, "pieces") {
				if len(data) > 0 && rapid.IntRange(0, 3).Draw(t, "refer") > 0 {
					from := rapid.SampledFrom(data).Draw(t, "from")
					pieces = append(pieces, piece{from: from, output: dataOutput[from.typ]})
				} else {
					pieces = append(pieces, piece{text: word.Draw(t, "word")})
				}
			}
			return pieces
		}
		fields := 1
		if n.typ != "text" && n.typ != "each" {
			fields = rapid.IntRange(0, 3).Draw(t, "fields")
		}
		for range fields {
			f := template()
			ofList := func(p piece) bool { return p.from != nil && p.from.isList() }
			if (n.typ == "text" || n.typ == "combine_text") && slices.ContainsFunc(f, ofList) {
				f = append(f, piece{text: "."}) // a list by itself is no text
			}
			n.fields = append(n.fields, f)
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
	case "text", "each":
		inputs["text"] = list[0]
	case "combine_text":
		inputs["text"] = list
	case "condition":
		inputs["conditions"] = list
	case "merge":
		inputs["fields"], inputs["function"] = list, map[bool]string{true: "join", false: "first"}[n.join]
	}
	node := map[string]any{"type": n.typ, "inputs": inputs}
	if n.typ == "each" {
		node["type"], node["execution_mode"] = "text", "batch"
	}
	if n.cyclic != nil {
		node["cyclic_inputs"] = map[string]any{"text": written([]piece{{from: n.cyclic, output: dataOutput[n.cyclic.typ]}})}
	}
	return n.name + ": " + string(spec.AppendJSON(nil, node))
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
	case "each":
		return r.each(n.fields[0])
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

// each is what a template gives for each element of the lists in it; unequal lists
// are an error.
func (r reference) each(pieces []piece) any {
	size := 1
	for _, p := range pieces {
		if p.from == nil {
			continue
		}
		v, _ := r.value(p.from)
		if list, ok := v.([]any); ok && len(list) != 1 {
			if size != 1 && size != len(list) {
				panic(unequal{})
			}
			size = len(list)
		}
	}
	elements := make([]any, size)
	for i := range elements {
		text := ""
		for _, p := range pieces {
			text += p.text
			if p.from == nil {
				continue
			}
			v, _ := r.value(p.from)
			if list, ok := v.([]any); ok {
				v = list[min(i, len(list)-1)]
			}
			text += asText(v)
		}
		elements[i] = text
	}
	return elements
}

// unequal are lists of which nobody knows which elements go together: the graph fails.
type unequal struct{}

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

// outputs are what a graph must give; ok is false where it must fail.
func (r reference) outputs(nodes []*randomNode) (lines []string, want map[string]any, ok bool) {
	defer func() {
		if problem := recover(); problem != nil {
			if _, fails := problem.(unequal); !fails {
				panic(problem)
			}
		}
	}()
	for _, n := range nodes {
		lines = append(lines, n.line())
		if output := dataOutput[n.typ]; output != "" {
			lines = append(lines, fmt.Sprintf(`o_%s: {type: output, inputs: {value: "{{ %s.%s }}"}}`, n.name, n.name, output))
		}
	}
	want = map[string]any{}
	for _, n := range nodes {
		if dataOutput[n.typ] == "" {
			continue
		}
		want["o_"+n.name] = nil
		if v, ran := r.value(n); ran {
			want["o_"+n.name] = asText(v)
		}
	}
	return lines, want, true
}

// sources walks the nodes that a node needs, at any distance, itself included.
func (n *randomNode) sources(seen map[*randomNode]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	for _, f := range append(slices.Clone(n.fields), n.dependencies) {
		for _, p := range f {
			if p.from != nil {
				p.from.sources(seen)
			}
		}
	}
}

// rounds unrolls the loop of a graph: each round is the graph with another value of
// the entry.
func (r reference) rounds(nodes []*randomNode, entry *randomNode) {
	around := map[*randomNode]bool{}
	entry.cyclic.sources(around)
	for {
		for _, n := range nodes {
			if behind := map[*randomNode]bool{}; around[n] {
				if n.sources(behind); behind[entry] {
					r.value(n) // also where the end hangs on other ones
				}
			}
		}
		v, ran := r.value(entry.cyclic)
		if !ran {
			return
		}
		clear(r)
		r[entry] = v
	}
}

// randomLoop draws a graph with a loop: its entry grows by an x in each round, until a
// condition ends it, or a node that the last one hangs on is skipped.
func randomLoop(t *rapid.T) (nodes []*randomNode, entry *randomNode) {
	before := &randomNode{name: "before", typ: "text", fields: [][]piece{{{text: rapid.SampledFrom([]string{"", "x"}).Draw(t, "start")}}}}
	entry = &randomNode{name: "entry", typ: "text", fields: [][]piece{{{from: before, output: "text"}}}}
	limit := strings.Repeat("x", rapid.IntRange(1, 5).Draw(t, "rounds"))
	ends := &randomNode{name: "ends", typ: "condition", fields: [][]piece{{{from: entry, output: "text"}}}, rights: []string{limit}}
	nodes = randomGraph(t, before, entry, ends)
	grow := &randomNode{name: "grow", typ: "text", fields: [][]piece{{{from: entry, output: "text"}, {text: "x"}}}, dependencies: []piece{{from: ends, output: "path_else"}}}
	for range rapid.IntRange(0, 3).Draw(t, "more of the body") {
		grow.dependencies = append(grow.dependencies, piece{from: rapid.SampledFrom(nodes).Draw(t, "in the body"), output: "complete"})
	}
	entry.cyclic = grow
	return append(nodes, grow), entry
}

func TestRandomLoops(t *testing.T) {
	t.Parallel()
	rounds := 0
	rapid.Check(t, func(rt *rapid.T) {
		nodes, entry := randomLoop(rt)
		ref, failed := reference{}, false
		func() {
			defer func() { failed = recover() != nil }()
			ref.rounds(nodes, entry)
		}()
		if v, _ := ref.value(entry); len(v.(string)) > 2 {
			rounds++
		}
		lines, want, ok := ref.outputs(nodes)
		ok = ok && !failed
		lines = rapid.Permutation(lines).Draw(rt, "order")
		got, err := runNodes(t, strings.Join(lines, "\n"), nil)
		if (err == nil) != ok || ok && asJSON(got) != asJSON(want) {
			rt.Fatalf("%s\n got %s, %v\nwant %s", strings.Join(lines, "\n"), asJSON(got), err, asJSON(want))
		}
	})
	if rounds == 0 {
		t.Error("no loop went round twice")
	}
}

func TestRandomGraphs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		lines, want, ok := reference{}.outputs(randomGraph(rt))
		lines = rapid.Permutation(lines).Draw(rt, "order")
		got, err := runNodes(t, strings.Join(lines, "\n"), nil)
		if (err == nil) != ok || ok && asJSON(got) != asJSON(want) {
			rt.Fatalf("%s\n got %s, %v\nwant %s", strings.Join(lines, "\n"), asJSON(got), err, asJSON(want))
		}
	})
}

// The same graphs, with nodes that wait: whatever the order in which they end, however
// many runs there are at once and on however many processors, the outputs are the same.
func TestRandomGraphsAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, processors := range []int{1, 4} {
		runtime.GOMAXPROCS(processors)
		rapid.Check(t, func(rt *rapid.T) {
			lines, want, ok := reference{}.outputs(randomGraph(rt))
			text := strings.Join(lines, "\n")
			delays := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(-1, 5), len(lines), len(lines)), 1, 5).Draw(rt, "delays of each run")
			synctest.Test(t, func(t *testing.T) {
				e := New(Options{})
				id := save(t, e, text)
				program := e.pipelines[id].program
				program.blocks = true
				var group sync.WaitGroup
				for _, delays := range delays {
					slow := *program // each run has nodes of its own
					slow.nodes = nil
					for i, n := range program.nodes {
						late, once := *n, n.step
						if late.blocking = delays[i] >= 0 && n.typ != "output" && n.typ != "merge"; late.blocking {
							late.step = func(c *call) error {
								time.Sleep(time.Duration(delays[i]) * time.Second)
								return once(c)
							}
						}
						slow.nodes = append(slow.nodes, &late)
					}
					group.Go(func() {
						r, err := newRun(&slow, nil)
						if err != nil {
							t.Error(err)
							return
						}
						if status := r.execute(); (status.Err == nil) != ok || ok && asJSON(status.Outputs) != asJSON(want) {
							t.Errorf("%s\n%v\n got %s, %v\nwant %s", text, delays, asJSON(status.Outputs), status.Err, asJSON(want))
						}
					})
				}
				group.Wait()
			})
			if t.Failed() {
				rt.FailNow()
			}
		})
	}
}
