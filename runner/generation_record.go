package runner

import (
	"path/filepath"

	"nightshift/spec"
)

var (
	_ Recorder = (*Generation)(nil)
	_ Past     = (*Generation)(nil)
	_ Journal  = (*Generation)(nil)
)

// pendingLine is a result that the next Commit writes.
type pendingLine struct {
	line     Line
	replaces bool // the item's earlier one
}

// Of tells how an item stands. It may be asked several times.
func (g *Generation) Of(it *spec.Item) Standing {
	id := g.Redactor.ID(it.ID)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Complete { // nothing was read
		return Standing{Skip: true, Ended: true}
	}
	g.wasAsked = true
	found := g.ended.look(id, it.Digest)
	edited := found.standing == itemEdited
	standing := Standing{Ended: found.standing != itemUnknown, Edited: edited, Skip: found.standing == itemSame}
	if g.AgainOnly && found.standing != itemAgain {
		standing.Skip = true
	}
	b, begun := g.begun[id]
	if g.only != nil {
		if !g.asked(id) {
			if standing.Skip = true; begun {
				g.met[id] = true
			}
			return standing
		}
		g.only[id] = true
	}
	switch again, ok := g.again[id]; {
	case ok && !edited:
		standing.Attempts, standing.Usage, standing.AnswersSince, standing.Duplicate = again.Attempts, again.Usage, again.AnswersSince, again.Duplicate
	case !ok && edited && found.first && !standing.Skip:
		g.before.leaveOut(found.failed)
	}
	if begun && b.Digest != it.Digest && !b.Over && !standing.Skip {
		standing.Stale = &b
		g.met[id] = true
	}
	if begun && b.Digest == it.Digest {
		standing.Attempts = max(standing.Attempts, b.Attempt)
		standing.Duplicate = standing.Duplicate || b.Duplicate
		if g.met[id] = true; !b.Over {
			standing.Begun, standing.Skip = &b, false
		}
	}
	return standing
}

// Orphans are the runs that were begun for items which the source no longer has,
// or has with other inputs.
func (g *Generation) Orphans() []Begun {
	g.mu.Lock()
	defer g.mu.Unlock()
	var orphans []Begun
	for id, b := range g.begun {
		if !g.met[id] && !b.Over && !b.Pass {
			orphans = append(orphans, b)
		}
	}
	return orphans
}

// Record takes a result. That of an item which has one already goes to a file
// of its own, until the batch has ended.
func (g *Generation) Record(r *Result) {
	g.mu.Lock()
	replaces := g.ended.entry(r.ID) != nil
	g.mu.Unlock()
	g.pending = append(g.pending, pendingLine{r.Line(), replaces})
	if !replaces {
		g.results.Record(r)
		return
	}
	if g.replacing == nil && g.failed == nil {
		g.failed = g.openReplacing()
	}
	if g.failed == nil {
		g.replacing.Record(r)
	}
}

func (g *Generation) openReplacing() error {
	out, err := g.openOutput(retryPath(g.target))
	if err != nil {
		return &ResultsError{retryPath(g.Path), cause(err)}
	}
	g.replacing = newResultsFile(retryPath(g.Path), out, 0, g.Fsync)
	g.replacing.place = retryPath(g.target)
	if g.Fsync == FsyncOff {
		return nil
	}
	if err := syncDir(filepath.Dir(g.target)); err != nil { // what the file will have is of no use without its name
		return &ResultsError{retryPath(g.Path), cause(err)}
	}
	return nil
}

// Commit writes what was recorded.
func (g *Generation) Commit() (written int, err error) {
	appended, err := g.results.Commit()
	replaced := 0
	if err == nil {
		err = g.failed
	}
	if err == nil && g.replacing != nil {
		replaced, err = g.replacing.Commit()
	}
	if err == nil && g.Outlive && g.Fsync != FsyncOff {
		err = g.force() // before the journal forgets the runs
	}
	counts := true // those that a stop of writing left out are not counted, nor are those behind them
	for i := range g.pending {
		p := &g.pending[i]
		left := &appended
		if p.replaces {
			left = &replaced
		}
		if *left == 0 {
			counts = false
			continue
		}
		if *left--; counts {
			written++
		}
		if !p.replaces {
			g.tally.Add(&p.line)
		}
		if dropErr := g.settle(p.line.ID, p.line.Digest); dropErr != nil && err == nil {
			err = dropErr
		}
	}
	clear(g.pending)
	g.pending = g.pending[:0]
	return written, err
}

// force makes the disk have the results.
func (g *Generation) force() error {
	err := g.results.sync()
	if err == nil && g.replacing != nil {
		err = g.replacing.sync()
	}
	return err
}

// settle forgets the run of an item whose result is written. One that was begun
// earlier with other inputs may be going on, unless another was started since: the
// journal keeps it, and Orphans still gives it.
func (g *Generation) settle(id, digest string) error {
	g.mu.Lock()
	b, begun := g.begun[id]
	other := begun && b.Digest != digest && !b.Over
	if !other {
		delete(g.begun, id)
	}
	g.mu.Unlock()
	if other {
		return nil
	}
	return g.journal.drop(id)
}

// Intend notes that a run is about to be started. One of other inputs is over then.
func (g *Generation) Intend(b Begun) error {
	g.mu.Lock()
	if old, begun := g.begun[b.ID]; begun && old.Digest != b.Digest {
		delete(g.begun, b.ID)
	}
	g.mu.Unlock()
	return g.journal.intend(b)
}

// Began notes the handle of a run.
func (g *Generation) Began(b Begun) error { return g.journal.began(b) }

// Drop forgets the start of an item.
func (g *Generation) Drop(id string) error {
	g.mu.Lock()
	delete(g.begun, id)
	g.mu.Unlock()
	return g.journal.drop(id)
}
