package engine

import (
	"errors"
	"slices"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// nodes works off the nodes that are ready. The first error ends the run, when
// the blocking nodes that are under way have ended too.
func (r *run) nodes() (failure error) {
	c := &call{ctx: r.ctx, begin: r.begin, run: r, get: r.value}
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
		r.got()
		if n.loop != nil {
			copy(r.values[n.first:], own)
		}
		if n.memos > 0 {
			delete(r.kept, i)
		}
		r.values[n.complete] = true
		if r.watcher != nil && n.loop == nil {
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
		if errors.Is(err, errStopped) {
			return ready // what is under way is paid for
		}
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
	ready = r.free(n.users, ready)
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

// free takes a source of these nodes for ended.
func (r *run) free(users, ready []int) []int {
	for _, user := range users {
		if r.waiting[user]--; r.waiting[user] == 0 {
			ready = append(ready, user)
		}
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

// ending is a blocking node that has ended.
type ending struct {
	node  int
	err   error
	own   []any
	usage *runner.Usage
}

// take takes a blocking node for ended.
func (r *run) take(end ending) {
	r.working--
	if end.usage != nil {
		r.usage = r.usage.Add(*end.usage)
	}
}
