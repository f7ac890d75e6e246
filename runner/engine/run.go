package engine

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// run is one execution of a program. Its state belongs to the goroutine that
// executes it; blocking nodes work beside it and hand their end over.
type run struct {
	program   *program
	values    []any         // by slot
	waiting   []int         // by node: sources that have not ended
	skipped   []bool        // by node
	kept      map[int][]any // memos, by node
	rounds    []round       // by loop
	variables variables
	around    *run            // whose node runs this one; nil: none does
	outer     *run            // of the pipeline whose file brings in that of this one; nil: none does
	depth     int             // pipelines that it runs in
	turns     turns           // with the runs in it
	listed    bool            // it is that of an element, in batch mode, or in such a one
	begin     context.Context // as that of the call that it runs in
	progress  atomic.Int64    // what has ended, of the outermost run
	outputs   map[string]any
	ctx       context.Context
	cancel    context.CancelFunc
	working   int         // blocking nodes that are under way
	ended     chan ending // of these; nil where the program has none
	next      []int       // nodes to begin with: the roots or, of a suspended run, the refused ones
	refusals  []error     // of the run's suspension: what each of the nodes in next met
	refusedAt time.Time   // the last of them
	usage     *runner.Usage
	phase     *phase        // what it is at; belongs to the engine
	place     *list.Element // among the runs that have ended; likewise

	answersSince time.Time            // answers of models that were kept before are not read; zero: all are
	watcher      *watcher             // nil: nobody watches
	log          func(message string) // takes the stacks of panics
}

// phase is a run from its start, or from being resumed, until it ends or is
// suspended.
type phase struct {
	done   chan struct{} // closed when status is there
	status runner.Status
}

func (p *phase) suspended() bool {
	select {
	case <-p.done:
		return p.status.Suspended != nil
	default:
		return false
	}
}

// newRun checks the inputs against the program and makes a run of it.
func newRun(p *program, in runner.Inputs) (*run, error) {
	r := &run{
		program:   p,
		values:    make([]any, p.slots),
		waiting:   make([]int, len(p.nodes)),
		skipped:   make([]bool, len(p.nodes)),
		variables: newVariables(p.pipeline),
		outputs:   make(map[string]any, len(p.outputs)),
		next:      p.roots,
	}
	used := 0
	for _, input := range p.inputs {
		v, given := in[input.Name]
		if given {
			used++
		}
		if v == nil {
			if !input.HasDefault {
				return nil, fmt.Errorf("input %q is missing", input.Name)
			}
			v = input.Default
		}
		v, err := spec.Convert(v, input.Type)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", input.Name, err)
		}
		r.values[input.slot] = v
	}
	if used < len(in) {
		return nil, unknownInput(p, in)
	}
	for i, n := range p.nodes {
		r.waiting[i] = n.sources
	}
	for _, l := range p.loops {
		r.rounds = append(r.rounds, round{left: len(l.body)})
	}
	for _, name := range p.outputs {
		r.outputs[name] = nil // what an output on a branch that is not taken stays
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if p.blocks {
		r.ended, r.turns = make(chan ending), make(turns, atOnce)
	}
	return r, nil
}

func unknownInput(p *program, in runner.Inputs) error {
	var names []string
	for _, input := range p.inputs {
		names = append(names, input.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !slices.Contains(names, name) {
			return fmt.Errorf("the pipeline has no input %q%s", name, schema.DidYouMean(name, names))
		}
	}
	return nil
}

// execute works on the run until it ends, or until nothing can go on but nodes
// whose calls were refused.
func (r *run) execute() runner.Status {
	err := r.protected()
	status := runner.Status{Usage: r.usage}
	switch {
	case err == nil && r.refusals != nil:
		status.State, status.Suspended = runner.Running, &runner.Suspension{At: r.refusedAt, Errs: r.refusals, Progress: int(r.progress.Load())}
		return status
	case err == nil:
		status.State, status.Outputs = runner.Succeeded, r.outputs
	case r.cancelled(err):
		status.State = runner.Cancelled
	default:
		status.State, status.Err = runner.Failed, err
	}
	r.cancel()
	r.forget()
	return status
}

// cancelled tells whether the run's end is its being cancelled, and not an error of a
// node that says so of something else.
func (r *run) cancelled(err error) bool {
	_, ofNode := errors.AsType[*runner.RunError](err)
	return !ofNode && r.ctx.Err() != nil && errors.Is(err, r.ctx.Err())
}

// forget lets go of what a run has that has ended: large, and of no use to those who
// ask for its status.
func (r *run) forget() {
	r.values, r.kept, r.rounds, r.variables, r.outputs, r.refusals = nil, nil, nil, nil, nil, nil
}

// got counts a node that has ended, or a part of one, for the outermost run.
func (r *run) got() { r.outermost().progress.Add(1) }

func (r *run) outermost() *run {
	for r.around != nil {
		r = r.around
	}
	return r
}

// protected works off the nodes. What panics beside them, in the engine itself or
// in whoever watches, ends this run only.
func (r *run) protected() (err error) {
	defer func() {
		for r.working > 0 { // after a panic: nothing may work on a run that has ended
			r.cancel()
			r.take(<-r.ended)
		}
	}()
	defer r.recovered(nil, &err)
	return r.nodes()
}
