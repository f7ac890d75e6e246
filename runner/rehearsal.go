package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RehearsalFile is the results file of a rehearsal. It is always begun anew: the
// results of an earlier rehearsal are of no use, those of a real run are never
// touched. It is the Recorder of a Run.
type RehearsalFile struct {
	*ResultsFile // nil until Begin
	path         string
	target       string   // of path, where that is a link
	made         []string // folders that were not there before, the deepest first
	lock         *resultsLock
}

// OpenRehearsal locks the results file of a rehearsal, and looks whether it may be
// written; until Begin, what is there stays. The error is a *LockedError where
// another process writes it, or a *ResultsError. It must be closed.
func OpenRehearsal(path string) (_ *RehearsalFile, err error) {
	f := &RehearsalFile{path: path, target: followLinks(path)}
	if info, err := os.Stat(f.target); err == nil && !info.Mode().IsRegular() {
		return nil, &ResultsError{path, errors.New("it is not a file")}
	}
	f.made = missingFolders(filepath.Dir(f.target))
	if f.lock, err = lockResults(path); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		f.leave()
		return nil, err
	}
	return f, nil
}

// check refuses to write over anything but an earlier rehearsal.
func (f *RehearsalFile) check() error {
	for _, beside := range []string{journalPath(f.target), retryPath(f.target)} {
		if _, err := os.Lstat(beside); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: is the place of a real run's results, as %s is there; choose another path for the rehearsal's", f.path, beside)
		}
	}
	in, err := os.Open(f.target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &ResultsError{f.path, cause(err)}
	}
	defer in.Close()
	var foreign error
	err = ScanLines(in, func(s *ScannedLine) bool {
		if torn := s.Torn && s.Number > 1; s.Err != nil && !torn || s.Err == nil && !s.Line.Rehearsal {
			foreign = fmt.Errorf("%s:%d: is no result of a rehearsal, so nothing is written over it; choose another path with --output", f.path, s.Number)
		}
		return foreign == nil
	})
	if err != nil {
		return &ResultsError{f.path, cause(err)}
	}
	return foreign
}

// Begin throws away what is there.
func (f *RehearsalFile) Begin() error {
	out, err := os.OpenFile(f.target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o666)
	if err != nil {
		return &ResultsError{f.path, cause(err)}
	}
	f.ResultsFile = newResultsFile(f.path, out, 0, FsyncOff)
	f.place = f.target
	return nil
}

// Close ends the use of the file.
func (f *RehearsalFile) Close() error {
	defer f.leave()
	if f.ResultsFile == nil {
		return nil
	}
	return f.ResultsFile.Close()
}

// leave gives the lock back. Folders that were made for nothing are removed.
func (f *RehearsalFile) leave() {
	f.lock.release()
	for _, dir := range f.made {
		if os.Remove(dir) != nil {
			break // there is something in it
		}
	}
}
