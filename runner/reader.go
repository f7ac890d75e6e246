package runner

import (
	"context"
	"slices"
	"sync"

	"nightshift/spec"
)

// readAhead is how many tasks are read before anybody asks for them.
const readAhead = 64

// reader makes tasks of the items of a source, beside everything else.
type reader struct {
	run     *run
	tasks   chan *task
	claimed map[Handle]bool // runs that were begun before, of items that are there

	mu   sync.Mutex
	over bool // nobody asks the past any more

	// To be read when tasks is closed.
	err error
	cut bool // a stop kept it from sending a task
}

func newReader(r *run) *reader {
	return &reader{run: r, tasks: make(chan *task, readAhead), claimed: map[Handle]bool{}}
}

// read sends the items that are to be run.
func (r *reader) read(ctx context.Context) {
	defer close(r.tasks)
	whole := true
	r.err = r.run.items(func(it item) bool {
		whole = r.readOne(it)
		return whole
	})
	if whole && r.err == nil {
		r.endOrphans(ctx)
	}
}

// items gives the items of the batch to yield, until that is false.
func (p *Plan) items(yield func(spec.Item) bool) error {
	if p.Items != nil {
		return p.Items(yield)
	}
	return p.Batch.Items(p.Stdin, yield)
}

// readOne tells whether more is to be read.
func (r *reader) readOne(it item) bool {
	standing, ok := r.standing(&it)
	if !ok {
		r.cut = true
		return false
	}
	if standing.Begun != nil {
		r.claimed[standing.Begun.Handle] = true
	}
	if !standing.Skip {
		select {
		case r.tasks <- newTask(it, standing):
		case <-r.run.stopping.Done():
			r.cut = true
			return false
		}
	}
	return r.run.Limit == 0 || it.Index+1 < r.run.Limit
}

// standing asks the past about an item, as long as anybody wants to know.
func (r *reader) standing(it *item) (s Standing, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return s, false
	}
	if r.run.Past != nil {
		s = r.run.Past.Of(it)
	}
	return s, true
}

// endOrphans terminates the runs whose items turned out not to be there.
func (r *reader) endOrphans(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.run.Past == nil {
		return
	}
	runs := slices.DeleteFunc(r.run.Past.Orphans(), func(b Begun) bool { return r.claimed[b.Handle] })
	r.run.orphans.end(ctx, r.run.terminate, runs)
}

// leave lets the reader go, which may be blocked for ever.
func (r *reader) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}
