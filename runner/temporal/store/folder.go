package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// folder keeps objects as files of its own user. It is not fileblob of gocloud.dev:
// that lists a folder that cannot be read as an empty one, and forces nothing onto the
// disk.
type folder struct {
	root  string
	calls calls
}

// openFolder makes the folder where it is missing, and looks whether it can be
// written. A call to the file system may take as long as wait.
func openFolder(path string, wait time.Duration) (folder, error) {
	f := folder{path, newCalls(wait)}
	return f, awaitError(f.calls, func() error {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		file, err := os.OpenFile(filepath.Join(path, temporary("probe")), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		file.Close()
		return os.Remove(file.Name())
	})
}

// temporary is the name of a file that is being written. No object has a name like
// that: a process that is killed, or that waited long enough, may leave it.
func temporary(name string) string { return "." + name + ".new-" + rand.Text() }

func (f folder) path(key string) string { return filepath.Join(f.root, filepath.FromSlash(key)) }

func (f folder) put(ctx context.Context, key string, write func(io.Writer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // for a call that was left behind
	path := f.path(key)
	file, err := await(f.calls, func() (*os.File, error) { return create(path) })
	if err != nil {
		return err
	}
	err = write(&writtenFile{f.calls, file, nil})
	if err == nil {
		err = awaitError(f.calls, func() error { return keep(ctx, file, path) })
	}
	if _, hangs := errors.AsType[noAnswer](err); err != nil && !hangs {
		_ = awaitError(f.calls, func() error {
			file.Close() // twice does no harm
			return os.Remove(file.Name())
		})
	}
	return err
}

// create creates the temporary file for that path.
func create(path string) (file *os.File, err error) {
	dir, name := filepath.Split(path)
	for range 10 { // whoever forgets the neighbours may take the empty folder away
		if err = os.MkdirAll(dir, 0o700); err == nil {
			file, err = os.OpenFile(filepath.Join(dir, temporary(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return file, err
}

// keep makes a temporary file the object.
func keep(ctx context.Context, file *os.File, path string) error {
	if err := file.Sync(); err != nil { // else a power loss may leave the name without the text
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// writtenFile is a file being written. Each write is a call of its own.
type writtenFile struct {
	calls  calls
	file   *os.File
	buffer []byte // what is written: the text is the caller's, who may change it where a call hangs
}

// mostWritten is how many bytes are written in one call.
const mostWritten = 256 << 10

func (w *writtenFile) Write(text []byte) (n int, err error) {
	for n < len(text) && err == nil {
		w.buffer = append(w.buffer[:0], text[n:min(len(text), n+mostWritten)]...)
		buffer := w.buffer
		var wrote int
		wrote, err = await(w.calls, func() (int, error) { return w.file.Write(buffer) })
		n += wrote
	}
	return n, err
}

// mostRead is how many bytes are read in one call.
const mostRead = 4 << 20

func (f folder) get(ctx context.Context, key string) ([]byte, error) {
	type opened struct {
		*os.File
		size int64
	}
	file, err := await(f.calls, func() (o opened, err error) {
		if o.File, err = os.Open(f.path(key)); err != nil {
			return o, err
		}
		info, err := o.Stat()
		if err == nil {
			o.size = info.Size()
		}
		return o, err
	})
	if err != nil {
		return nil, err
	}
	text := make([]byte, file.size)
	for at := 0; at < len(text) && err == nil; {
		piece := text[at:min(len(text), at+mostRead)]
		if err = ctx.Err(); err == nil {
			_, err = await(f.calls, func() (int, error) { return io.ReadFull(file, piece) })
		}
		at += len(piece)
	}
	if _, hangs := errors.AsType[noAnswer](err); !hangs {
		file.Close()
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

func (f folder) exists(_ context.Context, key string) (bool, error) {
	return await(f.calls, func() (bool, error) {
		_, err := os.Stat(f.path(key))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
}

func (f folder) list(_ context.Context, folder string) ([]entry, error) {
	return await(f.calls, func() ([]entry, error) { return listFolder(f.path(folder)) })
}

func listFolder(path string) ([]entry, error) {
	found, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, file := range found {
		if strings.HasPrefix(file.Name(), ".") {
			continue
		}
		info, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) { // by now
			continue
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{file.Name(), info.Size(), file.IsDir()})
	}
	return entries, nil
}

func (f folder) remove(_ context.Context, key string) error {
	return awaitError(f.calls, func() error {
		if err := os.Remove(f.path(key)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (f folder) removeAll(ctx context.Context, folder string) error {
	path := f.path(folder)
	if err := f.removeTree(ctx, path); err != nil {
		return err
	}
	return awaitError(f.calls, func() error {
		// Folders above it go too, as far as they are empty, which Remove looks after.
		top := f.path(strings.SplitAfter(folder, "/")[0])
		for dir := filepath.Dir(path); dir != top && os.Remove(dir) == nil; {
			dir = filepath.Dir(dir)
		}
		return nil
	})
}

// removeTree is os.RemoveAll in many calls: each has its time.
func (f folder) removeTree(ctx context.Context, path string) error {
	found, err := await(f.calls, func() ([]os.DirEntry, error) { return os.ReadDir(path) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, file := range found {
		if err != nil || ctx.Err() != nil {
			return cmp.Or(err, ctx.Err())
		}
		below := filepath.Join(path, file.Name())
		if file.IsDir() {
			err = f.removeTree(ctx, below)
		} else {
			err = awaitError(f.calls, func() error { return os.RemoveAll(below) })
		}
	}
	if err != nil {
		return err
	}
	return awaitError(f.calls, func() error { return os.RemoveAll(path) }) // with what was added meanwhile
}

func (f folder) close() error { return nil }
