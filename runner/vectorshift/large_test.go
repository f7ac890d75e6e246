package vectorshift

import (
	"fmt"
	"testing"
	"time"
)

// TestLargeGraph: what is done grows with the graph, not with its square.
func TestLargeGraph(t *testing.T) {
	began := time.Now()
	p := &Pipeline{Name: "p", object: emptyGraph()}
	for i := range 1000 {
		text := ""
		for j := max(0, i-40); j < i; j++ {
			text += fmt.Sprintf("{{n%d.text}}", j)
		}
		p.Add(fmt.Sprint("n", i), Text{Text: text})
	}
	p.object = plain(p.draft().wire()).(map[string]any)
	p.nodes = nodesOf(p.object)
	d := p.draft()
	want(t, "changes", d.changes(), []string(nil))
	edges, _ := object(d.wire()["canvas_metadata"])["edges"].([]any)
	want(t, "edges", len(edges), 39180)
	if took := time.Since(began); took > 15*time.Second { // it is less than one
		t.Errorf("it took %v", took)
	}
}
