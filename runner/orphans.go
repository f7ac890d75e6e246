package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// What is spent on runs that nobody asks for any more.
const (
	orphansAtOnce = 8
	orphansWithin = time.Minute // for all of them
)

// orphans are the runs that earlier invocations began for items which the source
// no longer has.
type orphans struct {
	group errgroup.Group
	mu    sync.Mutex
	gone  []string // items of those that were terminated
}

// end begins to terminate runs, several at once, beside everything else.
func (o *orphans) end(ctx context.Context, terminate func(context.Context, Handle) error, runs []Begun) {
	ctx, cancel := context.WithTimeout(ctx, orphansWithin)
	o.group.Go(func() error {
		defer cancel()
		var group errgroup.Group
		group.SetLimit(orphansAtOnce)
		for _, b := range runs {
			group.Go(func() error {
				if ctx.Err() == nil && isGone(terminate(ctx, b.Handle)) {
					o.mu.Lock()
					defer o.mu.Unlock()
					o.gone = append(o.gone, b.ID)
				}
				return nil
			})
		}
		return group.Wait()
	})
}

// isGone tells of the error of a Terminate whether the run does not go on.
func isGone(err error) bool {
	api, ok := errors.AsType[*APIError](err)
	return err == nil || ok && api.noSuchRun()
}

// ended gives the ids of the items whose runs were terminated, once that is done.
func (o *orphans) ended() []string {
	_ = o.group.Wait() // nobody returns an error
	return o.gone
}
