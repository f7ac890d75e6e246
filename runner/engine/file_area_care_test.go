package engine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
)

// The disk has the whole file before it gets its name, and then has the name.
func TestStoredFilesAreDurable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var synced []string
	area := &fileArea{dir: filepath.Join(dir, "files"), synced: func(f *os.File) error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		_, named := os.Stat(filepath.Join(dir, "files", "sub", "a.txt"))
		what := filepath.Base(f.Name())
		if info.IsDir() {
			what = "folder"
		} else if strings.HasPrefix(what, unfinished) && info.Size() == 5 {
			what = "whole"
		}
		synced = append(synced, what)
		if (what == "whole") != os.IsNotExist(named) && len(synced) > 1 {
			t.Errorf("%s, while the name is there: %t", what, named == nil)
		}
		return nil
	}}
	if err := area.save("sub/a.txt", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	same(t, "synced", synced, []string{"folder", "whole", "folder", "folder"})
}

// What killed processes leave is no stored file, and is removed when it is old.
func TestUnfinishedFiles(t *testing.T) {
	t.Parallel()
	area := &fileArea{dir: t.TempDir()}
	for name, age := range map[string]time.Duration{unfinished + "old": 25 * time.Hour, unfinished + "new": time.Hour, "old": 25 * time.Hour, "sub/" + unfinished + "old": 25 * time.Hour} {
		path := filepath.Join(area.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "names", area.names(), []string{"old"})
	const want = `the name ".saving-new" is taken: what begins with .saving- is a file that was not stored whole`
	_, err := area.open(unfinished + "new")
	checkError(t, err, want)
	checkError(t, area.save(unfinished+"new", nil), want)
	if err := area.save("new", []byte("x")); err != nil {
		t.Fatal(err)
	}
	same(t, "files", readFolder(t, area.dir), map[string]string{unfinished + "new": "x", "old": "x", "new": "x"})
}

// Two runs that store different files under one name are told of, once.
func TestNamesThatTwoRunsTake(t *testing.T) {
	t.Parallel()
	var warned []string
	e := New(Options{Files: t.TempDir(), Warn: func(message string) { warned = append(warned, message) }})
	id := save(t, e, `
		text: {type: input}
		name: {type: input}
		f: {type: text_to_file, inputs: {text: "{{ text.text }}", file_name: a, file_type: TXT}}
		one: {type: file_save, inputs: {files: ["{{ f.file }}"], name: "{{ name.text }}"}}
		g: {type: text_to_file, inputs: {text: "{{ text.text }}, again", file_name: a, file_type: TXT}}
		two: {type: file_save, inputs: {files: ["{{ g.file }}"], name: "{{ name.text }}", dependencies: ["{{ one.file_name }}"]}}
	`)
	for _, in := range []runner.Inputs{{"text": "1", "name": "a"}, {"text": "1", "name": "b"}, {"text": "2", "name": "a"}, {"text": "3", "name": "a.txt"}, {"text": "3", "name": "b"}, {"text": "4", "name": "of one run"}} {
		if status := wait(t, e, start(t, e, id, in)); status.Err != nil {
			t.Fatal(status.Err)
		}
	}
	var names []string
	for _, message := range warned {
		name, rest, _ := strings.Cut(strings.TrimPrefix(message, "the file "), " is stored by another run too; the last one stays")
		if rest != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	same(t, "warned", names, []string{"a.txt", "b.txt"})
}

func TestTryFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{dir, filepath.Join(dir, "a", "b")} {
		if err := TryFiles(t.Context(), good); err != nil {
			t.Error(err)
		}
	}
	checkError(t, TryFiles(t.Context(), file), "files cannot be stored in "+file+": "+file+" is no folder; make room there, or name another folder in NIGHTSHIFT_FILES")
	checkError(t, TryFiles(t.Context(), file+"/a"), "files cannot be stored in "+file+"/a: not a directory; make room there, or name another folder in NIGHTSHIFT_FILES")
	same(t, "files", readFolder(t, dir), map[string]string{"file": ""})
}

func TestNamesThatAreTooLong(t *testing.T) {
	t.Parallel()
	part := strings.Repeat("n", 199) + "/"
	for _, name := range []string{strings.Repeat(part, 5) + strings.Repeat("n", 24), strings.Repeat("a/", 31) + "a"} {
		if err := checkFileName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{strings.Repeat(part, 5) + strings.Repeat("n", 25), strings.Repeat("a/", 32) + "a"} {
		checkError(t, checkFileName(name), "the name "+quote(name)+" is too long: 1024 bytes in 32 parts are allowed")
	}
}
