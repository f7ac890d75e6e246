package vectorshift_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

// TestGraphsComeBack: any graph that is saved is fetched as it was, and saved again
// nothing is written; nor when it goes on from there to any other graph. What keeps its
// name and type keeps its id and its place.
func TestGraphsComeBack(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := vectorshifttest.NewInProcess() // of its own: lists get no longer
		defer s.Close()
		c, err := vectorshift.New(vectorshift.Options{BaseURL: s.URL, Key: s.Key, HTTP: s.Client()})
		if err != nil {
			r.Fatal(err)
		}
		const name = "p"
		first, second := drawGraph(r, name), drawGraph(r, name)
		id := comesBack(t, c, first)
		before := s.Object(id)
		if comesBack(t, c, second) != id || len(s.Pipelines(name)) != 1 {
			r.Fatal("another pipeline")
		}
		after := s.Object(id)
		for _, n := range first.Nodes {
			if same := second.Node(n.Name); same == nil || same.Type != n.Type {
				continue
			}
			was, is := idOfNode(before, n.Name), idOfNode(after, n.Name)
			wantSame(t, "id of "+n.Name, is, was)
			wantSame(t, "place of "+n.Name, member(t, after, "canvas_metadata.nodes."+is), member(t, before, "canvas_metadata.nodes."+was))
		}
		places := map[string]bool{}
		for _, place := range member(t, after, "canvas_metadata.nodes").(map[string]any) {
			at := string(spec.AppendJSON(nil, member(t, place, "position")))
			if places[at] {
				r.Fatalf("two nodes stand at %s", at)
			}
			places[at] = true
		}
		if t.Failed() {
			r.FailNow()
		}
	})
}

// comesBack saves a pipeline, and compares what is fetched of it.
func comesBack(t *testing.T, c *vectorshift.Client, sp *spec.Pipeline) string {
	p, _, _ := save(t, c, sp)
	_, action, changes := save(t, c, sp)
	wantSame(t, "second save", action, runner.Unchanged)
	wantSame(t, "second changes", changes, nil)
	fetched, err := c.Fetch(t.Context(), vectorshift.Which{ID: p.ID})
	if err != nil {
		t.Fatal(err)
	}
	back, notes, err := fetched.Spec()
	if err != nil || notes != nil {
		t.Fatal(notes, err)
	}
	wantSame(t, "nodes", graphOf(back), graphOf(sp))
	_, action, _ = save(t, c, back)
	wantSame(t, "save of what was fetched", action, runner.Unchanged)
	return p.ID
}

// graphOf is what a pipeline says, without the order of nodes.
func graphOf(p *spec.Pipeline) map[string]any {
	all := map[string]any{}
	for _, n := range p.Nodes {
		all[n.Name] = []any{n.Type, n.ExecutionMode, n.Inputs, n.CyclicInputs}
	}
	return all
}

func idOfNode(object map[string]any, name string) string {
	nodes := object["nodes"].(map[string]any)
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		if nodes[id].(map[string]any)["name"] == name {
			return id
		}
	}
	return ""
}

func drawGraph(r *rapid.T, name string) *spec.Pipeline {
	p := &spec.Pipeline{Name: name}
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-d_][a-c0-9_]{0,2}`), 1, 8, rapid.ID).Draw(r, "names")
	for i, name := range names {
		n := &spec.Node{Name: name, Inputs: map[string]any{}, ExecutionMode: rapid.SampledFrom([]string{"normal", "batch"}).Draw(r, "mode")}
		n.Type = rapid.SampledFrom([]string{"text", "llm", "output", "alien", "odd-type"}).Draw(r, "type")
		text := drawText(names[:i])
		switch n.Type {
		case "text":
			n.Inputs["text"] = text.Draw(r, "text")
		case "output":
			n.Inputs["output_type"], n.Inputs["value"] = "string", text.Draw(r, "value")
		case "llm":
			n.Inputs["provider"], n.Inputs["prompt"] = "openai", text.Draw(r, "prompt")
			n.Inputs["temperature"] = drawNumber().Draw(r, "temperature")
		default:
			n.Inputs["x"] = drawValue(text, 3).Draw(r, "x")
		}
		for input := range n.Inputs {
			n.InputNames = append(n.InputNames, input)
		}
		slices.Sort(n.InputNames)
		if rapid.Bool().Draw(r, "cyclic") {
			n.CyclicInputs = map[string]any{"again": drawText(names).Draw(r, "again")}
		}
		p.Nodes = append(p.Nodes, n)
	}
	return p
}

func drawNumber() *rapid.Generator[any] {
	return rapid.Map(rapid.SampledFrom([]string{"1", "0.70", "1e3", "-2.5", "123456789012345678901"}), func(s string) any { return json.Number(s) })
}

// drawText draws text that may refer to nodes of these names.
func drawText(names []string) *rapid.Generator[string] {
	return rapid.Custom(func(r *rapid.T) string {
		text := rapid.StringMatching(`[a-z{} .\n"]{0,6}x`).Draw(r, "before")
		for range rapid.IntRange(0, 2).Draw(r, "refs") {
			if len(names) > 0 {
				text += "{{ " + rapid.SampledFrom(names).Draw(r, "node") + "." + rapid.SampledFrom([]string{"text", "response", "a.b"}).Draw(r, "output") + " }}"
			}
		}
		return text
	})
}

func drawValue(text *rapid.Generator[string], depth int) *rapid.Generator[any] {
	plain := []*rapid.Generator[any]{text.AsAny(), drawNumber(), rapid.Bool().AsAny()}
	if depth == 0 {
		return rapid.OneOf(plain...)
	}
	inner := rapid.Deferred(func() *rapid.Generator[any] { return drawValue(text, depth-1) })
	return rapid.OneOf(append(plain,
		rapid.Map(rapid.SliceOfN(inner, 1, 3), func(list []any) any { return list }),
		rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}`), inner, 1, 3), func(m map[string]any) any { return m }),
	)...)
}
