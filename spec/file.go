// Package spec is what a batch file says: its types, its YAML with positions,
// variables, references between nodes, the order of the graph, and the sources
// that items are read from.
//
// [Load] reads and checks a batch file. [Batch.Items] streams the items of one
// of its batches.
package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// File is a batch file that was found to be valid.
type File struct {
	Path     string // as the user named it
	Pipeline *Pipeline
	Batches  []*Batch // in the file's order
	Run      Run
	Results  string // results path as written, with {{ date }} and {{ batch }}
	Rehearse Rehearse
	Redactor *Redactor // hides the values of the variables under `secrets:`

	read *reading // what it was read from
}

// Pipeline is the graph of nodes, or the name or id of a saved one.
type Pipeline struct {
	Name        string
	ID          string
	Description string
	Nodes       []*Node        // in the author's order; nil where a saved pipeline is run
	Variables   map[string]any // of a run, which set_variable nodes change: name to first value

	VariableNames []string // all of them, in the author's order

	at    *yaml.Node
	doc   *document
	index map[string]int // of the nodes, by name, once all are read
}

// Node is one step of a pipeline.
type Node struct {
	Name          string
	Type          string
	Inputs        map[string]any // plain values, references unresolved
	InputNames    []string       // in the author's order
	ExecutionMode string         // normal or batch
	CyclicInputs  map[string]any
	Sub           *Pipeline // of a pipeline node that names a file: what the file says
	Code          string    // of a transformation node that names a file: its text, JavaScript
	CodeFile      string    // that file, as seen from here

	key, at, inputsAt *yaml.Node
	wrongInputs       bool // which outputs there are may hang on them
	outputs           []string
	doc               *document
}

// Problem makes a problem at the node's place in the file or, where input is
// not "", at that input's. A node that stands in no file has no place.
func (n *Node) Problem(input, format string, args ...any) schema.Problem {
	if n.doc == nil {
		return schema.Problem{Message: fmt.Sprintf(format, args...)}
	}
	return n.doc.problem(n.place(input), format, args...)
}

// place is the value of an input, or what is nearest to it.
func (n *Node) place(input string) *yaml.Node {
	at := n.key
	if v := valueOf(n.at, input); v != nil {
		at = v
	}
	if v := valueOf(n.inputsAt, input); v != nil {
		at = v
	}
	return at
}

// ProblemInside makes a problem at a line and a column (from 1, in characters) of the
// text that an input is. Text that is not written in a block of lines, as it is, has
// no such places in the file; then it is the place of the input.
func (n *Node) ProblemInside(input string, line, col int, format string, args ...any) schema.Problem {
	if at := n.place(input); n.doc != nil && n.Inputs[input] == at.Value { // else it was overridden
		if inside, ok := n.doc.inBlock(at, line, col); ok {
			return n.doc.problem(inside, format, args...)
		}
	}
	return n.Problem(input, format, args...)
}

// Batch is a named list of inputs.
type Batch struct {
	Name   string
	Source Source
	Map    map[string]any // input node name to row template; nil: columns are input names
	Key    string         // row template; "": the id is the hash of the inputs

	// What every run of the batch is started with.
	SessionID          string
	NodeInputOverrides map[string]any // "node.input" to value
	Version            string

	pipeline *Pipeline
	at       *yaml.Node
	key      *yaml.Node
	doc      *document
}

// Run says how batches are run. Durations that are 0 mean: none.
type Run struct {
	Backend      string
	Concurrency  int
	Timeout      time.Duration // of one run
	Deadline     time.Duration // of the invocation
	PollInterval time.Duration
	Retry        Retry
	Rate         Rate
	Stop         Stop
	Cache        Cache
	Prices       map[string]Price // "provider/model" or "model" to what it costs, before the list prices; nil: none
	Temporal     Temporal
}

// Retry says what is done about transient errors.
type Retry struct {
	MaxAttempts  int           // of a call, as far as is known: a run that gets on anywhere begins anew
	MaxElapsed   time.Duration // of a call that is refused, likewise
	UnknownStart string        // retry or fail
	FailedRuns   bool
	Backoff      Backoff
}

// Backoff is the pause between attempts.
type Backoff struct {
	Initial time.Duration
	Factor  float64
	Max     time.Duration
}

// Rate limits the calls of a backend; 0 is no limit.
type Rate struct{ RequestsPerMinute int }

