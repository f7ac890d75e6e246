package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"nightshift/schema"
	"nightshift/spec"
)

// fileArea is the folder that file_save nodes store files in, and file nodes look
// them up in by name. No name, and no link in the folder, leads out of it.
type fileArea struct {
	dir string    // made with the first file; "": there is none
	dry *dryFiles // takes what is stored; nil: it is written
}

func newFileArea(o Options) fileArea {
	area := fileArea{dir: o.Files}
	if o.Rehearse != nil {
		area.dry = newDryFiles()
	}
	return area
}

var errNoFileArea = errors.New("files are not stored here: there is no folder for them")

// save stores a file under a name, which may have folders in it. What has the name
// is replaced, at once and whole.
func (a fileArea) save(name string, data []byte) error {
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

func (a fileArea) write(name string, data []byte) (err error) {
	if err := os.MkdirAll(a.dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(a.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	folder := path.Dir(name)
	if err := root.MkdirAll(folder, 0o777); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("in %s, a part is a file and no folder", folder)
	} else if err != nil {
		return err
	}
	if info, err := root.Lstat(name); err == nil && info.IsDir() {
		return errors.New("it is a folder")
	}
	temporary := path.Join(folder, ".saving-"+rand.Text())
	if err := root.WriteFile(temporary, data, 0o666); err != nil {
		_ = root.Remove(temporary)
		return err
	}
	if err := root.Rename(temporary, name); err != nil {
		_ = root.Remove(temporary)
		return err
	}
	return nil
}

// open gives the plain value of the file that is stored under a name.
func (a fileArea) open(name string) (map[string]any, error) {
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

func (a fileArea) read(name string) ([]byte, error) {
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
func (a fileArea) names() []string {
	names := a.dry.names(1000)
	_ = filepath.WalkDir(a.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // this is for a hint: what cannot be looked at is passed over
		case len(names) >= 1000:
			return fs.SkipAll
		case entry.Type().IsRegular():
			name, _ := filepath.Rel(a.dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	return names
}

// maxNamePart is as long as file systems take the name of a file or folder, in bytes.
const maxNamePart = 255

// checkFileName says why a name cannot be that of a stored file.
func checkFileName(name string) error {
	shown := quote(name)
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("the name of the file is empty")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name %s holds control characters, or is not UTF-8", shown)
	case path.IsAbs(name) || !filepath.IsLocal(name):
		return fmt.Errorf("the name %s leads out of the folder of stored files", shown)
	case strings.HasSuffix(name, "/") || path.Base(name) == "." || path.Base(name) == "..":
		return fmt.Errorf("the name %s is that of a folder, not of a file", shown)
	case slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return len(part) > maxNamePart }):
		return fmt.Errorf("the name %s is too long: %d bytes are allowed between slashes", shown, maxNamePart)
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
var nameEnding = regexp.MustCompile(`[^/]\.[0-9]{0,3}[A-Za-z][A-Za-z0-9]{0,9}$`)

// withEnding gives a name without an ending that of another.
func withEnding(name, ending string) string {
	if nameEnding.MatchString(name) {
		return name
	}
	return name + ending
}

// endingOf is the ending of a name, with its dot; "" where it has none.
func endingOf(name string) string {
	if nameEnding.MatchString(name) {
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
