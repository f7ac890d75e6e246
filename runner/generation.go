package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"nightshift/spec"
)

// GenerationOptions say which generation of a batch is gone on with, and how.
type GenerationOptions struct {
	Path     string // of the results; they and all beside them are those of one generation
	Batch    string
	Date     string // what {{ date }} in Path was filled with
	Pipeline string // digest of what runs; results of another one are refused
	Source   string // fingerprint of the items; "": it may change without being seen

	Fresh         bool     // begin a new one, and move what is there aside then
	AcceptChanged bool     // keep results of another pipeline
	RetryFailed   bool     // items that did not succeed are run again
	RetryClasses  []string // only those with an error of one of these classes; nil: all
	AgainOnly     bool     // nothing but those is run
	Only          []string // ids of the items that are asked for; nil: all
	Partial       bool     // not all items of the batch are asked for

	Outlive  bool // runs outlive this process, so their starts are journaled
	Fsync    Fsync
	Redactor *spec.Redactor
	LookOnly bool // nothing is locked, made, mended or moved
}

// Generation is one pass over a batch as the files beside its results hold it:
// what has ended, and what was begun. It is the Recorder, the Past and the
// Journal of a Run.
type Generation struct {
	GenerationOptions
	ID        string
	StartedAt time.Time
	Notes     []string // what was found and mended, for people
	Changed   bool     // it was begun with another pipeline; of one that is only looked at
	Complete  bool     // it has a result of every item, and the items are the same: nothing is to be done

	target string   // of Path, where that is a link
	made   []string // folders that were not there before, the deepest first
	lock   *resultsLock
	header journalHeader
	had    bool          // a journal was there
	bad    bool          // what was there is none, or damaged
	was    *completion   // that it had
	aside  *journalState // of the generation that is moved aside; nil: it has none

	results    *ResultsFile // nil: not written to yet
	replacing  *ResultsFile // of P.retry: new lines of items that have one
	journal    *journal     // nil: not written to yet
	openOutput func(path string) (resultsOutput, error)
	syncFolder func(path string) error
	size       int64 // of the whole lines that were there

	mu     sync.Mutex
	tally  *Tally // of all lines
	before *Tally // see Before
	ended  *endedItems
	again  map[string]Standing // of the items that are run again, by id
	begun  map[string]Begun    // runs whose end is not known, by id
	met    map[string]bool     // ids of these that the source has had, with the same inputs
	only   map[string]bool     // ids as written, whether the source has had them

	wasAsked bool // about any item

	pending []pendingLine
	failed  error // of opening P.retry
}

// ErrChangedPipeline says that results were made by another pipeline.
var ErrChangedPipeline = errors.New("the pipeline has changed")

// retryPath and journalPath stand beside the results.
func retryPath(results string) string   { return results + ".retry" }
func journalPath(results string) string { return results + ".journal" }

// OpenGeneration opens the generation whose results are at a path, or begins
// one; until Begin, nothing is written but the lock, and what mends the files. The error is a *LockedError
// where another process has it, ErrChangedPipeline, or a *ResultsError. It must
// be closed.
func OpenGeneration(o GenerationOptions) (_ *Generation, err error) {
	g := &Generation{
		GenerationOptions: o, target: followLinks(o.Path), again: map[string]Standing{}, begun: map[string]Begun{}, met: map[string]bool{},
		tally: &Tally{}, before: &Tally{}, ended: newEndedItems(), openOutput: openOutput, syncFolder: syncDir,
	}
	if o.Only != nil {
		g.only = map[string]bool{}
		for _, id := range o.Only {
			g.only[o.Redactor.ID(id)] = false
		}
	}
	if info, err := os.Stat(g.target); err == nil && !info.Mode().IsRegular() {
		return nil, &ResultsError{o.Path, errors.New("it is not a file")}
	}
	if !o.LookOnly {
		g.made = missingFolders(filepath.Dir(g.target))
		if g.lock, err = lockResults(g.Path); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				g.leave()
			}
		}()
	}
	if !o.Fresh {
		if err = g.resume(); err != nil {
			return nil, err
		}
	} else if g.aside, err = readJournal(journalPath(g.target)); err != nil && !errors.Is(err, fs.ErrNotExist) && o.Outlive {
		g.Notes = append(g.Notes, fmt.Sprintf("%v; it is moved aside, and runs that it knew may be going on", err))
	}
	if g.ID == "" {
		g.StartedAt = time.Now()
		g.ID = NewGeneration(g.StartedAt)
	}
	return g, nil
}

