package runner

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// besides gives the files of a generation whose results are at a path.
func besides(results string) []string {
	return []string{results, retryPath(results), journalPath(results)}
}

// moveAside renames what is there, so that it is kept: results to the time at
// which they were last written, and what stands beside them to that name. The
// journal is the last: whatever a crash leaves, it says of which pipeline that is.
func (g *Generation) moveAside() error {
	aside, err := asideName(g.target)
	if err != nil {
		return &ResultsError{g.Path, cause(err)}
	}
	moved := false
	to := besides(aside)
	for i, from := range besides(g.target) {
		switch err := os.Rename(from, to[i]); {
		case err == nil:
			moved = true
		case !errors.Is(err, fs.ErrNotExist):
			return &ResultsError{g.Path, cause(err)}
		}
	}
	if moved {
		g.Notes = append(g.Notes, fmt.Sprintf("%s: earlier results are now in %s", g.Batch, aside))
	}
	return nil
}

// asideName is a name that is free, also for what stands beside it, made of the
// time at which a file was last written.
func asideName(path string) (string, error) {
	var written time.Time
	for _, file := range slices.Backward(besides(path)) { // the results, if they are there
		info, err := os.Stat(file)
		if err == nil {
			written = info.ModTime()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	stamp := path + "." + written.Format("20060102T150405")
	for i, aside := 1, stamp; ; i++ {
		if i > 1 {
			aside = fmt.Sprintf("%s-%d", stamp, i)
		}
		free, err := areFree(besides(aside))
		if free || err != nil {
			return aside, err
		}
	}
}

func areFree(paths []string) (bool, error) {
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return true, nil
}

// keepBadJournal moves a journal aside that is none, or damaged: it may be all that
// another program has.
func (g *Generation) keepBadJournal() error {
	if !g.bad {
		return nil
	}
	path := journalPath(g.target)
	aside, err := asideName(path)
	if err == nil {
		err = os.Rename(path, aside)
	}
	if err != nil {
		return &ResultsError{journalPath(g.Path), cause(err)}
	}
	g.bad = false
	g.Notes = append(g.Notes, fmt.Sprintf("%s: its damaged journal is now %s", g.Path, aside))
	return nil
}

// copyAside keeps the results as they are under another name.
func (g *Generation) copyAside() (string, error) {
	aside, err := asideName(g.target)
	if err != nil {
		return "", &ResultsError{g.Path, cause(err)}
	}
	if os.Link(g.target, aside) == nil { // a rename in its place leaves this one
		return aside, nil
	}
	err = ReplaceFile(aside, func(w io.Writer) error {
		in, err := os.Open(g.target)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, bufio.NewReader(in))
		return err
	})
	if err != nil {
		return "", &ResultsError{filepath.Clean(aside), cause(err)}
	}
	return aside, nil
}
