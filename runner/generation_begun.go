package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Unended are the runs that the journal knows to be begun, and whose end is not
// known, whatever has become of their items: the oldest first.
func (g *Generation) Unended() []Begun {
	g.mu.Lock()
	defer g.mu.Unlock()
	return notOver(g.begun)
}

func notOver(begun map[string]Begun) []Begun {
	var runs []Begun
	for _, b := range begun {
		if !b.Over {
			runs = append(runs, b)
		}
	}
	slices.SortFunc(runs, func(a, b Begun) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return runs
}

// Abandoned is the journal of the generation that is moved aside; nil where there is none.
func (g *Generation) Abandoned() *HeldJournal {
	if g.aside == nil {
		return nil
	}
	return &HeldJournal{path: journalPath(g.target), state: g.aside} // the lock is the generation's
}

// HeldJournal is the journal beside results that nobody else writes meanwhile. What
// becomes of runs outside of a batch can be noted in it. Its methods may be called by
// several goroutines; their errors are a *ResultsError.
type HeldJournal struct {
	path  string
	lock  *resultsLock
	state *journalState

	mu      sync.Mutex
	journal *journal // nil: nothing was noted
}

// HoldJournal takes the lock of the results at a path, for their journal; nil where
// there is none, and then nothing is made. The error is a *LockedError where another
// process has the lock.
func HoldJournal(results string) (_ *HeldJournal, err error) {
	path := journalPath(followLinks(results))
	if _, err := readJournal(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	h := &HeldJournal{path: path}
	if h.lock, err = lockResults(results); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.lock.release()
		}
	}()
	if h.state, err = readJournal(path); err != nil { // as it is now that nobody writes it
		return nil, err
	}
	return h, nil
}

// Unended are the runs whose end is not known; those without a task id may be none.
func (h *HeldJournal) Unended() []Begun { return notOver(h.state.Begun) }

// End terminates these, several at once, as far as they are known, with so many calls
// a minute (0: any number), and notes it. The error is that of the first that may go on.
func (h *HeldJournal) End(ctx context.Context, backend Backend, perMinute int) error {
	ctx, cancel := context.WithTimeout(ctx, orphansWithin)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(orphansAtOnce)
	calls := newBudget(perMinute)
	for _, b := range h.Unended() {
		group.Go(func() error {
			if b.Handle.TaskID == "" {
				return nil
			}
			if err := calls.wait(ctx); err != nil {
				return b.mayGoOn(err)
			}
			if err := b.End(ctx, backend); err != nil {
				return err
			}
			if d, distributes := backend.(Distributor); distributes && b.Pass {
				_ = d.Forget(ctx, b.Handle) // what stays costs a little room
			}
			return h.Over(b)
		})
	}
	return group.Wait()
}

// End terminates the run. It tries again for some seconds where that fails in ways
// that pass; nil says that the run does not go on.
func (b Begun) End(ctx context.Context, backend Backend) error {
	err := terminate(ctx, backend, b.Handle)
	if isGone(err) {
		return nil
	}
	if status, unknown := backend.Status(ctx, b.Handle); unknown == nil && status.State.Ended() {
		return nil
	}
	return b.mayGoOn(err)
}

func (b Begun) mayGoOn(err error) error {
	if b.Pass {
		return fmt.Errorf("%s may go on: %w", b.ID, err)
	}
	return fmt.Errorf("run %s/%s of item %s may go on: %w", b.Handle.PipelineID, b.Handle.TaskID, b.ID, err)
}

// Over notes that a run was terminated whose item is there: it is to be run again.
func (h *HeldJournal) Over(b Begun) error {
	b.Over = true
	return h.note(func(j *journal) error { return j.began(b) })
}

// Drop forgets a run that was terminated and whose item is gone, or has other inputs
// now.
func (h *HeldJournal) Drop(b Begun) error {
	return h.note(func(j *journal) error { return j.drop(b.ID) })
}

func (h *HeldJournal) note(what func(*journal) error) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.journal == nil {
		begun := slices.Collect(maps.Values(h.state.Begun))
		if h.journal, err = createJournal(h.path, h.state.Header, begun, FsyncGroup); err != nil {
			return err
		}
	}
	return what(h.journal)
}

// Close makes sure that the disk has what was noted, and gives the lock back. A
// generation that was complete stays it.
func (h *HeldJournal) Close() error {
	if h == nil {
		return nil
	}
	if h.lock != nil {
		defer h.lock.release()
	}
	switch {
	case h.journal == nil:
		return nil
	case h.state.Complete != nil:
		return h.journal.complete(*h.state.Complete)
	}
	return h.journal.close()
}
