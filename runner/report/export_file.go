package report

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"nightshift/runner"
)

// ExportTo is Export to a file, which is there whole or not at all; one that is
// there is replaced. Pipes and devices are written to. A file that cannot be
// written is a *runner.ResultsError.
func ExportTo(path string, r *Results, o ExportOptions) error {
	old, err := os.Stat(path)
	if err == nil && r.same(old) {
		return fmt.Errorf("%s holds the results themselves; choose another path with --output", path)
	}
	target := path
	if linked, err := filepath.EvalSymlinks(path); err == nil {
		target = linked // a link stays
	}
	flags, written := os.O_WRONLY|os.O_CREATE|os.O_EXCL, target+".new-"+rand.Text()
	inPlace := err == nil && !old.Mode().IsRegular()
	if inPlace {
		flags, written = os.O_WRONLY, target
	}
	file, err := os.OpenFile(written, flags, 0o666)
	if err != nil {
		return unwritten(path, err)
	}
	err = Export(writer{path, file}, r, o)
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = unwritten(path, closeErr)
	}
	if inPlace {
		return err
	}
	if err == nil {
		if err = os.Rename(written, target); err == nil {
			return nil
		}
		err = unwritten(path, err)
	}
	_ = os.Remove(written) // should it stay, it takes space alone
	return err
}

// NewWriter is w with errors that say where they come from: each is a
// *runner.ResultsError of that name.
func NewWriter(name string, w io.Writer) io.Writer { return writer{name, w} }

type writer struct {
	name string
	w    io.Writer
}

func (w writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		err = unwritten(w.name, err)
	}
	return n, err
}

// unwritten is the error of a file without what it says of the operation.
func unwritten(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		err = e.Err
	}
	return &runner.ResultsError{Path: path, Err: err}
}
