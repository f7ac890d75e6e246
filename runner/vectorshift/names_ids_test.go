package vectorshift_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

// TestNameThatIsAnotherNodesID: a reference of a batch file is a name, whatever ids the
// platform has.
func TestNameThatIsAnotherNodesID(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		id := s.Put(fetched(t, `
			"llm_0": {"id": "llm_0", "name": "draft", "type": "text", "task_name": "text", "inputs": {"text": "hi"}},
			"llm_1": {"id": "llm_1", "name": "final", "type": "text", "task_name": "text", "inputs": {"text": "{{ llm_0.text }}"}}`))
		p := wantSaved(t, s, c, declared(t, `
draft: {type: text, inputs: {text: hi}}
llm_0: {type: text, inputs: {text: "check {{ draft.text }}"}}
final: {type: text, inputs: {text: "{{ llm_0.text }}"}}`), runner.Updated,
			"node final: text: {{ draft.text }} -> {{ llm_0.text }}", "node llm_0 (text) is added")
		checked := p.Node("llm_0").ID
		wantSame(t, "check", member(t, s.Object(id), "nodes."+checked+".inputs.text"), any("check {{ llm_0.text }}"))
		wantSame(t, "final", member(t, s.Object(id), "nodes.llm_1.inputs.text"), any("{{ "+checked+".text }}"))
	})
}

// TestIDsThatAreNames: of any graph, built with ids that are names of other nodes, a
// pulled file is saved unchanged, and any other file is saved as it says.
func TestIDsThatAreNames(t *testing.T) {
	words := []string{"a", "b", "c", "d", "e"}
	draw := func(r *rapid.T, what string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(words), 1, 4, rapid.ID).Draw(r, what)
	}
	rapid.Check(t, func(r *rapid.T) {
		s := vectorshifttest.NewInProcess()
		defer s.Close()
		c, err := vectorshift.New(vectorshift.Options{BaseURL: s.URL, Key: s.Key, HTTP: s.Client()})
		if err != nil {
			r.Fatal(err)
		}
		ids, names := rapid.Permutation(words).Draw(r, "ids"), draw(r, "names")
		nodes := map[string]any{}
		for i, name := range names {
			text := "x"
			if i > 0 {
				text = "{{" + ids[rapid.IntRange(0, i-1).Draw(r, "source")] + ".text}}"
			}
			nodes[ids[i]] = map[string]any{"id": ids[i], "name": name, "type": "text", "task_name": "text", "inputs": map[string]any{"text": text}}
		}
		id := s.Put(map[string]any{"name": "p", "nodes": nodes})
		p, err := c.Fetch(t.Context(), vectorshift.Which{ID: id})
		if err != nil {
			r.Fatal(err)
		}
		back, notes, err := p.Spec()
		if err != nil || notes != nil {
			r.Fatal(notes, err)
		}
		if _, action, changes := save(t, c, back); action != runner.Unchanged {
			r.Fatal("a pulled file is saved: ", changes)
		}

		other := &spec.Pipeline{Name: "p"}
		others := draw(r, "other names")
		for i, name := range others {
			text := rapid.SampledFrom([]string{"x", "y"}).Draw(r, "text")
			if i > 0 {
				text = rapid.SampledFrom([]string{"{{ ", "{{"}).Draw(r, "open") + others[rapid.IntRange(0, i-1).Draw(r, "other source")] + ".text }}"
			}
			other.Nodes = append(other.Nodes, &spec.Node{Name: name, Type: "text", Inputs: map[string]any{"text": text}})
		}
		save(t, c, other)
		kept := s.Object(id)["nodes"].(map[string]any)
		for _, n := range other.Nodes {
			wanted := n.Inputs["text"].(string)
			for ref := range spec.ParseTemplate(wanted).Refs() {
				wanted = "{{ " + idOfNode(map[string]any{"nodes": kept}, ref.Node) + ".text }}"
			}
			got := member(t, kept[idOfNode(map[string]any{"nodes": kept}, n.Name)], "inputs.text").(string)
			if spaced := strings.NewReplacer("{{", "{{ ", "}}", " }}").Replace(got); got != wanted && spaced != wanted {
				r.Fatalf("%s: %s, want %s in %v", n.Name, got, wanted, kept)
			}
		}
		if _, action, changes := save(t, c, other); action != runner.Unchanged {
			r.Fatal("saved again: ", changes)
		}
		if len(kept) != len(others) {
			r.Fatal(slices.Collect(maps.Keys(kept)))
		}
	})
}

// TestFormsOfReferences: spaces in them are no change.
func TestFormsOfReferences(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		form := strings.NewReplacer("{{ ", "{{", " }}", "  }}")
		p := wantSaved(t, s, c, declared(t, form.Replace(guideNodes)), runner.Created)
		wantSame(t, "prompt", member(t, s.Object(p.ID), "nodes."+p.Node("llm").ID+".inputs.prompt"), any("{{ "+p.Node("input_0").ID+".text }}"))
		wantSaved(t, s, c, declared(t, guideNodes), runner.Unchanged)
	})
}

// TestDependenciesAreASet: in any order, and each once.
func TestDependenciesAreASet(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		const nodes = "a: {type: text, inputs: {text: a}}\nb: {type: text, inputs: {text: b}}\nc: {type: text, inputs: {text: c, dependencies: "
		wantSaved(t, s, c, declared(t, nodes+`["{{a.text}}", "{{ b.text }}", "{{ a.text }}"]}}`), runner.Created)
		wantSaved(t, s, c, declared(t, nodes+`["{{ b.text }}", "{{ a.text }}"]}}`), runner.Unchanged)
		wantSaved(t, s, c, declared(t, nodes+`["{{ b.text }}"]}}`), runner.Updated, `node c: dependencies: ["{{ a.text }}","{{ b.text }}","{{ a.text }}"] -> ["{{ b.text }}"]`)
	})
}
