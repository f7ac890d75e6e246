package store

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder keeps objects as files of its own user. It is not fileblob of gocloud.dev:
// that lists a folder that cannot be read as an empty one, and forces nothing onto the
// disk.
type folder string

// openFolder makes the folder where it is missing, and looks whether it can be
// written.
func openFolder(path string) (folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	file, err := os.OpenFile(filepath.Join(path, temporary("probe")), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	file.Close()
	return folder(path), os.Remove(file.Name())
}

// temporary is the name of a file that is being written. No object has a name like
// that: a process that is killed may leave it.
func temporary(name string) string { return "." + name + ".new-" + rand.Text() }

func (f folder) path(key string) string { return filepath.Join(string(f), filepath.FromSlash(key)) }

func (f folder) put(ctx context.Context, key string, write func(io.Writer) error) (err error) {
	path := f.path(key)
	dir, name := filepath.Split(path)
	var file *os.File
	for range 10 { // whoever forgets the neighbours may take the empty folder away
		if err = os.MkdirAll(dir, 0o700); err == nil {
			file, err = os.OpenFile(filepath.Join(dir, temporary(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close() // twice does no harm
			_ = os.Remove(file.Name())
		}
	}()
	if err := write(file); err != nil {
		return err
	}
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

func (f folder) get(_ context.Context, key string) ([]byte, error) {
	return os.ReadFile(f.path(key))
}

func (f folder) exists(_ context.Context, key string) (bool, error) {
	_, err := os.Stat(f.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (f folder) list(_ context.Context, folder string) ([]entry, error) {
	found, err := os.ReadDir(f.path(folder))
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
	err := os.Remove(f.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f folder) removeAll(_ context.Context, folder string) error {
	path := f.path(folder)
	err := os.RemoveAll(path)
	// Folders above it go too, as far as they are empty, which Remove looks after.
	top := f.path(strings.SplitAfter(folder, "/")[0])
	for dir := filepath.Dir(path); err == nil && dir != top && os.Remove(dir) == nil; {
		dir = filepath.Dir(dir)
	}
	return err
}

func (f folder) close() error { return nil }
