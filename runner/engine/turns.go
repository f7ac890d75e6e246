package engine

import "errors"

// atOnce is how many calls for elements of lists a run has under way, with those of
// the pipelines in it. They come on top of each other where several runs do so: the
// run's concurrency counts runs.
const atOnce = 8

// turns are the calls for elements that an outermost run may have under way; nil: any
// number. Only calls that make no others take one: whoever has one waits for nobody
// who wants one.
type turns chan struct{}

// errStopped is the end of a call that would have begun after another element failed.
var errStopped = errors.New("another element has failed")

// take waits for a turn, unless the call is not to begin any more.
func (t turns) take(c *call) error {
	if t != nil {
		select {
		case t <- struct{}{}:
		case <-c.begin.Done():
			return c.left()
		case <-c.ctx.Done():
			return c.left()
		}
	}
	err := c.left() // it may have come at the same time
	if err != nil {
		t.give()
	}
	return err
}

func (t turns) give() {
	if t != nil {
		<-t
	}
}

// left says why a call is not to begin any more; nil where it is.
func (c *call) left() error {
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case c.begin.Err() != nil:
		return errStopped
	}
	return nil
}

// limited makes a step of one that takes a turn where its run is that of an element.
func (s step) limited() step {
	return func(c *call) error {
		if !c.run.listed {
			return s(c)
		}
		if err := c.run.turns.take(c); err != nil {
			return err
		}
		defer c.run.turns.give()
		return s(c)
	}
}
