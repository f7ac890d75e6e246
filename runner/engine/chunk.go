package engine

import (
	"sync"

	"nightshift/runner"
	"nightshift/spec"
)

// told is an output that those who watch a run hear of.
type told struct {
	name string // node.output
	slot int
}

// wireChunks finds what of the nodes is told to those who watch a run, and
// which output nodes give on the answer of a model while it comes in.
func (c *compiler) wireChunks() {
	for i, n := range c.order {
		if n.Type == "input" {
			continue // a watcher knows what it put in
		}
		made := c.program.nodes[i]
		for _, o := range n.Outputs() {
			if o.Type != "path" {
				made.tells = append(made.tells, told{n.Name + "." + o.Name, c.slots[[2]string{n.Name, o.Name}].slot})
			}
		}
		if n.Type != "output" || n.Inputs["output_type"] != "stream<string>" || made.loop != nil {
			continue
		}
		ref, whole := spec.ParseTemplate(n.Inputs["value"]).Whole()
		if whole && (ref.Output == "response" || ref.Output == "response_deltas") && len(n.Sources()) == 1 { // with no branch to wait for
			from := c.program.nodes[c.index[ref.Node]]
			from.relays = append(from.relays, n.Name)
		}
	}
}

// watcher takes chunks of a run, one after the other.
type watcher struct {
	runID  string
	mu     sync.Mutex
	chunk  func(runner.Chunk)
	pieces map[string]bool // outputs that were told piece by piece
}

// piece tells a piece of the answer of a model.
func (w *watcher) piece(n *node, output, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pieces[n.name+".response_deltas"] = true // of vision nodes: the same once more
	for _, name := range append([]string{n.name + "." + output}, n.relays...) {
		w.pieces[name] = true
		w.chunk(runner.Chunk{RunID: w.runID, Output: name, Value: text, Piece: true})
	}
}

// ended tells what a node has made, but for what it told piece by piece.
func (w *watcher) ended(r *run, n *node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.typ == "output" && !w.pieces[n.name] {
		w.chunk(runner.Chunk{RunID: w.runID, Output: n.name, Value: r.outputs[n.name]})
	}
	for _, out := range n.tells {
		if v := r.values[out.slot]; v != nil && !w.pieces[out.name] {
			w.chunk(runner.Chunk{RunID: w.runID, Output: out.name, Value: v})
		}
	}
}
