package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
)

// memo is a place in a call that no reference names. What a node keeps there is
// still there when it is called again, after its run was suspended.
type memo int

func (s *setup) memo() memo {
	s.made.memos++
	return memo(s.made.memos - 1)
}

// each does a node's work n times, some of it at once, and gives what came of
// it, in order. A call that was refused, or broke off, does not hinder the
// others: what those came to is kept in the memo, and only it is made again when
// the run is resumed; all of it where n is another one then. Where nobody answers any
// more the others are left for then, too. Any other error ends the work: of several,
// that of the first element is told. Each call takes a turn.
func each[T any](c *call, m memo, n int, work func(c *call, i int) (T, error)) ([]T, error) {
	return eachBy(c, c.run.turns, m, n, work)
}

// eachBy is each for calls that take one of these turns.
func eachBy[T any](c *call, t turns, m memo, n int, work func(c *call, i int) (T, error)) ([]T, error) {
	type kept struct {
		done   []bool
		values []T
	}
	k, _ := c.kept[m].(*kept)
	if k == nil || len(k.done) != n {
		k = &kept{make([]bool, n), make([]T, n)}
		c.kept[m] = k
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	begin, stop := context.WithCancel(cmp.Or(c.begin, c.ctx))
	defer stop()
	var (
		group   errgroup.Group
		mu      sync.Mutex
		refusal error // that passes: the node is called again
		failure error // that does not
		failed  int   // the element that it is of
		stopped bool  // some were not begun, as another element failed
		misses  int   // calls that came to nothing since the last that did not
		over    bool  // nothing more is begun
	)
	part := *c // what each call begins as
	part.ctx, part.begin, part.usage = ctx, begin, nil
	one := func(i int) {
		own := part
		err := t.take(&own)
		if err == nil {
			mu.Lock()
			leave := over // since it waits for its turn
			mu.Unlock()
			if !leave {
				err = own.protect(c.node, func(c *call) (err error) {
					k.values[i], err = work(c, i)
					return err
				})
			}
			t.give()
			if leave {
				return
			}
		}

		mu.Lock()
		defer mu.Unlock()
		if own.usage != nil {
			c.usage = c.usage.Add(*own.usage)
		}
		switch {
		case err == nil:
			k.done[i], misses = true, 0
			c.run.got()
		case errors.Is(err, errStopped):
			stopped = true
		case passes(err):
			if refusal == nil || patience(err) > patience(refusal) {
				refusal = fmt.Errorf("element %d: %w", i, err)
			}
			if isPause(err) {
				break // somebody answers
			}
			misses++
			over = over || misses == atOnce || isHeldBack(err)
		case failure != nil && (i > failed || errors.Is(err, context.Canceled)):
		default:
			failure, failed = fmt.Errorf("element %d: %w", i, err), i
			over = true
			stop()
			if _, paid := errors.AsType[*llm.BadAnswer](err); !paid {
				cancel() // otherwise the other answers are paid for, too, and counted when they are there
			}
		}
	}
	group.SetLimit(atOnce)
	for i := range n {
		if k.done[i] {
			continue
		}
		group.Go(func() error {
			one(i)
			return nil
		})
	}
	_ = group.Wait() // errors are sorted above
	switch {
	case failure != nil:
		return nil, failure
	case stopped:
		return nil, errStopped
	case refusal != nil:
		return nil, refusal
	}
	c.kept[m] = nil
	return k.values, nil
}

// patience orders errors that pass: calls that were not even made come first,
// the one that is due last, and then by how long the other side asks to be left alone.
func patience(err error) time.Duration {
	if held, ok := errors.AsType[*runner.HeldBack](err); ok {
		return -1 - held.For
	}
	if api, ok := errors.AsType[*runner.APIError](err); ok {
		return api.RetryAfter
	}
	return 0
}
