package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	depth     int // pipelines that it runs in
	outputs   map[string]any
	ctx       context.Context
	cancel    context.CancelFunc
	working   int         // blocking nodes that are under way
	ended     chan ending // of these; nil where the program has none
	next      []int       // nodes to begin with: the roots or, of a suspended run, the refused ones
	refusals  []error     // of the run's suspension: what each of the nodes in next met
	refusedAt time.Time   // the last of them
	usage     *runner.Usage
	phase     *phase // what it is at; belongs to the engine

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

// ending is a blocking node that has ended.
type ending struct {
	node  int
	err   error
	own   []any
	usage *runner.Usage
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
		r.ended = make(chan ending)
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
		status.State, status.Suspended = runner.Running, &runner.Suspension{At: r.refusedAt, Errs: r.refusals}
		return status
	case err == nil:
		status.State, status.Outputs = runner.Succeeded, r.outputs
	case r.ctx.Err() != nil && errors.Is(err, r.ctx.Err()):
		status.State = runner.Cancelled
	default:
		status.State, status.Err = runner.Failed, err
	}
	r.cancel()
	r.values, r.kept = nil, nil // large, and of no use to those who ask for the status
	return status
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

// take takes a blocking node for ended.
func (r *run) take(end ending) {
	r.working--
	if end.usage != nil {
		r.usage = r.usage.Add(*end.usage)
	}
}

// nodes works off the nodes that are ready. The first error ends the run, when
// the blocking nodes that are under way have ended too.
func (r *run) nodes() (failure error) {
	c := &call{ctx: r.ctx, run: r, get: r.value}
	var buf [64]int
	ready := append(buf[:0], r.next...)
	r.next, r.refusals = nil, nil
	for len(ready) > 0 || r.working > 0 {
		if failure == nil {
			failure = r.ctx.Err()
		}
		if failure != nil { // nothing more is begun, also not what a late success made ready
			if ready = ready[:0]; r.working == 0 {
				return failure
			}
		}
		if len(ready) == 0 {
			end := <-r.ended // also on a cancellation: they all hear of it
			r.take(end)
			ready = r.finish(end.node, end.own, end.err, ready, &failure)
			continue
		}
		i := ready[0]
		ready = ready[1:]
		n := r.program.nodes[i]
		work, wires := n.step, &n.wiring
		if n.loop != nil {
			work, wires = r.work(i)
		}
		if r.skips(wires) {
			r.skip(i)
			ready = r.release(i, ready, &failure)
			continue
		}
		c.node, c.own, c.kept = n, r.values[n.first:n.first+n.count], r.memos(i)
		if n.loop != nil {
			c.own = make([]any, n.count) // the last round's are referred to until the call ends; none of them must be left then
		}
		if !n.blocking {
			err := c.protect(n, work)
			ready = r.finish(i, c.own, err, ready, &failure)
			continue
		}
		r.working++
		own := *c
		go func() {
			err := own.protect(n, work)
			r.ended <- ending{i, err, own.own, own.usage}
		}()
	}
	return failure
}

// value is what a reference stands for.
func (r *run) value(ref *spec.Ref) any {
	if ref.Slot < 0 {
		return r.variables.get(^ref.Slot)
	}
	return r.values[ref.Slot]
}

// memos are those of a node.
func (r *run) memos(i int) []any {
	if r.program.nodes[i].memos == 0 {
		return nil
	}
	if r.kept[i] == nil {
		if r.kept == nil {
			r.kept = map[int][]any{}
		}
		r.kept[i] = make([]any, r.program.nodes[i].memos)
	}
	return r.kept[i]
}

// finish takes the end of a node, whose outputs are in own.
func (r *run) finish(i int, own []any, err error, ready []int, failure *error) []int {
	n := r.program.nodes[i]
	switch {
	case err == nil:
		if n.loop != nil {
			copy(r.values[n.first:], own)
		}
		if n.memos > 0 {
			delete(r.kept, i)
		}
		r.values[n.complete] = true
		if r.watcher != nil {
			r.watcher.ended(r, n)
		}
		return r.release(i, ready, failure)
	case *failure != nil:
		return ready
	case r.ctx.Err() != nil:
		*failure = r.ctx.Err() // it was cancelled, and says so in words of its own
	default:
		err = &runner.RunError{Node: n.name, Type: n.typ, Err: err}
		if n.suspends && passes(err) {
			r.next = append(r.next, i)
			r.refusals, r.refusedAt = append(r.refusals, err), time.Now()
			return ready
		}
		*failure = err
	}
	r.cancel()
	return ready
}

// passes tells whether an error may be gone when the call is made again later.
func passes(err error) bool {
	if api, ok := errors.AsType[*runner.APIError](err); ok {
		return api.Transient()
	}
	if _, ok := errors.AsType[*runner.ConnectionError](err); ok {
		return true
	}
	return isHeldBack(err)
}

func isHeldBack(err error) bool {
	_, ok := errors.AsType[*runner.HeldBack](err)
	return ok
}

// release makes those users of a node ready that waited for nothing else.
func (r *run) release(i int, ready []int, failure *error) []int {
	n := r.program.nodes[i]
	for _, user := range n.users {
		if r.waiting[user]--; r.waiting[user] == 0 {
			ready = append(ready, user)
		}
	}
	if n.loop == nil {
		return ready
	}
	ready, err := r.turn(n.loop, ready)
	if err != nil && *failure == nil {
		*failure = err
		r.cancel()
	}
	return ready
}

// skips tells whether a node must not run: a branch that it stands on was not
// taken, or what it refers to was skipped. A merge is skipped only when all of
// its candidates were.
func (r *run) skips(w *wiring) bool {
	for _, slot := range w.gates {
		if r.values[slot] != true {
			return true
		}
	}
	for _, source := range w.needs {
		if r.skipped[source] {
			return true
		}
	}
	if len(w.fallbacks) == 0 {
		return false
	}
	return !slices.ContainsFunc(w.fallbacks, func(source int) bool { return !r.skipped[source] })
}

// skip takes a node for skipped, whatever it did in an earlier round.
func (r *run) skip(i int) {
	n := r.program.nodes[i]
	r.skipped[i] = true
	clear(r.values[n.first : n.first+n.count])
	if n.typ == "output" {
		r.outputs[n.name] = nil
	}
}
