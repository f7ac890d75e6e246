package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// join puts the lines of P.retry in the place of the earlier lines of their
// items, and removes P.retry. The results are renamed into place: whatever
// happens, they are the old ones or the new ones, and a join that was cut off is
// done again.
func (g *Generation) join() error {
	retry := retryPath(g.target)
	superseded, found, err := g.retried()
	if err != nil {
		return err
	}
	if len(superseded) > 0 {
		if _, err := g.rewrite(retry, func(id lineID) bool { return !superseded[id] }, found.isLast, false); err != nil {
			return err
		}
	}
	if found.torn > 0 {
		g.Notes = append(g.Notes, fmt.Sprintf("%s: its last line was cut off in the middle (%d bytes); the earlier result of its item stays", retryPath(g.Path), found.torn))
	}
	if found.damaged > 0 {
		return g.keepDamaged(retry, found)
	}
	if err := os.Remove(retry); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &ResultsError{retryPath(g.Path), cause(err)}
	}
	return nil
}

// keepDamaged moves P.retry aside, whose good lines were joined.
func (g *Generation) keepDamaged(retry string, found *finding) error {
	aside, err := asideName(retry)
	if err == nil {
		err = os.Rename(retry, aside)
	}
	if err != nil {
		return &ResultsError{retryPath(g.Path), cause(err)}
	}
	g.Notes = append(g.Notes, found.leftOut(retryPath(g.Path), aside))
	return nil
}

// rewrite writes the results anew: their whole lines as far as keep says, then
// the last ones of another file. It counts them on the way. If that is asked for, or if
// damaged lines are left out, the file as it was stays, under the name that it gives.
func (g *Generation) rewrite(more string, keep, isLast func(id lineID) bool, twice bool) (aside string, err error) {
	tally, found := &Tally{}, &finding{}
	err = ReplaceFile(g.target, func(w io.Writer) error {
		write := func(s *ScannedLine) error {
			tally.Add(&s.Line)
			_, err := w.Write(s.Raw)
			if err == nil && s.Torn { // that is all that it lacks
				_, err = io.WriteString(w, "\n")
			}
			return err
		}
		err := g.scan(g.target, func(s *ScannedLine) error {
			if found.isResult(s) && keep(idOf(s.Line.ID)) {
				return write(s)
			}
			return nil
		})
		if err == nil && (twice || found.damaged > 0) {
			aside, err = g.copyAside()
		}
		if err != nil || more == "" {
			return err
		}
		return g.scan(more, func(s *ScannedLine) error {
			if s.Err == nil && isLast(idOf(s.Line.ID)) {
				return write(s)
			}
			return nil
		})
	})
	if e, said := errors.AsType[*ResultsError](err); said {
		err = e.Err
	}
	if err != nil {
		return "", &ResultsError{g.Path, cause(err)}
	}
	if found.damaged > 0 {
		g.Notes = append(g.Notes, found.leftOut(g.Path, aside))
	}
	g.tally = tally
	return aside, nil
}
