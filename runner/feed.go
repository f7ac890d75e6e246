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
	f := feeder{run: r, items: make(chan item, 64)}
	go f.read(stopCtx)
	for r.gate.acquire(stopCtx) {
		t := f.next(stopCtx)
		if t == nil {
			break
		}
		if r.draining() {
			r.parked.add(t) // it is left over
			break
		}
		r.running.Add(1)
		if t.leave == nil {
			t.leave = r.breaker.enter()
		}
		r.group.Go(func() error {
			r.attempt(ctx, t)
			// The permit is given back before the feeder is told: it may look at once.
			r.gate.release()
			r.running.Add(-1)
			r.signal()
			return nil
		})
	}
	exhausted := f.readAll()
	if stopCtx.Err() != nil && (!exhausted || r.parked.len() > 0) {
		r.left.Store(true)
		r.emit(Event{Kind: Stopped, Reason: context.Cause(stopCtx).Error()})
	}
	if !exhausted {
		return nil // the reader may still be blocked; its error is of no use now
	}
	return f.err
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

type feeder struct {
	*run
	items     chan item
	exhausted bool // items is closed

	// Of the reader, to be read when items is closed.
	err error
	cut bool // a stop kept it from sending an item
}

// read sends the items of the source.
func (f *feeder) read(stopCtx context.Context) {
	defer close(f.items)
	f.err = f.Batch.Items(f.Stdin, func(it item) bool {
		select {
		case f.items <- it:
			return f.Limit == 0 || it.Index+1 < f.Limit
		case <-stopCtx.Done():
			f.cut = true
			return false
		}
	})
}

// readAll tells whether every item of the source was taken. At a stop the last
// one may have been taken without anybody having looked for more.
func (f *feeder) readAll() bool {
	if !f.exhausted {
		select {
		case _, ok := <-f.items:
			f.exhausted = !ok
		default:
		}
	}
	return f.exhausted && !f.cut
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
	// Whatever runs may be parked too; it is counted first, as in next.
	if f.exhausted || int(f.running.Load())+f.parked.len() >= f.maxParked() || !f.breaker.admits() {
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
			f.breaker.started()
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
	result := Result{Status: Failed, Error: &ErrorInfo{Class: it.Err.Class, Message: it.Err.Error()}}
	f.complete(&task{item: it}, &result)
	f.finish(&result)
}