// resume reads what earlier invocations have left.
func (g *Generation) resume() error {
	state, err := readJournal(journalPath(g.target))
	switch {
	case err == nil:
		g.had, g.header = true, state.Header
		g.ID, g.StartedAt = state.Header.Generation, state.Header.StartedAt
		g.begun, g.was = state.Begun, state.Complete
	case errors.Is(err, errJournalDamaged) && !g.Outlive:
		g.bad = true
		g.Notes = append(g.Notes, fmt.Sprintf("%s: its journal is damaged, and is begun anew", g.Path))
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if g.had && g.header.Batch != g.Batch {
		return g.otherBatch(g.Path, g.header.Batch)
	}
	if g.unchanged(g.was) {
		g.tally, g.before, g.size = g.was.Tally, g.was.Tally, g.was.ResultsSize
		g.Complete = true
		return nil
	}
	if !g.LookOnly {
		if err := g.join(); err != nil {
			return err
		}
	}
	if err := g.read(); err != nil {
		return err
	}
	if g.had && g.header.Pipeline != g.Pipeline && (g.tally.Items > 0 || len(g.begun) > 0) {
		if g.Changed = true; !g.AcceptChanged && !g.LookOnly {
			going := ""
			if n := len(notOver(g.begun)); n > 0 {
				going = fmt.Sprintf(" and terminates its %d %s that may be going on", n, plural(n, "run", "runs"))
			}
			return fmt.Errorf("%s: %w since its %d results were begun on %s; --accept-changed-pipeline keeps them and runs what is left with the new one, --fresh moves them aside%s and runs everything",
				g.Path, ErrChangedPipeline, g.tally.Items, g.StartedAt.Local().Format("2006-01-02 15:04"), going)
		}
	}
	return nil
}

// unchanged tells whether a generation is complete, its results are those that
// were there when it was completed, and its items too.
func (g *Generation) unchanged(c *completion) bool {
	if c == nil || c.Tally == nil || g.RetryFailed || g.Only != nil || g.Source == "" || c.Source != g.Source || g.header.Pipeline != g.Pipeline || g.header.Partial != g.Partial {
		return false
	}
	if _, err := os.Lstat(retryPath(g.target)); err == nil {
		return false
	}
	info, err := os.Stat(g.target)
	return err == nil && info.Size() == c.ResultsSize && info.ModTime().Equal(c.ResultsTime)
}

// Unfinished tells whether a generation was begun whose results are at a path, and
// was not completed. One of which only some items were asked for is a trial, and
// is not missed.
func Unfinished(results string) (bool, error) {
	results = followLinks(results)
	state, err := readJournal(journalPath(results))
	switch {
	case err == nil:
		return state.Complete == nil && !state.Header.Ended && !state.Header.Partial, nil
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errJournalDamaged):
		return false, err
	}
	info, err := os.Stat(results)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0, nil
}

// Tally adds up all results.
func (g *Generation) Tally() *Tally { return g.tally }

// Before adds up the results that stay, as far as is known: those of edited items
// do until Of was asked about them. What results took counts of all of them, as it
// is spent.
func (g *Generation) Before() *Tally {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.before.clone()
}

// KeepGone counts the results of items that the source has not had among those
// that stay, also where they were to be run again. Of was asked about all items.
func (g *Generation) KeepGone() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.Complete {
		g.before.Items += g.ended.keepUnmet()
	}
}

// AnswersSince is when answers of models must have been kept to be read: since
// the beginning of a generation that was asked for by force.
func (g *Generation) AnswersSince() time.Time {
	if g.Fresh || g.header.Fresh {
		return g.StartedAt
	}
	return time.Time{}
}

// Gone is how many results are of items that the source has not had, once it
// was read to its end.
func (g *Generation) Gone() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Complete {
		return g.was.Gone
	}
	return g.ended.unmet()
}

// GoneFailed is how many of these did not succeed.
func (g *Generation) GoneFailed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Complete {
		return g.was.GoneFailed
	}
	return g.ended.unmetFailed()
}

// Asked tells whether Of was asked about any item: whether the source has one.
func (g *Generation) Asked() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wasAsked
}

// Missing are the ids that were asked for and that the source has not had.
func (g *Generation) Missing() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var missing []string
	for id, met := range g.only {
		if !met {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	return missing
}
