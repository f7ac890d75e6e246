package worker

import (
	"sync"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
)

// count is what an activity has come to.
type count struct {
	before flow.ShardProgress // what the try before told last; zero: this is the first

	mu   sync.Mutex
	sum  flow.Sum // of the items that have ended, earlier tries included, and of runs that were broken off
	came bool     // an item has ended in this try
}

// Handle counts what has ended, and what runs took that wait, as limits do.
func (c *count) Handle(e runner.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.came = c.came || e.Kind == runner.Finished
	taken := runner.Taken(c.sum)
	taken.Handle(e)
	c.sum = flow.Sum(taken)
}

// add counts what was done before this try.
func (c *count) add(sum flow.Sum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum = c.sum.Add(sum)
}

// total is what all tries have come to.
func (c *count) total() flow.Sum {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

// progress is what is told of a try that is under way.
func (c *count) progress() flow.ShardProgress {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := flow.ShardProgress{Items: c.sum.Items, Succeeded: c.sum.Succeeded}
	if !c.came {
		p.Idle, p.Refused, p.Unwritten = c.before.Idle+1, c.before.Refused, c.before.Unwritten
	}
	return p
}
