package store

import (
	"context"
	"io"
)

// PutFile keeps a file that inputs name, below the key of a pass or a run.
func (s *Store) PutFile(ctx context.Context, prefix, path string, r io.Reader) error {
	return s.write(ctx, fileObject(prefix, path), func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// File gives a file that was kept under that path; that none was is a fs.ErrNotExist.
func (s *Store) File(ctx context.Context, prefix, path string) ([]byte, error) {
	return s.get(ctx, fileObject(prefix, path))
}
