package vectorshift

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatRunsTakeFromTheGraph(t *testing.T) {
	p := &Pipeline{Name: "p"}
	p.Add("question", Input{})
	p.Add("scan", Input{Type: "vec<file>"})
	p.Add("llm", LLM{Provider: "openai"})
	p.nodes = append(p.nodes, &Node{ID: "i", Name: "bare", Type: "input"})
	if diff := cmp.Diff(map[string]string{"question": "string", "scan": "vec<file>", "bare": "string"}, p.inputTypes()); diff != "" {
		t.Error(diff)
	}
	id := p.Node("question").ID
	given := map[string]any{"llm.prompt": "{{ question.text }}!", "llm.fields": []string{"{{question.text}}"}, "llm.max_tokens": 5, "other.text": "{{ gone.text }}"}
	if diff := cmp.Diff(map[string]any{
		"llm.prompt": "{{ " + id + ".text }}!", "llm.fields": []any{"{{ " + id + ".text }}"}, "llm.max_tokens": plain(5), "other.text": "{{ gone.text }}",
	}, p.rewriteOverrides(given)); diff != "" {
		t.Error(diff)
	}
	if p.rewriteOverrides(nil) != nil || len((&Pipeline{ID: "x"}).inputTypes()) != 0 {
		t.Error("something is made of nothing")
	}
}
