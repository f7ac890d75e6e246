package runner

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
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

// Abandoned are the runs of the generation that is moved aside which may be going on.
func (g *Generation) Abandoned() []Begun {
	if g.aside == nil {
		return nil
	}
	return notOver(g.aside.Begun)
}

// EndAbandoned terminates these. The error is that of one that may go on: then nothing
// should be moved, and the journal knows which of them are over.
func (g *Generation) EndAbandoned(ctx context.Context, backend Backend) error {
	held := &HeldJournal{path: journalPath(g.target), state: g.aside}
	err := endRuns(ctx, backend, g.Abandoned(), held.Over)
	return cmp.Or(err, held.finish())
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
	defer h.lock.release()
	return h.finish()
}

func (h *HeldJournal) finish() error {
	switch {
	case h.journal == nil:
		return nil
	case h.state.Complete != nil:
		return h.journal.complete(*h.state.Complete)
	}
	return h.journal.close()
}
