package runner

import (
	"context"
	"time"
)

// maxParked is how many tasks may wait for their time before reading stops.
func (r *run) maxParked() int { return max(1000, 4*r.Concurrency) }

// feed starts attempts until the source and the parked queue are empty, or the
// batch is stopped. Runs are given ctx, which outlives a stop.
func (r *run) feed(ctx context.Context) error {
	f := feeder{run: r, reader: newReader(r)}
	go f.read(ctx)
	defer f.leave()
	for r.takeSlot() {
		t := f.next()
		if t == nil {
			<-r.slots
			break
		}
		if r.stops() {
			r.parked.add(t) // it is left over
			<-r.slots
			break
		}
		r.running.Add(1)
		if t.leave == nil {
			t.leave = r.breaker.enter()
		}
		r.group.Go(func() error {
			r.attempt(ctx, t)
			// The slot is given back before the feeder is told: it may look at once.
			<-r.slots
			r.running.Add(-1)
			r.signal()
			return nil
		})
	}
	exhausted := f.readAll()
	if r.stopping.Err() != nil && (!exhausted || r.parked.len() > 0) {
		r.tellStop()
	}
	if !exhausted {
		return nil // the reader may still be blocked; its error is of no use now
	}
	return f.err
}

// takeSlot waits for one of as many slots as runs may be in flight; false means that
// the batch is to stop.
func (r *run) takeSlot() bool {
	select {
	case r.slots <- struct{}{}:
		return true
	case <-r.stopping.Done():
		return false
	}
}

// feeder gives a batch its next task.
type feeder struct {
	*run
	*reader
	exhausted bool // the reader has ended
}

// readAll tells whether every item of the source was taken. At a stop the last
// one may have been taken without anybody having looked for more.
func (f *feeder) readAll() bool {
	if !f.exhausted {
		select {
		case _, ok := <-f.tasks:
			f.exhausted = !ok
		default:
		}
	}
	return f.exhausted && !f.cut
}

// next gives the task to start now: one that was parked and is due, else a new
// item. It waits while there is neither; nil means that nothing will come.
func (f *feeder) next() *task {
	for f.stopping.Err() == nil {
		running := f.running.Load() // before the queue: an attempt parks before it ends
		due, wait := f.parked.take(time.Now())
		if due != nil {
			return due
		}
		if f.exhausted && wait == 0 && running == 0 {
			return nil
		}
		t := f.await(wait)
		if t != nil {
			return t
		}
	}
	return nil
}

// await waits for whatever comes first: an item, the time of the first parked
// task, or a change in what runs.
func (f *feeder) await(wait time.Duration) *task {
	tasks := f.tasks
	// Whatever runs may be parked too; it is counted first, as in next.
	if f.exhausted || int(f.running.Load())+f.parked.len() >= f.maxParked() || !f.breaker.admits() {
		tasks = nil
	}
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case t, ok := <-tasks:
		switch {
		case !ok:
			f.exhausted = true
			f.breaker.exhaust()
		case t.item.Err != nil:
			f.reject(t)
		default:
			f.breaker.started()
			return t
		}
	case <-due:
	case <-f.changed:
	case <-f.stopping.Done():
	}
	return nil
}

// reject ends an item that cannot be run.
func (r *run) reject(t *task) {
	result := Result{Status: Failed, Error: &ErrorInfo{Class: t.item.Err.Class, Message: t.item.Err.Error()}}
	r.complete(t, &result)
	if r.Stop.FailureCount == 0 && r.Stop.FailureShare == 0 {
		r.finish(t, &result, nil)
		return
	}
	counted := make(chan struct{}) // it may be one too many
	r.finish(t, &result, counted)
	<-counted
}
