package runner

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// ReplaceFile writes a file anew so that it is whole whatever happens: what was
// there stands until the new text is on the disk. A link stays, and what it leads
// to is replaced; the mode of the old file is kept. Pipes and devices are written
// to. Errors are a *ResultsError; then the old file stands, and nothing is left
// over, except that the folder alone may have failed to reach the disk.
func ReplaceFile(path string, write func(io.Writer) error) error {
	err := replace(path, write)
	if _, said := errors.AsType[*ResultsError](err); err == nil || said {
		return err
	}
	return &ResultsError{path, cause(err)}
}

func replace(path string, write func(io.Writer) error) error {
	old, err := os.Stat(path)
	if err == nil && !old.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return writeAndClose(file, write)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	target := followLinks(path)
	temporary := target + temporaryMark + rand.Text()
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if old != nil {
		err = file.Chmod(old.Mode().Perm())
	}
	if err == nil {
		err = writeAndClose(file, write)
	} else {
		file.Close()
	}
	if err == nil {
		err = os.Rename(temporary, target)
	}
	if err != nil {
		_ = os.Remove(temporary) // the lock removes it next time
		return err
	}
	return syncDir(filepath.Dir(target))
}

// writeAndClose gives write a buffer, and returns when the disk has all of it.
func writeAndClose(file *os.File, write func(io.Writer) error) error {
	defer file.Close() // twice does no harm
	buffer := bufio.NewWriterSize(file, 1<<16)
	if err := write(buffer); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	if err := syncable(file.Sync()); err != nil {
		return err
	}
	return file.Close()
}

// syncDir makes the disk have the names in a folder, as they are now.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return syncable(dir.Sync())
}

// syncable forgives what cannot be synced, such as pipes, devices, and folders of
// some file systems.
func syncable(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// followLinks gives the path that links lead to, which need not be there. Links
// among its folders stay.
func followLinks(path string) string {
	const most = 40 // as systems have it
	for range most {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			dir, _ := filepath.Split(path) // not cleaned: link/.. is not here
			target = dir + target
		}
		path = target
	}
	return path
}

// temporaryMark is between the name of a file and what makes that of its
// temporary one unique.
const temporaryMark = ".new-"

// RemoveLeftovers removes the temporary files that a crash left of a file that was being
// replaced, and of those beside it that are named like it with an ending. Who is replacing
// one of them at that moment fails, with an error that is fs.ErrNotExist.
func RemoveLeftovers(path string, endings ...string) {
	dir, base := filepath.Split(followLinks(path))
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return // they only take space
	}
	own := []string{base}
	for _, ending := range endings {
		own = append(own, base+ending)
	}
	for _, entry := range entries {
		name, random, found := strings.Cut(entry.Name(), temporaryMark)
		if found && len(random) == len(rand.Text()) && slices.Contains(own, name) {
			_ = os.Remove(dir + entry.Name())
		}
	}
}
