package runner

import (
	"context"
	"time"
)

// maxParked is how many tasks may wait for their time before reading stops.
func (r *run) maxParked() int { return max(1000, 4*r.Concurrency) }

// feed starts attempts until the source and the parked queue are empty, or the
// batch is stopped. Runs are given ctx, which outlives a stop.
func (r *run) feed(ctx, stopCtx context.Context) error {
	items := make(chan item, 64)
	var sourceErr error
	go func() {
		sourceErr = r.read(stopCtx, items)
		close(items)
	}()
	f := feeder{run: r, items: items}
	for r.gate.acquire(stopCtx) {
		t := f.next(stopCtx)
		if t == nil || r.draining() {
			if t != nil {
				r.left.Store(true) // it was taken, but is not started
			}
			break
		}
		r.running.Add(1)
		r.group.Go(func() error {
			r.attempt(ctx, t)
			// The permit is given back before the feeder is told: it may look at once.
			r.gate.release()
			r.running.Add(-1)
			r.signal()
			return nil
		})
	}
	if stopCtx.Err() != nil {
		if r.left.Load() || !f.seenAll() || r.parked.len() > 0 {
			r.left.Store(true)
			r.emit(Event{Kind: Stopped, Reason: context.Cause(stopCtx).Error()})
		}
		return nil // the reader may still be blocked; its error is of no use now
	}
	return sourceErr
}

// draining tells at once whether the batch is to drain; the context that says
// so too is cancelled by another goroutine, which may come too late for a start.
func (r *run) draining() bool {
	select {
	case <-r.Drain:
		r.stop(Interrupted)
		return true
	default:
		return false
	}
}

// read sends the items of the source; those that cannot be run end at once.
func (r *run) read(stopCtx context.Context, items chan<- item) error {
	return r.Batch.Items(r.Stdin, func(it item) bool {
		if r.Limit > 0 && it.Index >= r.Limit {
			return false
		}
		select {
		case items <- it:
			return true
		case <-stopCtx.Done():
			r.cut.Store(true)
			return false
		}
	})
}

type feeder struct {
	*run
	items     <-chan item
	exhausted bool // every item was taken
}

// seenAll tells, of a batch that was stopped, whether its last item had been
// taken already: the feeder may have been waiting for a permit only.
func (f *feeder) seenAll() bool {
	if f.exhausted {
		return true
	}
	select {
	case _, more := <-f.items:
		return !more && !f.cut.Load()
	default:
		return false
	}
}

// next gives the task to start now: one that was parked and is due, else a new
// item. It waits while there is neither; nil means that nothing will come.
func (f *feeder) next(stopCtx context.Context) *task {
	for stopCtx.Err() == nil {
		running := f.running.Load() // before the queue: an attempt parks before it ends
		due, wait := f.parked.take(time.Now())
		if due != nil {
			return due
		}
		if f.exhausted && wait == 0 && running == 0 {
			return nil
		}
		t := f.await(stopCtx, wait)
		if t != nil {
			return t
		}
	}
	return nil
}

// await waits for whatever comes first: an item, the time of the first parked
// task, or a change in what runs.
func (f *feeder) await(stopCtx context.Context, wait time.Duration) *task {
	items := f.items
	if f.exhausted || f.parked.len() >= f.maxParked() {
		items = nil
	}
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case it, ok := <-items:
		switch {
		case !ok:
			f.exhausted = true
		case it.Err != nil:
			f.reject(it)
		default:
			return &task{item: it}
		}
	case <-due:
	case <-f.changed:
	case <-stopCtx.Done():
	}
	return nil
}

// reject ends an item that cannot be run.
func (f *feeder) reject(it item) {
	f.finish(&task{item: it}, Result{
		Status: Failed,
		Error:  &ErrorInfo{Class: it.Err.Class, Message: it.Err.Error()},
	})
}
