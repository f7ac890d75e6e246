package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// run is one execution of a program. Its state belongs to the goroutine that
// executes it; blocking nodes work beside it and hand their end over.
type run struct {
	program *program
	values  []any  // by slot
	waiting []int  // by node: sources that have not ended
	skipped []bool // by node
	outputs map[string]any
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan ending   // of blocking nodes; nil where the program has none
	done    chan struct{} // closed when status is final
	status  runner.Status
}

// ending is a blocking node that has ended.
type ending struct {
	node int
	err  error
}

// newRun checks the inputs against the program and makes a run of it.
func newRun(p *program, in runner.Inputs) (*run, error) {
	r := &run{
		program: p,
		values:  make([]any, p.slots),
		waiting: make([]int, len(p.nodes)),
		skipped: make([]bool, len(p.nodes)),
		outputs: make(map[string]any, len(p.outputs)),
		done:    make(chan struct{}),
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

// execute runs the program to its end.
func (r *run) execute() {
	defer close(r.done)
	defer r.cancel()
	err := r.nodes()
	switch {
	case err == nil:
		r.status = runner.Status{State: runner.Succeeded, Outputs: r.outputs}
	case r.ctx.Err() != nil && errors.Is(err, r.ctx.Err()):
		r.status = runner.Status{State: runner.Cancelled}
	default:
		r.status = runner.Status{State: runner.Failed, Err: err}
	}
	r.values = nil // large, and of no use to those who ask for the status
}

// nodes works off the nodes that are ready. The first error ends the run, when
// the blocking nodes that are under way have ended too.
func (r *run) nodes() (failure error) {
	c := &call{ctx: r.ctx, run: r, get: func(ref *spec.Ref) any { return r.values[ref.Slot] }}
	var buf [64]int
	ready := append(buf[:0], r.program.roots...)
	working := 0
	for len(ready) > 0 || working > 0 {
		if failure == nil {
			failure = r.ctx.Err()
		}
		if failure != nil { // nothing more is begun, also not what a late success made ready
			if ready = ready[:0]; working == 0 {
				return failure
			}
		}
		if len(ready) == 0 {
			end := <-r.ended // also on a cancellation: they all hear of it
			working--
			ready = r.finish(end.node, end.err, ready, &failure)
			continue
		}
		i := ready[0]
		ready = ready[1:]
		switch n := r.program.nodes[i]; {
		case r.skips(n):
			r.skipped[i] = true
			ready = r.release(n, ready)
		case n.blocking:
			working++
			go func() { r.ended <- ending{i, protect(n, c)} }()
		default:
			ready = r.finish(i, protect(n, c), ready, &failure)
		}
	}
	return failure
}

// finish takes the end of a node.
func (r *run) finish(i int, err error, ready []int, failure *error) []int {
	n := r.program.nodes[i]
	if err != nil {
		if *failure == nil {
			if *failure = err; r.ctx.Err() != nil {
				*failure = r.ctx.Err() // it was cancelled, and says so in words of its own
			} else {
				*failure = &runner.RunError{Node: n.name, Type: n.typ, Err: err}
			}
			r.cancel()
		}
		return ready
	}
	r.values[n.complete] = true
	return r.release(n, ready)
}

// release makes those users of a node ready that waited for nothing else.
func (r *run) release(n *node, ready []int) []int {
	for _, user := range n.users {
		if r.waiting[user]--; r.waiting[user] == 0 {
			ready = append(ready, user)
		}
	}
	return ready
}

// skips tells whether a node must not run: a branch that it stands on was not
// taken, or what it refers to was skipped. A merge is skipped only when all of
// its candidates were.
func (r *run) skips(n *node) bool {
	for _, slot := range n.gates {
		if r.values[slot] != true {
			return true
		}
	}
	for _, source := range n.needs {
		if r.skipped[source] {
			return true
		}
	}
	if len(n.fallbacks) == 0 {
		return false
	}
	return !slices.ContainsFunc(n.fallbacks, func(source int) bool { return !r.skipped[source] })
}

// panicked names the function that panicked: the first on the stack that is
// not of the runtime.
func panicked() string {
	callers := make([]uintptr, 16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(4, callers)]) // above: Callers, panicked, the deferred function, panic
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") || !more {
			return fmt.Sprintf("%s:%d", frame.Function, frame.Line)
		}
	}
}

// protect keeps a bug in one node from ending the process, and with it all
// other runs.
func protect(n *node, c *call) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v (in %s); please report it", r, panicked())
		}
	}()
	return n.step(c)
}
