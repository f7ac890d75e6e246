package runner

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Begin opens the files for writing: items are about to be run.
func (g *Generation) Begin() error {
	if g.Fresh {
		if err := g.moveAside(); err != nil {
			return err
		}
	}
	if err := g.keepBadJournal(); err != nil {
		return err
	}
	out, err := g.openOutput(g.target)
	if err != nil {
		return &ResultsError{g.Path, cause(err)}
	}
	g.results = newResultsFile(g.Path, out, g.size, g.Fsync)
	g.results.place = g.target
	if g.Fsync != FsyncOff && g.size > 0 { // the journal forgets the runs whose results a crash left in memory
		if err := g.results.sync(); err != nil {
			return err
		}
	}
	header := journalHeader{
		Generation: g.ID, Batch: g.Batch, Date: g.Date, Pipeline: g.Pipeline, StartedAt: g.StartedAt,
		Partial: g.Partial && (g.header.Partial || !g.had && g.tally.Items == 0), Fresh: g.Fresh || g.header.Fresh, Ended: g.AgainOnly,
	}
	begun := make([]Begun, 0, len(g.begun))
	for _, b := range g.begun {
		begun = append(begun, b)
	}
	slices.SortFunc(begun, func(a, b Begun) int { return cmp.Compare(a.ID, b.ID) })
	g.journal, err = createJournal(journalPath(g.target), header, begun, g.Fsync)
	g.header = header
	if err != nil || g.Fsync == FsyncOff {
		return err
	}
	for _, dir := range g.made { // files that are synced are of no use in a folder without a name
		if err := g.syncFolder(filepath.Dir(dir)); err != nil {
			return &ResultsError{g.Path, cause(err)}
		}
	}
	return nil
}

func openOutput(path string) (resultsOutput, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
}

// Close ends the use of the files. Lines of items that were run again take the
// place of the earlier ones. whole tells whether every item that was asked for
// has ended.
func (g *Generation) Close(whole bool) error {
	defer g.leave()
	if g.results == nil { // nothing was run
		return g.note(whole)
	}
	err := g.closeFiles()
	if errors.Is(err, errTouched) || g.touched() {
		_, _ = g.takeAll(nil) // nobody is to be told of what is lost
		return err            // what is there now is another's
	}
	if err == nil && g.replacing != nil {
		err = g.join()
	}
	if err == nil && g.tally.Items == 0 && g.going() == 0 {
		return g.removeEmpty()
	}
	if err == nil && whole && g.completes() {
		err = g.complete()
	}
	return err
}

// touched tells whether it was said already that a file is not ours any more.
func (g *Generation) touched() bool {
	return errors.Is(g.results.failed, errTouched) || g.replacing != nil && errors.Is(g.replacing.failed, errTouched)
}

// closeFiles gives the first error, having closed all of them.
func (g *Generation) closeFiles() error {
	err := g.results.Close()
	if g.replacing != nil {
		err = cmp.Or(err, g.replacing.Close())
	}
	if g.journal != nil { // it could be made
		err = cmp.Or(err, g.journal.close())
	}
	return err
}

// note completes a generation of which it turned out that nothing was left to do.
func (g *Generation) note(whole bool) error {
	if !whole || g.Complete || g.LookOnly || g.tally.Items == 0 || !g.completes() {
		return nil
	}
	if err := g.Begin(); err != nil {
		return err
	}
	if err := g.closeFiles(); err != nil {
		return err
	}
	return g.complete()
}

// going counts the runs whose end is not known.
func (g *Generation) going() int {
	begun, going := g.begun, 0
	if g.journal != nil {
		begun = g.journal.live
	}
	for _, b := range begun {
		if !b.Over {
			going++
		}
	}
	return going
}

// completes tells whether a generation of which all has ended that was asked for
// is complete. Where not all was asked for, it is if it was begun like that, or
// was complete before; and no runs go on of which the items were not looked at.
func (g *Generation) completes() bool {
	return !g.Partial || g.going() == 0 && (g.header.Partial || g.was != nil)
}

// complete writes down that the generation is complete, with what its results
// add up to, so that the next invocation need not read them.
func (g *Generation) complete() error {
	info, err := os.Stat(g.target)
	if err != nil {
		return &ResultsError{g.Path, cause(err)}
	}
	c := completion{ResultsSize: info.Size(), ResultsTime: info.ModTime(), Source: g.Source, Gone: g.Gone(), GoneFailed: g.GoneFailed(), Tally: g.tally}
	if g.Partial && !g.header.Partial { // not all was looked at
		c.Source, c.Gone, c.GoneFailed = g.was.Source, g.was.Gone, g.was.GoneFailed
		if info.Size() != g.was.ResultsSize || !info.ModTime().Equal(g.was.ResultsTime) {
			c.Source = "" // the next one is to look
		}
	}
	if err := g.journal.complete(c); err != nil {
		return err
	}
	g.Complete, g.was = true, &c
	return nil
}

// Whole tells whether there is a result of every item of the batch, once the
// generation was closed.
func (g *Generation) Whole() bool { return g.Complete && !g.header.Partial }

// removeEmpty removes the files of a generation without a single result: they
// would only be in the way.
func (g *Generation) removeEmpty() error {
	for _, path := range []string{g.target, journalPath(g.target)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &ResultsError{g.Path, cause(err)}
		}
	}
	return nil
}

// leave gives the lock back. Folders that were made for nothing are removed.
func (g *Generation) leave() {
	if g.LookOnly {
		return
	}
	g.lock.release()
	for _, dir := range g.made {
		if os.Remove(dir) != nil {
			break // there is something in it
		}
	}
}

func missingFolders(dir string) (missing []string) {
	for {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return missing
		}
		missing = append(missing, dir)
		dir = filepath.Dir(dir)
	}
}
