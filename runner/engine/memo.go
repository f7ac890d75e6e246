package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"nightshift/runner"
)

// memo is a place in a call that no reference names. What a node keeps there is
// still there when it is called again, after its run was suspended.
type memo int

func (s *setup) memo() memo {
	s.made.memos++
	return memo(s.made.memos - 1)
}

// atOnce is how many requests a node that makes many has under way. They come
// on top of each other where several runs do so: the run's concurrency counts
// runs.
const atOnce = 8

// each does a node's work n times, some of it at once, and gives what came of
// it, in order. A call that was refused, or broke off, does not hinder the
// others: what those came to is kept in the memo, and only it is made again when
// the run is resumed. Where nobody answers any more the others are left for then,
// too. Any other error ends the work.
func each[T any](c *call, m memo, n int, work func(c *call, i int) (T, error)) ([]T, error) {
	type kept struct {
		done   []bool
		values []T
	}
	k, _ := c.kept[m].(*kept)
	if k == nil {
		k = &kept{make([]bool, n), make([]T, n)}
		c.kept[m] = k
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	var (
		group   errgroup.Group
		mu      sync.Mutex
		refusal error // that passes: the node is called again
		failure error // that does not
		misses  int   // calls that came to nothing since the last that did not
		over    bool  // nothing more is begun
	)
	part := *c // what each call begins as
	part.ctx, part.usage = ctx, nil
	one := func(i int) {
		own := part
		err := own.protect(c.node, func(c *call) (err error) {
			k.values[i], err = work(c, i)
			return err
		})

		mu.Lock()
		defer mu.Unlock()
		if own.usage != nil {
			c.usage = c.usage.Add(*own.usage)
		}
		switch {
		case err == nil:
			k.done[i], misses = true, 0
		case passes(err):
			if refusal == nil || patience(err) > patience(refusal) {
				refusal = fmt.Errorf("element %d: %w", i, err)
			}
			if isPause(err) {
				break // somebody answers
			}
			misses++
			over = over || misses == atOnce || isHeldBack(err)
		case failure == nil:
			failure = fmt.Errorf("element %d: %w", i, err)
			over = true
			cancel()
		}
	}
	group.SetLimit(atOnce)
	for i := range n {
		if k.done[i] {
			continue
		}
		group.Go(func() error {
			mu.Lock()
			leave := over
			mu.Unlock()
			if !leave {
				one(i)
			}
			return nil
		})
	}
	_ = group.Wait() // errors are sorted above
	switch {
	case failure != nil:
		return nil, failure
	case refusal != nil:
		return nil, refusal
	}
	c.kept[m] = nil
	return k.values, nil
}

// patience orders errors that pass: calls that were not even made come first,
// then by how long the other side asks to be left alone.
func patience(err error) time.Duration {
	if held, ok := errors.AsType[*runner.HeldBack](err); ok {
		return held.For - math.MaxInt64
	}
	if api, ok := errors.AsType[*runner.APIError](err); ok {
		return api.RetryAfter
	}
	return 0
}
