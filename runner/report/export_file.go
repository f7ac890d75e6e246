package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"nightshift/runner"
)

// ExportTo is Export to a file, which is there whole or not at all; one that is
// there is replaced. Pipes and devices are written to. A file that cannot be
// written is a *runner.ResultsError.
func ExportTo(path string, r *Results, o ExportOptions) error {
	if old, err := os.Stat(path); err == nil && r.same(old) {
		return fmt.Errorf("%s holds the results themselves; choose another path with --output", path)
	}
	var exported error // which need not be one of writing
	err := runner.ReplaceFile(path, func(w io.Writer) error {
		exported = Export(NewWriter(path, w), r, o)
		return exported
	})
	return cmp.Or(exported, err)
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
	return &runner.ResultsError{Path: path, Err: err}
}