// Stop says when a batch ends early; zero values never stop it.
type Stop struct {
	FailureShare float64 // of the items, 0 to 1
	FailureCount int
	BudgetUSD    float64
	BudgetTokens int64
}

// Cache says whether answers of models are kept.
type Cache struct {
	Enabled bool
	Path    string // "": in the state folder
	TTL     time.Duration
}

// Price is what a model costs, in US dollars per million tokens.
type Price struct {
	Input       float64
	CachedInput *float64 // of input that the provider read from its own cache; nil: as other input
	Output      float64
}

// Defaults is what a batch file means where it says nothing. The schema's
// defaults and the documentation are held against this table by a test.
func Defaults() File {
	return File{
		Results:  "results/{{ batch }}.jsonl",
		Rehearse: Rehearse{Latency: 2 * time.Second},
		Run: Run{
			Backend:      "local",
			Concurrency:  8,
			Timeout:      30 * time.Minute,
			PollInterval: 2 * time.Second,
			Retry: Retry{
				MaxAttempts:  4,
				MaxElapsed:   15 * time.Minute,
				UnknownStart: "retry",
				Backoff:      Backoff{Initial: time.Second, Factor: 2, Max: time.Minute},
			},
			Cache:    Cache{Enabled: true},
			Temporal: Temporal{TaskQueue: "nightshift", ShardSize: 200},
		},
	}
}

// Input is an input node as seen from outside: what a run has to be given.
type Input struct {
	Name       string
	Type       string // input_type: string, int32, vec<string>, ...
	Default    any
	HasDefault bool
}

// InputNodes lists the inputs of a pipeline in the author's order; nil where the
// nodes are not known.
func (p *Pipeline) InputNodes() []Input {
	var inputs []Input
	for _, n := range p.Nodes {
		if n.Type != "input" {
			continue
		}
		in := Input{Name: n.Name, Type: "string"}
		if t, ok := n.Inputs["input_type"].(string); ok {
			in.Type = t
		}
		if use, _ := n.Inputs["use_default_value"].(bool); use {
			in.Default, in.HasDefault = n.Inputs["default_value"], true
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// Node gives the node of that name, or nil.
func (p *Pipeline) Node(name string) *Node {
	if len(p.index) == len(p.Nodes) {
		if i, there := p.index[name]; there {
			return p.Nodes[i]
		}
		return nil
	}
	for _, n := range p.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// Reads lists the files that the batch file stands for: itself, those of its
// pipelines and their code, and the sources of its batches.
func (f *File) Reads() []string {
	paths := []string{f.Path}
	for p := range f.Pipeline.All() {
		if p.doc != nil {
			paths = append(paths, p.doc.file)
		}
		for _, n := range p.Nodes {
			if n.CodeFile != "" {
				paths = append(paths, n.CodeFile)
			}
		}
	}
	for _, b := range f.Batches {
		for _, n := range b.Source.from {
			if matches, err := b.doc.glob(n.Value); isGlob(n.Value) && err == nil {
				paths = append(paths, matches...)
			} else {
				paths = append(paths, b.doc.path(n.Value))
			}
		}
	}
	return paths
}

// Batch gives the batch of that name, or nil.
func (f *File) Batch(name string) *Batch {
	for _, b := range f.Batches {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// Override gives a copy of the pipeline in which node inputs, keyed as
// "node.input", have other values.
func (p *Pipeline) Override(overrides map[string]any) (*Pipeline, error) {
	changed := *p
	changed.Nodes = slices.Clone(p.Nodes)
	for key, value := range overrides {
		name, input, _ := strings.Cut(key, ".")
		i := slices.IndexFunc(changed.Nodes, func(n *Node) bool { return n.Name == name })
		if i < 0 || input == "" {
			return nil, fmt.Errorf("override %q does not name an input of a node", key)
		}
		n := *changed.Nodes[i]
		n.Inputs = maps.Clone(n.Inputs)
		n.Inputs[input] = value
		if input == n.pipelineInput() {
			n.Sub = nil
		}
		if input == "transformation" {
			n.Code, n.CodeFile = "", ""
		}
		if !slices.Contains(n.InputNames, input) {
			n.InputNames = append(slices.Clone(n.InputNames), input)
		}
		changed.Nodes[i] = &n
	}
	return &changed, nil
}
