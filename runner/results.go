package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// ResultsFile appends results to a file, one whole line each. A write that fails
// leaves whole lines only.
type ResultsFile struct {
	path    string // as it is shown
	place   string // where nobody else is to touch it; "": that is not known
	out     resultsOutput
	size    int64 // of the whole lines
	pending []byte
	failed  error
	mode    Fsync
	syncer  *syncer // of FsyncGroup
}

// resultsOutput is what a ResultsFile needs of an *os.File.
type resultsOutput interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// errTouched says that results may be lost which counted as written.
var errTouched = errors.New("it was replaced or changed by another program while the batch ran")

// StreamResults writes results to something that is no file, such as standard output.
func StreamResults(name string, w io.Writer) *ResultsFile {
	return newResultsFile(name, streamOutput{w}, 0, FsyncOff)
}

// DeviceResults writes results to what is there and is no file: a device, a pipe.
// The error is a *ResultsError.
func DeviceResults(path string) (*ResultsFile, error) {
	out, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, &ResultsError{path, cause(err)}
	}
	return newResultsFile(path, out, 0, FsyncOff), nil
}

// newResultsFile goes on behind the whole lines that an output has.
func newResultsFile(path string, out resultsOutput, size int64, mode Fsync) *ResultsFile {
	f := &ResultsFile{path: path, out: out, size: size, mode: mode}
	if mode == FsyncGroup {
		f.syncer = newSyncer(f.sync)
	}
	return f
}

type streamOutput struct{ io.Writer }

func (streamOutput) Close() error         { return nil }
func (streamOutput) Sync() error          { return nil }
func (streamOutput) Truncate(int64) error { return nil }

// Record adds a result to what the next Commit writes.
func (f *ResultsFile) Record(r *Result) { f.pending = r.AppendJSON(f.pending) }

// maxPending is the buffer that is kept from one Commit to the next.
const maxPending = 1 << 20

// Commit writes the recorded lines. Where the disk takes only some of them, the
// file is cut behind the last whole one.
func (f *ResultsFile) Commit() (int, error) {
	if f.failed == nil {
		f.failed = f.syncer.failure()
	}
	if f.failed != nil {
		return 0, f.failed
	}
	lines := f.pending
	if len(lines) == 0 {
		return 0, nil
	}
	if f.pending = f.pending[:0]; cap(f.pending) > maxPending {
		f.pending = nil
	}
	n, err := f.out.Write(lines)
	if err == nil {
		f.size += int64(n)
		if f.syncer.wake(); f.mode == FsyncEach {
			f.failed = f.sync()
		}
		return bytes.Count(lines, []byte("\n")), f.failed
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

// Close makes sure that the results are on the disk, in the file of that name.
func (f *ResultsFile) Close() error {
	err := f.syncer.stop()
	if err == nil {
		err = f.sync()
	}
	if err == nil && !f.stands() {
		err = &ResultsError{f.path, errTouched}
	}
	if closeErr := f.out.Close(); err == nil && closeErr != nil {
		err = &ResultsError{f.path, cause(closeErr)}
	}
	if f.failed != nil {
		err = nil // that was said already
	}
	return err
}

// there is the file that is at the place of this one, if it is this one; ok is false
// if it is not.
func (f *ResultsFile) there() (info os.FileInfo, ok bool) {
	file, known := f.out.(interface{ Stat() (os.FileInfo, error) })
	if f.place == "" || !known {
		return nil, true
	}
	mine, err := file.Stat()
	info, errThere := os.Stat(f.place)
	return info, err == nil && errThere == nil && os.SameFile(mine, info)
}

// stands tells whether the file is still at its place, and has what was written.
func (f *ResultsFile) stands() bool {
	info, ok := f.there()
	return ok && (info == nil || info.Size() == f.size)
}

// sync makes the disk have what was written, and looks whether that is still in
// its place: if not, the sooner the batch ends, the less is lost.
func (f *ResultsFile) sync() error {
	err := f.out.Sync()
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) { // of pipes and devices
		return &ResultsError{f.path, cause(err)}
	}
	if _, ok := f.there(); !ok {
		return &ResultsError{f.path, errTouched}
	}
	return nil
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
