package runner

import (
	"container/heap"
	"sync"
	"time"
)

// parked holds the items that wait for their time without holding a slot, the
// one that is due first on top.
type parked struct {
	mu    sync.Mutex
	queue dueQueue
}

// task is an item on its way through attempts.
type task struct {
	item    item
	attempt int       // starts so far
	handle  Handle    // of the run to be resumed; zero: a new run is started
	started time.Time // of the attempt
	due     time.Time
	trouble trouble // that made it wait
	clock   clock   // of the run
	leave   func()  // tells the breaker that no other end is to be waited for; nil: that was told
	order   int     // of being parked: equal times keep their order
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
