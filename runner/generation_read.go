package runner

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// read takes in the results that are there. A last line that was cut off in the
// middle is removed; other damage, and second lines of an item, make the file be
// written anew, the old one being moved aside.
func (g *Generation) read() error {
	found, err := g.takeAll(nil)
	switch {
	case err != nil:
		return err
	case found.good == 0 && found.damaged > 0 && !g.had && !found.begun:
		return fmt.Errorf("%s holds no results (%w); choose another results path, or --fresh to move it aside", g.Path, found.first)
	case !g.LookOnly:
		return g.mend(found)
	case len(found.several) > 0:
		_, err = g.takeAll(found.isLast)
	}
	return err
}

// takeAll takes in the lines that keep wants; nil: all of them. The new lines of items that are run
// again stand for the earlier ones already, where a generation is only looked at:
// else they were joined.
func (g *Generation) takeAll(keep func(lineID) bool) (*finding, error) {
	g.forget()
	superseded, newer, err := g.retried()
	if err != nil {
		return nil, err
	}
	found := &finding{several: map[lineID]int{}}
	take := func(s *ScannedLine) {
		if g.ID == "" {
			g.ID, g.StartedAt = s.Line.Generation, cmp.Or(s.Line.StartedAt, s.Line.FinishedAt)
		}
		if keep != nil && !keep(idOf(s.Line.ID)) {
			return
		}
		if again := g.take(&s.Line); again {
			found.several[idOf(s.Line.ID)]++
		}
	}
	err = g.scanWith(scanAhead, g.target, func(s *ScannedLine) error {
		switch {
		case !found.isResult(s):
			return nil
		case s.Line.Batch != g.Batch:
			return g.otherBatch(fmt.Sprintf("%s:%d", g.Path, s.Number), s.Line.Batch)
		case s.Line.Rehearsal:
			return fmt.Errorf("%s:%d: is a result of a rehearsal; choose another results path, or --fresh to move it aside", g.Path, s.Number)
		}
		g.size = s.Offset + s.Length
		if len(superseded) == 0 || !superseded[idOf(s.Line.ID)] {
			take(s)
		}
		return nil
	})
	if err != nil || len(superseded) == 0 {
		return found, err
	}
	return found, g.scan(retryPath(g.target), func(s *ScannedLine) error {
		if s.Err == nil && newer.isLast(idOf(s.Line.ID)) {
			take(s)
		}
		return nil
	})
}

// retried gives the items of which P.retry has a line.
func (g *Generation) retried() (ids map[lineID]bool, found *finding, err error) {
	ids, found = map[lineID]bool{}, &finding{several: map[lineID]int{}}
	err = g.scan(retryPath(g.target), func(s *ScannedLine) error {
		switch {
		case !found.isResult(s):
		case s.Line.Batch != g.Batch:
			return g.otherBatch(fmt.Sprintf("%s:%d", retryPath(g.Path), s.Number), s.Line.Batch)
		case ids[idOf(s.Line.ID)]:
			found.several[idOf(s.Line.ID)]++
		default:
			ids[idOf(s.Line.ID)] = true
		}
		return nil
	})
	return ids, found, err
}

func (g *Generation) otherBatch(where, batch string) error {
	return fmt.Errorf("%s: is a result of batch %s, not of %s; choose another results path", where, batch, g.Batch)
}

// finding is what is wrong with a results file.
type finding struct {
	good    int
	open    bool           // the last of these lacks its newline
	torn    int64          // bytes of a last line without its end, behind others
	damaged int            // lines that are no results
	first   error          // what is wrong with the first of them
	begun   bool           // all there is is the beginning of a result
	several map[lineID]int // items with several lines: how many but the first
}

// isResult tells whether a line is one, and notes what is wrong with another.
func (f *finding) isResult(s *ScannedLine) bool {
	switch {
	case s.Err == nil:
		f.good++
		f.open = s.Torn
		return true
	case s.Torn && s.Number > 1:
		f.torn = s.Length
	default: // half a line and nothing else may be more than a line that was cut off
		if f.damaged++; f.damaged == 1 {
			f.first = fmt.Errorf("line %d: %w", s.Number, s.Err)
		}
		f.begun = s.Torn && bytes.HasPrefix(s.Raw, []byte(`{"id":`))
	}
	return false
}

// leftOut says what was done about damaged lines.
func (f *finding) leftOut(path, aside string) string {
	return fmt.Sprintf("%s: %d %s damaged and left out (%v); the file as it was is now %s", path, f.damaged, plural(f.damaged, "line is", "lines are"), f.first, aside)
}

// isLast tells, of one line after the other, whether it is the last of its item.
func (f *finding) isLast(id lineID) bool {
	f.several[id]--
	return f.several[id] < 0
}

