package runner

import (
	"context"
	"sync"
)

// gate hands out permits, so many at a time as its size says. Unlike the limit
// of an errgroup, the size can change while permits are out: the limiter
// narrows and widens it.
type gate struct {
	mu   sync.Mutex
	size int
	out  int
	free chan struct{} // has a token when a permit may have become free
}

func newGate(size int) *gate {
	return &gate{size: size, free: make(chan struct{}, 1)}
}

// acquire waits for a permit; false means that ctx was done first.
func (g *gate) acquire(ctx context.Context) bool {
	for ctx.Err() == nil {
		g.mu.Lock()
		if g.out < g.size {
			g.out++
			more := g.out < g.size
			g.mu.Unlock()
			if more {
				g.signal() // the token stands for all free permits, not for one
			}
			return true
		}
		g.mu.Unlock()
		select {
		case <-g.free:
		case <-ctx.Done():
		}
	}
	g.signal() // a token that woke this one up is for another who waits
	return false
}

func (g *gate) release() {
	g.mu.Lock()
	g.out--
	g.mu.Unlock()
	g.signal()
}

// resize changes how many permits there are. Those that are out stay out: a
// narrowed gate hands out none until enough have come back.
func (g *gate) resize(size int) {
	g.mu.Lock()
	g.size = size
	g.mu.Unlock()
	g.signal()
}

func (g *gate) signal() {
	select {
	case g.free <- struct{}{}:
	default:
	}
}
