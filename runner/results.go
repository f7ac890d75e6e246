package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ResultsFile is the Recorder of a results file: append-only, one whole line a
// result. A write that fails leaves whole lines only.
type ResultsFile struct {
	path    string
	out     resultsOutput
	size    int64 // of the whole lines
	pending []byte
	failed  error
	remove  string // the file, to be removed if no result was written; "": none
}

// resultsOutput is what a ResultsFile needs of an *os.File.
type resultsOutput interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// ErrResultsExist says that a results file is there already.
var ErrResultsExist = errors.New("results are there already")

// ResultsExist tells whether there is a results file that must not be written
// over; an empty one may be that of a run which has written nothing yet. Pipes
// and devices are not such files.
func ResultsExist(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// CreateResults creates the results file and the folders above it. One that is
// there already is ErrResultsExist; with fresh it is moved aside first, and the
// name that it got is returned. Other errors are a *ResultsError.
func CreateResults(path string, fresh bool) (f *ResultsFile, movedTo string, err error) {
	shown := path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link stays, and what it leads to is moved aside
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, "", &ResultsError{shown, cause(err)}
	}
	open := func() (*os.File, error) { return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) }
	file, err := open()
	created := path
	if errors.Is(err, os.ErrExist) {
		if !ResultsExist(path) {
			created = ""
			file, err = os.OpenFile(path, os.O_WRONLY, 0)
		} else if !fresh {
			return nil, "", fmt.Errorf("%s: %w", shown, ErrResultsExist)
		} else if movedTo, err = moveAside(path); err == nil {
			file, err = open()
		}
	}
	if err != nil {
		return nil, movedTo, &ResultsError{shown, cause(err)}
	}
	return &ResultsFile{path: shown, out: file, remove: created}, movedTo, nil
}

// StreamResults writes results to something that is no file, such as standard output.
func StreamResults(name string, w io.Writer) *ResultsFile {
	return &ResultsFile{path: name, out: streamOutput{w}}
}

type streamOutput struct{ io.Writer }

func (streamOutput) Close() error         { return nil }
func (streamOutput) Sync() error          { return nil }
func (streamOutput) Truncate(int64) error { return nil }

// moveAside renames a file after the time at which it was last written.
func moveAside(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	stamp := info.ModTime().Format("20060102T150405")
	for i := 1; ; i++ {
		aside := path + "." + stamp
		if i > 1 {
			aside = fmt.Sprintf("%s-%d", aside, i)
		}
		if _, err := os.Lstat(aside); errors.Is(err, os.ErrNotExist) {
			if err := os.Rename(path, aside); err != nil {
				return "", err
			}
			return aside, nil
		} else if err != nil {
			return "", err
		}
	}
}

// Record adds a result to what the next Commit writes.
func (f *ResultsFile) Record(r *Result) { f.pending = r.AppendJSON(f.pending) }

// maxPending is the buffer that is kept from one Commit to the next.
const maxPending = 1 << 20

// Commit writes the recorded lines. Where the disk takes only some of them, the
// file is cut behind the last whole one.
func (f *ResultsFile) Commit() (int, error) {
	if f.failed != nil {
		return 0, f.failed
	}
	lines := f.pending
	if f.pending = f.pending[:0]; cap(f.pending) > maxPending {
		f.pending = nil
	}
	n, err := f.out.Write(lines)
	if err == nil {
		f.size += int64(n)
		return bytes.Count(lines, []byte("\n")), nil
	}
	whole := bytes.LastIndexByte(lines[:n], '\n') + 1
	f.size += int64(whole)
	err = cause(err)
	if whole < n {
		if cutErr := f.out.Truncate(f.size); cutErr != nil {
			err = fmt.Errorf("%w; and the file may end with half a line: %w", err, cause(cutErr))
		}
	}
	f.failed = &ResultsError{f.path, err}
	return bytes.Count(lines[:whole], []byte("\n")), f.failed
}

// Close makes sure that the results are on the disk. A file that got none is
// removed: it would stand in the way of the next run.
func (f *ResultsFile) Close() error {
	f.removeIfEmpty()
	err := f.out.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // pipes and devices cannot be synced
	}
	if closeErr := f.out.Close(); err == nil {
		err = closeErr
	}
	if err != nil && f.failed == nil {
		return &ResultsError{f.path, cause(err)}
	}
	return nil
}

// removeIfEmpty removes the file if this run created it, wrote nothing to it,
// and it is still the one of that name.
func (f *ResultsFile) removeIfEmpty() {
	file, ok := f.out.(*os.File)
	if !ok || f.remove == "" || f.size > 0 {
		return
	}
	mine, err := file.Stat()
	now, errNow := os.Stat(f.remove)
	if err == nil && errNow == nil && mine.Size() == 0 && os.SameFile(mine, now) {
		_ = os.Remove(f.remove) // should it stay, it is merely in the way
	}
}

// cause is the error without the operation and the path, which the caller says.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
