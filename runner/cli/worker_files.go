package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"nightshift/spec"
)

// errNotSent says that a file is nowhere where runs of others may read it.
var errNotSent = errors.New("no such file or directory: it was not there where the batch was handed over, nor is it below this worker's working folder")

// ownFile reads a file of this machine that a client has not sent along. Who hands
// batches over may read what is below the working folder, and nothing else, wherever
// links and .. lead.
func (h *host) ownFile(path string) ([]byte, error) {
	below, err := filepath.Rel(h.dir, spec.PathIn(h.dir, path))
	if err != nil || !filepath.IsLocal(below) {
		return nil, errNotSent
	}
	root, err := os.OpenRoot(h.dir)
	if err != nil {
		return nil, bareError(err)
	}
	defer root.Close()
	info, err := root.Stat(below)
	switch {
	case err != nil:
		return nil, errNotSent // also where it is outside
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case !info.Mode().IsRegular(): // a pipe would be waited for
		return nil, errors.New("it is no file")
	}
	f, err := root.Open(below)
	if err != nil {
		return nil, bareError(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, spec.MaxFile+1))
	switch {
	case err != nil:
		return nil, bareError(err)
	case len(data) > spec.MaxFile:
		return nil, fmt.Errorf("it has more than %d MB, which is the most that is read", spec.MaxFile>>20)
	}
	return data, nil
}

// bareError is an error of a file without its path, which is said beside it.
func bareError(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
