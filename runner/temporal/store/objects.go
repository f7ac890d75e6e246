package store

import (
	"context"
	"io"
)

// objects is where a store keeps its objects. A key is a path of plain names; a
// folder ends with a slash.
type objects interface {
	// put makes an object of what write writes. Where either fails there is none, or
	// the one that was there.
	put(ctx context.Context, key string, write func(io.Writer) error) error
	// get gives an object, which is the caller's; one that is not there is a fs.ErrNotExist.
	get(ctx context.Context, key string) ([]byte, error)
	exists(ctx context.Context, key string) (bool, error)
	// list gives what is right below a folder, in the order of names.
	list(ctx context.Context, folder string) ([]entry, error)
	// remove removes an object, if it is there.
	remove(ctx context.Context, key string) error
	// removeAll removes all that is below a folder, whatever it is.
	removeAll(ctx context.Context, folder string) error
	close() error
}

// entry is an object or a folder in a folder.
type entry struct {
	name   string // without a slash
	size   int64  // of an object
	folder bool
}