// mend leaves whole lines only, one of each item.
func (g *Generation) mend(f *finding) error {
	if f.damaged == 0 && len(f.several) == 0 {
		if f.open {
			return g.endLine()
		}
		if f.torn == 0 {
			return nil
		}
		g.Notes = append(g.Notes, fmt.Sprintf("%s: its last line was cut off in the middle (%d bytes); it is removed, and its item is run again", g.Path, f.torn))
		if err := os.Truncate(g.target, g.size); err != nil {
			return &ResultsError{g.Path, cause(err)}
		}
		return nil
	}
	n := len(f.several)
	aside, err := g.rewrite("", f.isLast, nil, true)
	if err != nil {
		return err
	}
	if n > 0 {
		g.Notes = append(g.Notes, fmt.Sprintf("%s: %d %s several lines, of which the last ones stay; the file as it was is now %s", g.Path, n, plural(n, "item has", "items have"), aside))
	}
	_, err = g.takeAll(nil)
	return err
}

// endLine gives the last line the newline that is all it lacks.
func (g *Generation) endLine() error {
	out, err := openToAppend(g.target)
	if err == nil {
		_, err = io.WriteString(out, "\n")
		err = cmp.Or(err, out.Close())
	}
	if err != nil {
		return &ResultsError{g.Path, cause(err)}
	}
	g.size++
	return nil
}

// forget makes ready to read anew.
func (g *Generation) forget() {
	g.tally, g.before = &Tally{}, &Tally{}
	g.ended, g.again, g.size = newEndedItems(), map[string]Standing{}, 0
}

// scan walks the lines of a file; one that is not there has none.
func (g *Generation) scan(path string, yield func(*ScannedLine) error) error {
	return g.scanWith(ScanLines, path, yield)
}

func (g *Generation) scanWith(scan func(io.Reader, func(*ScannedLine) bool) error, path string, yield func(*ScannedLine) error) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &ResultsError{g.Path, cause(err)}
	}
	defer file.Close()
	var stopped error
	err = scan(file, func(s *ScannedLine) bool {
		stopped = yield(s)
		return stopped == nil
	})
	if _, long := errors.AsType[*longLine](err); long {
		return fmt.Errorf("%s: %w, so it is damaged; cut it there, or give --fresh to move it aside and run everything", g.Path, err)
	}
	if err != nil {
		return &ResultsError{g.Path, cause(err)}
	}
	return stopped
}

// take counts a line that is there, and tells whether its item had one already.
func (g *Generation) take(l *Line) (again bool) {
	b, begun := g.begun[l.ID]
	if begun && b.Digest == l.Digest && b.Attempt <= l.Attempts { // this is its end
		delete(g.begun, l.ID)
		begun = false
	}
	again = g.ended.entry(l.ID) != nil
	g.tally.Add(l)
	g.remember(l, begun && !b.Over && b.Digest == l.Digest)
	return again
}

// remember takes it in that an item has a result: one that stays, or one that was asked
// to be run again, or that a run is going of.
func (g *Generation) remember(l *Line, going bool) {
	asked := g.asked(l.ID)
	retry := asked && g.RetryFailed && l.Status != Succeeded && (g.RetryClasses == nil || slices.Contains(g.RetryClasses, l.Class))
	g.ended.add(l.ID, l.Digest, retry, l.Status != Succeeded)
	if retry || asked && going {
		g.before.addUsage(l.Usage) // it is spent, whatever becomes of the item
		g.again[l.ID] = Standing{Attempts: l.Attempts, Usage: l.Usage, AnswersSince: askedAnew(l), Duplicate: mayGoOn(l)}
	} else {
		g.before.Add(l)
	}
}

func (g *Generation) asked(id string) bool {
	_, asked := g.only[id]
	return g.only == nil || asked
}

// askedAnew says which kept answers may serve an item that is run again: those
// since its failure. Where the run itself failed, the ones before would lead it to
// the same end; where a call was not answered, they are what has been paid for.
func askedAnew(l *Line) time.Time {
	switch l.Class {
	case classRefused, classUnavailable, classConnection, classDenied, classBadRequest, classTimedOut, classCancel, classStart, classUnknownStart, classStatus:
		return time.Time{}
	}
	return l.FinishedAt
}

// mayGoOn tells whether a second run may be going if an item is run again.
func mayGoOn(l *Line) bool {
	return l.PossibleDuplicate || l.Class == classUnknownStart
}

// lineID stands for the id of an item where many are remembered.
type lineID [16]byte

func idOf(id string) lineID {
	sum := sha256.Sum256([]byte(id))
	return lineID(sum[:16])
}
