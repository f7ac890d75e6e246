package engine

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

func TestFileArea(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	area := &fileArea{dir: filepath.Join(dir, "a", "files")}
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(area.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is there before anything is stored: %v", err)
	}
	if err := area.save("sub/größe.txt", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"folder": outside, "relative": "../../outside", "file": filepath.Join(outside, "secret"), "within": "sub"} {
		if err := os.Symlink(to, filepath.Join(area.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("n", 300)
	for _, c := range []struct{ name, err string }{
		{"../x", `the name "../x" leads out of the folder of stored files`},
		{"a/../../x", `the name "a/../../x" leads out of the folder of stored files`},
		{"/etc/x", `the name "/etc/x" leads out of the folder of stored files`},
		{"..", `the name ".." leads out of the folder of stored files`},
		{".", `the name "." is that of a folder, not of a file`},
		{"sub/", `the name "sub/" is that of a folder, not of a file`},
		{"sub", `cannot store the file sub in ` + area.dir + `: it is a folder`},
		{"", `the name of the file is empty`},
		{" \t", `the name of the file is empty`},
		{"a\x00b", `the name "a\x00b" holds control characters, or is not UTF-8`},
		{"a\nb", `the name "a\nb" holds control characters, or is not UTF-8`},
		{"a\xff", `the name "a\xff" holds control characters, or is not UTF-8`},
		{long, `the name ` + quote(long) + ` is too long: 255 bytes are allowed between slashes`},
		{"folder/x", `cannot store the file folder/x in ` + area.dir + `: path escapes from parent`},
		{"relative/x", `cannot store the file relative/x in ` + area.dir + `: path escapes from parent`},
		{"sub/größe.txt/x", `cannot store the file sub/größe.txt/x in ` + area.dir + `: in sub/größe.txt, a part is a file and no folder`},
	} {
		checkError(t, area.save(c.name, []byte("y")), c.err)
	}
	for _, name := range []string{"file", "folder/secret", "relative/secret", "../../outside/secret"} {
		if v, err := area.open(name); err == nil {
			t.Errorf("%s: %v", name, v)
		}
	}
	// A link is replaced, and what it leads to is not touched.
	for _, name := range []string{"file", "within/y", strings.Repeat("n", 255), "sub//a/./b", "sub/größe.txt", ".hidden", "..name"} {
		if err := area.save(name, []byte("new")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		v, err := area.open(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := decodeFile(v)
		if err != nil || string(f.data) != "new" {
			t.Errorf("%s: %q, %v", name, f.data, err)
		}
	}
	same(t, "outside", readFolder(t, outside), map[string]string{"secret": "secret"})
	if left, _ := filepath.Glob(filepath.Join(area.dir, "*", ".saving*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Whoever reads sees one file or the other, whole.
func TestFilesAreStoredAtOnce(t *testing.T) {
	t.Parallel()
	area := &fileArea{dir: filepath.Join(t.TempDir(), "files")}
	large := strings.Repeat("x", 1<<20)
	if err := area.save("f", []byte(large)); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := area.save("f", []byte(large)); err != nil {
				t.Error(err)
			}
			if data, err := area.read("f"); err != nil || len(data) != len(large) {
				t.Errorf("%d bytes, %v", len(data), err)
			}
		})
	}
	group.Wait()
	same(t, "files", len(readFolder(t, area.dir)), 1)
}

func TestWithoutAFileArea(t *testing.T) {
	t.Parallel()
	_, err := runNodes(t, `
		in: {type: input, inputs: {input_type: file}}
		n: {type: file_save, inputs: {files: ["{{ in.file }}"], name: x}}
	`, nil)
	checkError(t, err, `files are not stored here: there is no folder for them`)
	_, err = runNodes(t, `
		n: {type: file, inputs: {selected_option: name, file_name: x}}
		out: {type: output, inputs: {value: "{{ n.processed_text }}"}}
	`, nil)
	checkError(t, err, `node n (file): input "file_name": files are not stored here: there is no folder for them`)
}

// A rehearsal gives the names that it would give, refuses what would be, and
// writes nothing.
func TestFilesInARehearsal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := New(Options{Files: filepath.Join(dir, "files"), Rehearse: &spec.Rehearse{}})
	const nodes = `
		in: {type: input, inputs: {input_type: string}}
		f: {type: text_to_file, inputs: {text: x, file_name: a, file_type: MD}}
		n: {type: file_save, inputs: {files: ["{{ f.file }}", "{{ f.file }}"], name: "{{ in.text }}"}}
		out: {type: output, inputs: {output_type: json, value: "{{ n.file_name }}"}}
	`
	status := runToEnd(t, e, nodes, runner.Inputs{"in": "notes"})
	same(t, "outputs", asJSON(status.Outputs), `{"out":["notes.md","notes-2.md"]}`)
	status = runToEnd(t, e, nodes, runner.Inputs{"in": "../notes"})
	checkError(t, status.Err, `node n (file_save): input "name": the name "../notes" leads out of the folder of stored files`)
	same(t, "folder", len(readFolder(t, dir)), 0)
}

// What a rehearsal would have stored is found by name.
func TestFilesAreFoundInARehearsal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "files", "notes.md"), []byte("of a real run"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := New(Options{Files: filepath.Join(dir, "files"), Rehearse: &spec.Rehearse{}})
	status := runToEnd(t, e, `
		in: {type: input, inputs: {input_type: string}}
		old: {type: file, inputs: {selected_option: name, file_name: ./notes.md}}
		f: {type: text_to_file, inputs: {text: "{{ in.text }}", file_name: a, file_type: MD, dependencies: ["{{ old.processed_text }}"]}}
		n: {type: file_save, inputs: {files: ["{{ f.file }}"], name: notes}}
		new: {type: file, inputs: {selected_option: name, file_name: ./notes.md, dependencies: ["{{ n.file_name }}"]}}
		was: {type: output, inputs: {value: "{{ old.processed_text }}"}}
		is: {type: output, inputs: {value: "{{ new.processed_text }}"}}
	`, runner.Inputs{"in": "new"})
	same(t, "error", status.Err, nil)
	same(t, "outputs", asJSON(status.Outputs), `{"is":"new","was":"of a real run"}`)
	_, err := e.area.open("note.md")
	checkError(t, err, `there is no file "note.md" in `+e.area.dir+`; did you mean "notes.md"?`)
	same(t, "files", readFolder(t, filepath.Join(dir, "files")), map[string]string{"notes.md": "of a real run"})
}

// A rehearsal keeps so many bytes; of what is more, it says why it is not there.
func TestFilesThatARehearsalHasNoRoomFor(t *testing.T) {
	t.Parallel()
	area := &fileArea{dir: filepath.Join(t.TempDir(), "files"), dry: newDryFiles()}
	area.dry.room = 10
	store := func(name, text string) {
		t.Helper()
		if err := area.save(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	found := func(name string) string {
		v, err := area.open(name)
		if err != nil {
			return err.Error()
		}
		f, err := decodeFile(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(f.data)
	}
	const tooMany = `: it was stored in this rehearsal, which writes nothing and keeps no more than 64 MB of files; rehearse fewer items (--limit)`
	store("a", "123456")
	store("b", "12345")
	store("empty", "")
	same(t, "a", found("a"), "123456")
	same(t, "b", found("b"), "cannot read the file b in "+area.dir+tooMany)
	same(t, "empty", found("empty"), "")
	store("a", "1234567890")
	store("b", "")
	same(t, "a again", found("a"), "1234567890")
	same(t, "b again", found("b"), "")
	store("a", "12345678901")
	same(t, "a, too large", found("a"), "cannot read the file a in "+area.dir+tooMany)
	store("b", "1234567890")
	same(t, "b, with the room of a", found("b"), "1234567890")
}

func TestStoredNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		at   int
		of   string
		want string
	}{
		{"report", 0, "a.txt", "report.txt"}, {"report", 1, "a.csv", "report-2.csv"}, {"report.md", 0, "a.txt", "report.md"},
		{"report.md", 9, "a.txt", "report-10.md"}, {"v1.2", 0, "a.txt", "v1.2.txt"}, {"v1.2", 1, "file", "v1.2-2"},
		{"a.b/c", 0, "x.md", "a.b/c.md"}, {".profile", 0, "x.md", ".profile.md"}, {"a.7z", 1, "x.md", "a-2.7z"}, {"a.mp3", 1, "", "a-2.mp3"},
		{"Report, e.g. today", 0, "x.txt", "Report, e.g. today.txt"},
	} {
		same(t, c.name, storedName(c.name, c.at, c.of), c.want)
	}
}
