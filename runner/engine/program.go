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
	nodes   []*node
	roots   []int // nodes without sources
	slots   int
	inputs  []programInput
	outputs []string // names of the output nodes
	blocks  bool     // some node waits for something outside of the process
	needs   Needs
}

// Needs is what the runs of a pipeline need.
type Needs struct {
	Missing  schema.Problems // what is not there, such as keys, each at the node that needs it
	Unpriced schema.Problems // models without a known price, each at the node that asks it: no budget can be kept with them
	Keys     []string        // that are sent, and must not be written anywhere
	Models   bool            // whether models are asked
}

type programInput struct {
	spec.Input
	slot int
}

// node is one step of a program.
type node struct {
	name, typ string
	step      step
	blocking  bool  // works in a goroutine of its own, as it waits
	suspends  bool  // a refused call suspends the run
	sources   int   // how many nodes must end first
	users     []int // nodes that have this one among their sources
	complete  int   // slot of the output `complete`
	gates     []int // slots of branches that must have been taken
	needs     []int // nodes that must not have been skipped
	fallbacks []int // of a merge: nodes that must not all have been skipped

	// For those who watch a run.
	tells  []told   // outputs that hold data
	relays []string // output nodes that give on its answer piece by piece
}

// step does a node's work: it reads inputs and sets outputs through the call.
type step func(c *call) error

// nodeType is how the engine runs a type of node.
type nodeType struct {
	compile  func(s *setup) step
	blocking bool
	asks     bool   // asks a model: a refused call suspends the run
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

// Needs says what a pipeline needs that Check has found to be one that can be run.
func (e *Engine) Needs(p *spec.Pipeline) Needs {
	g, _ := e.compile(p)
	if g == nil {
		return Needs{}
	}
	return g.needs
}

// compile makes a program of a pipeline that spec found to be valid.
func (e *Engine) compile(p *spec.Pipeline) (*program, schema.Problems) {
	var problems schema.Problems
	levels, cycle := p.Levels()
	switch {
	case cycle != nil:
		return nil, schema.Problems{{Message: "nodes refer to one another in a circle: " + strings.Join(cycle, " -> ")}}
	case p.Nodes == nil:
		return nil, schema.Problems{{Message: fmt.Sprintf("pipeline %s has no nodes that could be run", p.Name)}}
	}
	nodes := slices.Concat(levels...)
	g := &program{nodes: make([]*node, len(nodes))}
	slots := map[[2]string]slotInfo{}
	index := map[string]int{}
	for i, n := range nodes {
		index[n.Name] = i
		if t := schema.LookupNodeType(n.Type); t != nil {
			for _, o := range t.OutputsOf(n.Inputs) {
				slots[[2]string{n.Name, o.Name}] = slotInfo{g.slots, o.Type}
				g.slots++
			}
		}
	}
	for i, n := range nodes {
		kind, known := nodeTypes[n.Type]
		if !known {
			problems = append(problems, n.Problem("type", "node type %q is not run by this engine yet; nightshift nodes lists those that are", n.Type))
			continue
		}
		s := &setup{engine: e, spec: n, slots: slots, program: g}
		s.refuseWhatIsLater()
		s.refuseDangling(p)
		made := &node{
			name: n.Name, typ: n.Type, complete: slots[[2]string{n.Name, "complete"}].slot,
			blocking: kind.blocking || kind.asks, suspends: kind.asks,
		}
		g.needs.Models = g.needs.Models || kind.asks
		made.step = kind.compile(s)
		made.wire(n, kind, slots, index)
		for _, source := range n.Sources() {
			made.sources++
			if from := g.nodes[index[source]]; from != nil {
				from.users = append(from.users, i)
			}
		}
		if made.sources == 0 {
			g.roots = append(g.roots, i)
		}
		g.blocks = g.blocks || made.blocking
		g.nodes[i] = made
		problems = append(problems, s.problems...)
	}
	if len(problems) == 0 {
		g.wireChunks(nodes, slots, index)
	}
	return g, problems
}

type slotInfo struct {
	slot int
	typ  string
}

// wire finds what decides whether the node runs.
func (n *node) wire(from *spec.Node, kind nodeType, slots map[[2]string]slotInfo, index map[string]int) {
	add := func(to *[]int, i int) {
		if !slices.Contains(*to, i) {
			*to = append(*to, i)
		}
	}
	for input, ref := range from.Refs() {
		switch out := slots[[2]string{ref.Node, ref.Output}]; {
		case out.typ == "path":
			add(&n.gates, out.slot)
		case input == kind.merges:
			add(&n.fallbacks, index[ref.Node])
		default:
			add(&n.needs, index[ref.Node])
		}
	}
	if items, ok := from.Inputs[kind.merges].([]any); ok && slices.ContainsFunc(items, literal) {
		n.fallbacks = nil // there is always something to merge
	}
}

// literal tells whether a value refers to nothing, and is something.
func literal(v any) bool {
	_, plain := spec.ParseTemplate(v).Literal()
	return plain && !spec.IsEmpty(v)
}

// setup is what a node type is compiled from.
type setup struct {
	engine   *Engine
	spec     *spec.Node
	program  *program
	slots    map[[2]string]slotInfo
	problems schema.Problems
}

// refuse reports that the node cannot be run as it is written.
func (s *setup) refuse(input, format string, args ...any) {
	s.problems = append(s.problems, s.spec.Problem(input, format, args...))
}

func (s *setup) refuseWhatIsLater() {
	if s.spec.ExecutionMode != "normal" {
		s.refuse("execution_mode", "execution_mode %s is not run by this engine yet", s.spec.ExecutionMode)
	}
	if len(s.spec.CyclicInputs) > 0 {
		s.refuse("cyclic_inputs", "cyclic_inputs are not run by this engine yet")
	}
}

// refuseDangling reports references to nothing. spec has found none in what the
// author wrote, but node inputs may have been overridden since.
func (s *setup) refuseDangling(p *spec.Pipeline) {
	for input, ref := range s.spec.Refs() {
		if _, ok := s.slots[[2]string{ref.Node, ref.Output}]; ok {
			continue
		}
		if target := p.Node(ref.Node); target == nil || Runs(target.Type) {
			s.refuse(input, "{{ %s.%s }} refers to nothing", ref.Node, ref.Output)
		}
	}
}

// in gives an input: what the author wrote, else the published default.
func (s *setup) in(name string) input {
	field, _ := schema.LookupNodeType(s.spec.Type).Input(name)
	value, given := s.spec.Inputs[name]
	if !given {
		value = field.Default
	}
	return input{name: name, template: s.bind(value), choices: field.Enum}
}

// bind parses a value and gives its references their slots.
func (s *setup) bind(value any) *spec.Template {
	t := spec.ParseTemplate(value)
	for ref := range t.Refs() {
		ref.Slot = s.slots[[2]string{ref.Node, ref.Output}].slot
	}
	return t
}

// out gives the slot of an output of this node; -1 where the node, as it is
// configured, does not have it.
func (s *setup) out(name string) int {
	if info, ok := s.slots[[2]string{s.spec.Name, name}]; ok {
		return info.slot
	}
	return -1
}
