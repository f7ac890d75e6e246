package engine

import (
	"fmt"
	"slices"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

// program is a pipeline made ready to run: nodes in an order in which all
// sources come first, references turned into slots of a run's values.
type program struct {
	pipeline *spec.Pipeline
	id       string // that it has where it is saved; "": it has no name
	nodes    []*node
	roots    []int // nodes without sources
	loops    []*loop
	slots    int
	asked    []bool // by slot: whether some node refers to it
	inputs   []programInput
	outputs  []string // names of the output nodes
	blocks   bool     // some node waits for something outside of the process
	needs    Needs
}

type programInput struct {
	spec.Input
	slot int
}

// node is one step of a program.
type node struct {
	name, typ string
	step      step
	wiring
	blocking bool  // works in a goroutine of its own, as it waits
	suspends bool  // a refused call suspends the run
	sources  int   // how many nodes must end first
	users    []int // nodes that have this one among their sources; of a node in a loop, those in it
	complete int   // slot of the output `complete`
	first    int   // slot of its first output
	count    int   // of its outputs
	memos    int   // what it keeps beside them while it is suspended

	loop   *loop // that it is in; nil: in none
	inner  int   // of its sources, those in the loop
	behind []int // of its users, those behind the loop

	// For those who watch a run.
	tells  []told   // outputs that hold data
	relays []string // output nodes that give on its answer piece by piece
}

// wiring is what decides whether a node runs.
type wiring struct {
	gates     []int // slots of branches that must have been taken
	needs     []int // nodes that must not have been skipped
	fallbacks []int // of a merge: nodes that must not all have been skipped
}

// step does a node's work: it reads inputs and sets outputs through the call.
type step func(c *call) error

// nodeType is how the engine runs a type of node.
type nodeType struct {
	compile  func(s *setup) step
	blocking bool
	asks     bool   // asks a model: a refused call suspends the run
	resumes  bool   // runs nodes that may
	parts    bool   // what waits is not its call but others within it
	merges   string // the input whose skipped sources are tolerated
}

// Runs tells whether the engine runs nodes of a type.
func Runs(typ string) bool {
	_, known := nodeTypes[typ]
	return known
}

// Check says what of a pipeline this engine cannot run, each at its place.
func (e *Engine) Check(p *spec.Pipeline) schema.Problems {
	_, problems := e.compile(p)
	return problems
}

// compile makes a program of a pipeline that spec found to be valid.
func (e *Engine) compile(p *spec.Pipeline) (*program, schema.Problems) { return e.compileIn(nil, p) }

// compileIn compiles a pipeline that a file brings into another one.
func (e *Engine) compileIn(outer *compiler, p *spec.Pipeline) (*program, schema.Problems) {
	c := &compiler{engine: e, outer: outer, pipeline: p}
	if outer == nil {
		c.made = map[*spec.Pipeline]*compiler{}
	} else if c.made = outer.made; c.made[p] != nil {
		return c.made[p].program, union(slices.Clip(c.made[p].problems), outer.takeOver(c.made[p]))
	}
	if p.Name != "" {
		c.id = spec.PipelineID(p.Name)
	}
	c.made[p] = c
	c.compile()
	if outer != nil {
		_ = outer.takeOver(c) // all was found in here just now
	}
	return c.program, c.problems
}

// takeOver looks up what a file names of the pipelines that it stands in: it is compiled
// once, and may stand elsewhere too. The problems are those of this place.
func (c *compiler) takeOver(file *compiler) (problems schema.Problems) {
	for _, by := range file.outward {
		switch around := c.around(by); around {
		case nil:
			saved, problem := c.engine.named(by)
			if saved == nil {
				problems = append(problems, problem)
				continue
			}
			c.program.needs.add(saved.needs)
		case c:
		default:
			c.outward = union(c.outward, []named{by})
		}
	}
	return problems
}

func (c *compiler) compile() {
	p := c.pipeline
	levels, cycle := p.Levels()
	switch {
	case cycle != nil:
		c.problems = schema.Problems{{Message: "nodes refer to one another in a circle: " + strings.Join(cycle, " -> ")}}
		return
	case p.Nodes == nil:
		c.problems = schema.Problems{{Message: fmt.Sprintf("pipeline %s has no nodes that could be run", p.Name)}}
		return
	}
	c.order, c.index = slices.Concat(levels...), map[string]int{}
	c.asked, c.slots = map[[2]string]bool{}, map[[2]string]slotInfo{}
	c.program = &program{pipeline: p, id: c.id, nodes: make([]*node, len(c.order))}
	c.layOut()
	for i, n := range c.order {
		c.node(i, n)
	}
	if len(c.problems) == 0 {
		c.loops()
		c.wireChunks()
	}
}

// compiler is a program in the making.
type compiler struct {
	engine   *Engine
	outer    *compiler                    // of the pipeline that this one stands in; nil: in none
	made     map[*spec.Pipeline]*compiler // of files that several nodes name
	outward  []named                      // nodes in it, at any depth, that name one that it stands in
	pipeline *spec.Pipeline
	id       string // of it; "": it has no name
	program  *program
	order    []*spec.Node
	index    map[string]int     // of nodes, by name
	asked    map[[2]string]bool // outputs that some node refers to, by node and name
	slots    map[[2]string]slotInfo
	problems schema.Problems
}

type slotInfo struct {
	slot int
	typ  string
}

// layOut gives every output a slot, those of one node side by side. Of a node whose
// outputs nobody knows, those have one that are referred to.
func (c *compiler) layOut() {
	open := map[string][]string{}
	ask := func(n *spec.Node) {
		for _, ref := range n.Refs() {
			key := [2]string{ref.Node, ref.Output}
			if !c.asked[key] {
				c.asked[key] = true
				open[ref.Node] = append(open[ref.Node], ref.Output)
			}
		}
	}
	for i, n := range c.order {
		c.index[n.Name] = i
		if ask(n); len(n.CyclicInputs) > 0 {
			ask(n.Round())
		}
	}
	for i, n := range c.order {
		made := &node{name: n.Name, typ: n.Type, first: c.program.slots}
		add := func(output, typ string) {
			key := [2]string{n.Name, output}
			if _, twice := c.slots[key]; !twice {
				c.slots[key] = slotInfo{c.program.slots, typ}
				c.program.asked = append(c.program.asked, c.asked[key])
				c.program.slots++
			}
		}
		for _, o := range n.Outputs() {
			add(o.Name, o.Type)
		}
		if t := schema.LookupNodeType(n.Type); t != nil && t.OpenOutputs && n.Sub == nil {
			for _, output := range open[n.Name] {
				add(output, "any")
			}
		}
		made.count = c.program.slots - made.first
		made.complete = c.slots[[2]string{n.Name, "complete"}].slot
		c.program.nodes[i] = made
	}
}

// node compiles one.
func (c *compiler) node(i int, n *spec.Node) {
	made := c.program.nodes[i]
	kind, known := nodeTypes[n.Type]
	if !known {
		instead := "use backend vectorshift"
		if t := schema.LookupNodeType(n.Type); t != nil && t.Instead != "" {
			instead = t.Instead
		}
		c.problems = append(c.problems, n.Problem("type", "node type %q is not run on this machine: %s", n.Type, instead))
		return
	}
	made.blocking, made.suspends = kind.blocking || kind.asks, kind.asks || kind.resumes
	c.program.needs.Models = c.program.needs.Models || kind.asks
	made.step = c.step(n, kind, made)
	made.wiring = c.wire(n, kind)
	for _, source := range n.Sources() {
		made.sources++
		if from, there := c.index[source]; there {
			c.program.nodes[from].users = append(c.program.nodes[from].users, i)
		}
	}
	if made.sources == 0 {
		c.program.roots = append(c.program.roots, i)
	}
	c.program.blocks = c.program.blocks || made.blocking
}

// step compiles what a node does.
func (c *compiler) step(n *spec.Node, kind nodeType, made *node) step {
	s := &setup{compiler: c, spec: n, made: made}
	if n.ExecutionMode == "batch" {
		s.batch = &batch{}
	}
	s.refuseDangling()
	s.leaf = (kind.blocking || kind.asks) && !kind.parts
	done := kind.compile(s)
	if done != nil && s.batch != nil {
		done = s.batched(done)
	} else if done != nil && s.leaf {
		done = done.limited()
	}
	c.problems = union(c.problems, s.problems)
	return done
}

// wire finds what decides whether a node runs.
func (c *compiler) wire(n *spec.Node, kind nodeType) (w wiring) {
	for input, ref := range n.Refs() {
		out := c.slots[[2]string{ref.Node, ref.Output}]
		switch {
		case out.typ == "path":
			w.gates = append(w.gates, out.slot)
		case input == kind.merges:
			w.fallbacks = append(w.fallbacks, c.index[ref.Node])
		default:
			w.needs = append(w.needs, c.index[ref.Node])
		}
	}
	for _, of := range []*[]int{&w.gates, &w.needs, &w.fallbacks} {
		slices.Sort(*of)
		*of = slices.Clip(slices.Compact(*of))
	}
	if items, ok := n.Inputs[kind.merges].([]any); ok && slices.ContainsFunc(items, literal) {
		w.fallbacks = nil // there is always something to merge
	}
	return w
}

// literal tells whether a value refers to nothing, and is something.
func literal(v any) bool {
	_, plain := spec.ParseTemplate(v).Literal()
	return plain && !spec.IsEmpty(v)
}
