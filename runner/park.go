package runner

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"
)

// parked holds the items that wait for their time without holding a slot, the
// one that is due first on top.
type parked struct {
	mu    sync.Mutex
	queue dueQueue
}

// park puts a task aside until what it met may have passed. An error says why it
// is not worth another try.
func (r *run) park(t *task, s Suspension) error {
	pause, err := t.trouble.meet(&s, &r.Retry, r.chance)
	if err != nil {
		return err
	}
	for _, cause := range s.Errs {
		r.breaker.met(cause, t.trouble.unreached())
	}
	cause, held := s.cause()
	if ReasonOf(cause) != NotStopped { // it has come to the end that is in doubt
		t.leave()
		t.leave = nil
	}
	r.putAside(t, s.At.Add(pause), cause, held)
	return nil
}

// metNow is what a call met that is no part of a run.
func metNow(err error) Suspension { return Suspension{At: time.Now(), Errs: []error{err}} }

// putAside parks a task. From then on it is another's.
func (r *run) putAside(t *task, due time.Time, cause error, held bool) {
	t.due = due
	e := t.event(Parked)
	e.Until, e.Reason, e.Held = due, cause.Error(), held
	e.Usage, e.Carried = t.tell()
	r.emit(e)
	r.parked.add(t)
}

// chance is from 0 to 1, for the pauses between tries.
func (r *run) chance() float64 {
	if r.random != nil {
		return r.random()
	}
	return rand.Float64()
}

func (p *parked) add(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.order = p.queue.count
	p.queue.count++
	heap.Push(&p.queue, t)
}

// take gives a task that is due, or the time until the first one is; with
// nothing parked, both are zero.
func (p *parked) take(now time.Time) (*task, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue.tasks) == 0 {
		return nil, 0
	}
	if wait := p.queue.tasks[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&p.queue).(*task), 0
}

// clear gives all that is parked, and leaves nothing.
func (p *parked) clear() []*task {
	p.mu.Lock()
	defer p.mu.Unlock()
	tasks := p.queue.tasks
	p.queue.tasks = nil
	return tasks
}

func (p *parked) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue.tasks)
}

// dueQueue implements heap.Interface.
type dueQueue struct {
	tasks []*task
	count int
}

func (q *dueQueue) Len() int { return len(q.tasks) }

func (q *dueQueue) Less(i, j int) bool {
	a, b := q.tasks[i], q.tasks[j]
	if a.due.Equal(b.due) {
		return a.order < b.order
	}
	return a.due.Before(b.due)
}

func (q *dueQueue) Swap(i, j int) { q.tasks[i], q.tasks[j] = q.tasks[j], q.tasks[i] }

func (q *dueQueue) Push(t any) { q.tasks = append(q.tasks, t.(*task)) }

func (q *dueQueue) Pop() any {
	last := len(q.tasks) - 1
	t := q.tasks[last]
	q.tasks[last] = nil
	q.tasks = q.tasks[:last]
	return t
}
