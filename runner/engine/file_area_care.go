package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"weak"
)

// unfinished begins the names of files that are being stored.
const unfinished = ".saving-"

// leftAfter is how old an unfinished file is that nobody finishes any more.
const leftAfter = 24 * time.Hour

// sweep removes the unfinished files that were left by processes that were killed.
func sweep(root *os.Root) {
	_ = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.HasPrefix(entry.Name(), unfinished) {
			return nil //nolint:nilerr // what cannot be looked at is left where it is
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > leftAfter {
			_ = root.Remove(name)
		}
		return nil
	})
}

// takers notice that two runs store different files under one name.
type takers struct {
	warn func(message string) // nil: nobody hears of it

	mu     sync.Mutex
	byName map[string]taker
}

type taker struct {
	run     weak.Pointer[run] // the last one's; a run that has ended is not kept for this
	content uint64            // hash
	warned  bool
}

var contentSeed = maphash.MakeSeed()

// take notes that a run, or one in it, stores a file.
func (t *takers) take(r *run, name string, data []byte) {
	now := taker{run: weak.Make(r.outermost()), content: maphash.Bytes(contentSeed, data)}
	t.mu.Lock()
	before, taken := t.byName[name]
	clash := taken && before.run != now.run && before.content != now.content
	now.warned = before.warned || clash
	if t.byName == nil {
		t.byName = map[string]taker{}
	}
	t.byName[name] = now
	t.mu.Unlock()
	if clash && !before.warned && t.warn != nil {
		t.warn(fmt.Sprintf("the file %s is stored by another run too; the last one stays. Let its name hold something of the run's own, such as an id", name))
	}
}

// TryFiles tells whether files can be stored in a folder, or in what would hold it
// once it is made: there, a file is written and removed again.
func TryFiles(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	_, err := aside(ctx, func() (struct{}, error) { return struct{}{}, try(dir) })
	if err != nil && ctx.Err() != nil {
		err = errors.New("it does not answer")
	}
	if err != nil {
		return fmt.Errorf("files cannot be stored in %s: %w; make room there, or name another folder in NIGHTSHIFT_FILES", dir, bareFileError(err))
	}
	return nil
}

const tryFor = 30 * time.Second

func try(dir string) error {
	info, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	}
	f, err := os.CreateTemp(dir, unfinished+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, 4096)) // a full disk takes files of nothing
	return cmp.Or(err, f.Sync(), f.Close())
}
