package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unicode"
	"unicode/utf8"

	"nightshift/schema"
	"nightshift/spec"
)

// fileArea is the folder that file_save nodes store files in, and file nodes look
// them up in by name. No name, and no link in the folder, leads out of it.
type fileArea struct {
	dir    string    // made with the first file; "": there is none
	dry    *dryFiles // takes what is stored; nil: it is written
	takers takers
	swept  sync.Once
	synced func(f *os.File) error // makes the disk have a file or folder; nil: as the system does
}

func newFileArea(o Options) *fileArea {
	area := &fileArea{dir: o.Files, takers: takers{warn: o.Warn}}
	if o.Warn == nil {
		area.takers.warn = o.Log
	}
	if o.Rehearse != nil {
		area.dry = newDryFiles()
	}
	return area
}

var errNoFileArea = errors.New("files are not stored here: there is no folder for them")

// save stores a file under a name, which may have folders in it. What has the name
// is replaced, at once and whole.
func (a *fileArea) save(name string, data []byte) error {
	if err := checkFileName(name); err != nil {
		return err
	}
	switch {
	case a.dir == "":
		return errNoFileArea
	case a.dry != nil:
		a.dry.save(path.Clean(name), data)
		return nil
	}
	if err := a.write(path.Clean(name), data); err != nil {
		return fmt.Errorf("cannot store the file %s in %s: %w", name, a.dir, bareFileError(err))
	}
	return nil
}

func (a *fileArea) write(name string, data []byte) (err error) {
	if err := os.MkdirAll(a.dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(a.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	a.swept.Do(func() {
		sweep(root)
		if parent, err := os.OpenRoot(filepath.Dir(filepath.Clean(a.dir))); err == nil { // which may have the folder only now
			_ = a.syncFolders(parent, ".")
			parent.Close()
		}
	})
	folder := path.Dir(name)
	if err := root.MkdirAll(folder, 0o777); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("in %s, a part is a file and no folder", folder)
	} else if err != nil {
		return err
	}
	if info, err := root.Lstat(name); err == nil && info.IsDir() {
		return errors.New("it is a folder")
	}
	temporary := path.Join(folder, unfinished+rand.Text())
	if err = a.writeWhole(root, temporary, data); err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		_ = root.Remove(temporary)
		return err
	}
	return a.syncFolders(root, folder)
}

// writeWhole writes a file, and returns when the disk has all of it: a run that
// succeeded may be kept when the machine stops, and then its files must be.
func (a *fileArea) writeWhole(root *os.Root, name string, data []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer f.Close() // twice does no harm
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := a.sync(f); err != nil {
		return err
	}
	return f.Close()
}

// syncFolders makes the disk have the names in a folder and in those around it, up to
// that of the area.
func (a *fileArea) syncFolders(root *os.Root, folder string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	for {
		f, err := root.Open(folder)
		if err != nil {
			return err
		}
		err = a.sync(f)
		f.Close()
		if err != nil || folder == "." {
			return err
		}
		folder = path.Dir(folder)
	}
}

func (a *fileArea) sync(f *os.File) error {
	sync := a.synced
	if sync == nil {
		sync = (*os.File).Sync
	}
	if err := sync(f); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) { // as folders of some file systems
		return err
	}
	return nil
}

// open gives the plain value of the file that is stored under a name.
func (a *fileArea) open(name string) (map[string]any, error) {
	if err := checkFileName(name); err != nil {
		return nil, err
	}
	if a.dir == "" {
		return nil, errNoFileArea
	}
	data, there, err := a.dry.open(path.Clean(name))
	if err == nil && !there {
		data, err = a.read(path.Clean(name))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		names := a.names()
		hint := schema.DidYouMean(name, names)
		if len(names) == 0 {
			hint = "; nothing is stored there"
		}
		return nil, fmt.Errorf("there is no file %s in %s%s", quote(name), a.dir, hint)
	case err != nil:
		return nil, fmt.Errorf("cannot read the file %s in %s: %w", name, a.dir, bareFileError(err))
	}
	return spec.FileValue(name, data), nil
}

func (a *fileArea) read(name string) ([]byte, error) {
	root, err := os.OpenRoot(a.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // a pipe would be waited for
		return nil, errors.New("it is no file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return spec.ReadMost(f, info.Size(), spec.MaxFile)
}

// names lists what is stored, up to a thousand files.
func (a *fileArea) names() []string {
	names := a.dry.names(1000)
	_ = filepath.WalkDir(a.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // this is for a hint: what cannot be looked at is passed over
		case len(names) >= 1000:
			return fs.SkipAll
		case entry.Type().IsRegular() && !strings.HasPrefix(entry.Name(), unfinished):
			name, _ := filepath.Rel(a.dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	return names
}

// Names of stored files are as long as file systems take them, in bytes, and no tree of
// folders is deeper than people can use.
const (
	maxNamePart  = 255
	maxName      = 1024
	maxNameParts = 32
)

// checkFileName says why a name cannot be that of a stored file.
func checkFileName(name string) error {
	shown, parts := quote(name), strings.Split(name, "/")
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("the name of the file is empty")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name %s holds control characters, or is not UTF-8", shown)
	case path.IsAbs(name) || !filepath.IsLocal(name):
		return fmt.Errorf("the name %s leads out of the folder of stored files", shown)
	case strings.HasSuffix(name, "/") || path.Base(name) == "." || path.Base(name) == "..":
		return fmt.Errorf("the name %s is that of a folder, not of a file", shown)
	case slices.ContainsFunc(parts, func(part string) bool { return len(part) > maxNamePart }):
		return fmt.Errorf("the name %s is too long: %d bytes are allowed between slashes", shown, maxNamePart)
	case len(name) > maxName || len(parts) > maxNameParts:
		return fmt.Errorf("the name %s is too long: %d bytes in %d parts are allowed", shown, maxName, maxNameParts)
	case slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(part, unfinished) }):
		return fmt.Errorf("the name %s is taken: what begins with %s is a file that was not stored whole", shown, unfinished)
	}
	return nil
}

// bareFileError is an error of a file without its path, which is said already.
func bareFileError(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return bareFileError(e.Err)
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

// nameEnding is what ends the name of a file as its type: v1.2 has none.
var nameEnding = spec.Pattern(`[^/]\.[0-9]{0,3}[A-Za-z][A-Za-z0-9]{0,9}$`)

// withEnding gives a name without an ending that of another.
func withEnding(name, ending string) string {
	if nameEnding().MatchString(name) {
		return name
	}
	return name + ending
}

// endingOf is the ending of a name, with its dot; "" where it has none.
func endingOf(name string) string {
	if nameEnding().MatchString(name) {
		return path.Ext(name)
	}
	return ""
}

// storedName is what the file at a place of a list is stored as: report.txt,
// report-2.txt, ... A name without an ending takes that of the file.
func storedName(name string, at int, of string) string {
	name = withEnding(name, endingOf(of))
	if at == 0 {
		return name
	}
	ending := endingOf(name)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ending), at+1, ending)
}
