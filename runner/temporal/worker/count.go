package worker

import (
	"math"
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
	switch e.Kind {
	case runner.Parked:
		c.pay(e.Usage, 1)
	case runner.Finished:
		c.came = true
		c.sum.Items++
		if e.Result.Status == runner.Succeeded {
			c.sum.Succeeded++
		}
		c.pay(e.Result.Usage, 1)
	default:
		return
	}
	c.pay(e.Carried, -1)
}

// pay counts what an item took, so many times. It is locked.
func (c *count) pay(u *runner.Usage, times int64) {
	if u == nil {
		return
	}
	c.sum.NanoUSD += times * nano(u.USD)
	c.sum.InputTokens += times * u.InputTokens
	c.sum.OutputTokens += times * u.OutputTokens
	if u.Unpriced {
		c.sum.Unpriced += int(times)
	}
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

// nano is a sum in billionths of a dollar, as result lines round it.
func nano(usd float64) int64 { return int64(math.Round(usd * 1e9)) }
