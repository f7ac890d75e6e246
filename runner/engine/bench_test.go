package engine

import (
	"fmt"
	"strings"
	"testing"

	"nightshift/runner"
)

// BenchmarkWideGraph runs 200 text nodes in 10 layers of 20; every node joins
// two of the layer above it.
func BenchmarkWideGraph(b *testing.B) {
	const layers, width = 10, 20
	nodes := []string{"in: {type: input}"}
	for layer := range layers {
		for i := range width {
			text := "{{ in.text }}"
			if layer > 0 {
				text = fmt.Sprintf("{{ t%d_%d.text }}, {{ in.text }}", layer-1, i)
				if i%4 == 0 {
					text = fmt.Sprintf("{{ t%d_%d.text }} and {{ t%d_%d.text }}", layer-1, i, layer-1, (i+1)%width)
				}
			}
			nodes = append(nodes, fmt.Sprintf(`t%d_%d: {type: text, inputs: {text: "%s"}}`, layer, i, text))
		}
	}
	nodes = append(nodes, fmt.Sprintf(`out: {type: output, inputs: {value: "{{ t%d_0.text }}"}}`, layers-1))
	benchmark(b, strings.Join(nodes, "\n"), runner.Inputs{"in": "some text"})
}

// BenchmarkWordSearch looks for words in a list, as a graph does that sorts
// tickets by what they are about.
func BenchmarkWordSearch(b *testing.B) {
	clauses := strings.TrimSuffix(strings.Repeat(`[VecContainsItem, "{{ words.processed_text }}", refund], `, 20), ", ")
	operators := strings.TrimSuffix(strings.Repeat("OR, ", 19), ", ")
	benchmark(b, `
		in: {type: input}
		words: {type: split_text, inputs: {text: "{{ in.text }}"}}
		c: {type: condition, inputs: {conditions: [{clauses: [`+clauses+`], operators: [`+operators+`]}]}}
		out: {type: output, inputs: {value: x, dependencies: ["{{ c.path_else }}"]}}
	`, runner.Inputs{"in": strings.Repeat("the quick brown fox ", 10)})
}

func benchmark(b *testing.B, nodes string, in runner.Inputs) {
	e := New(Options{})
	id := save(b, e, nodes)
	b.ReportAllocs()
	for b.Loop() {
		status, err := e.Wait(b.Context(), start(b, e, id, in))
		if err != nil || status.Err != nil || status.Outputs["out"] == nil {
			b.Fatal(status, err)
		}
	}
}
