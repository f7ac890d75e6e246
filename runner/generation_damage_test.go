package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// textOf are the lines of rows, as a generation would write them.
func textOf(g *Generation, rows string) string {
	var text []byte
	for r := range strings.FieldsSeq(rows) {
		text = row(r).result(g, Standing{}).AppendJSON(text)
	}
	return string(text)
}

// someGeneration is one to make texts of.
func someGeneration(o GenerationOptions) *Generation {
	return &Generation{GenerationOptions: o, ID: "20261123-0000000a"}
}

func TestFilesThatAreNoResults(t *testing.T) {
	o := nightly(t)
	other := o
	other.Batch = "day"
	half := textOf(someGeneration(o), "a")[:80]
	for text, message := range map[string]string{
		"hello\n":                          "r.jsonl holds no results (line 1: ",
		"hello":                            "r.jsonl holds no results (line 1: the line is torn: it has no end); choose another results path, or --fresh to move it aside",
		"{\"id\":\"x\",\"price\":1}\n":     "r.jsonl holds no results (line 1: ",
		"[1]\n[2]\n" + half:                "r.jsonl holds no results (line 1: ",
		"{\n\"id\": 1\n}\n":                "r.jsonl holds no results (line 1: ",
		"\n":                               "r.jsonl holds no results (line 1: ",
		"\x00\x00\x00":                     "r.jsonl holds no results (line 1: ",
		textOf(someGeneration(other), "a"): "r.jsonl:1: is a result of batch day, not of night; choose another results path",
		textOf(someGeneration(o), "a") + textOf(someGeneration(other), "b"): "r.jsonl:2: is a result of batch day, not of night",
	} {
		put(t, o.Path, text, 0o666)
		_, err := openGen(t, o)
		if err == nil || !strings.HasPrefix(err.Error(), filepath.Dir(o.Path)+"/"+message) {
			t.Errorf("%q: %v", text, err)
		}
		want(t, "text", contents(t, o.Path), text)
		want(t, "names", namesIn(t, filepath.Dir(o.Path)), "r.jsonl")
	}
}

func TestFilesOfAnotherBatch(t *testing.T) {
	for _, journal := range []bool{true, false} {
		for _, retry := range []bool{true, false} {
			o := nightly(t)
			other := o
			other.Batch = "day"
			g := mustOpen(t, other)
			runLeft(t, g, "a!x")
			crash(g)
			if retry {
				put(t, retryPath(o.Path), textOf(g, "a"), 0o666)
			}
			if journal { // is all there is
				os.Remove(o.Path)
			} else {
				os.Remove(journalPath(o.Path))
			}
			os.Remove(o.Path + ".lock")
			files := snapshot(t, filepath.Dir(o.Path))
			_, err := openGen(t, o)
			if err == nil || !strings.Contains(err.Error(), "is a result of batch day, not of night; choose another results path") {
				t.Error(err)
			}
			after := snapshot(t, filepath.Dir(o.Path))
			delete(files, filepath.Dir(o.Path))
			delete(after, filepath.Dir(o.Path))
			want(t, "files", after, files)
		}
	}
}

// TestDamage: good lines go on, each item has one, and a file with what is lost
// stays.
func TestDamage(t *testing.T) {
	o := nightly(t)
	g := someGeneration(o)
	a, b, c := textOf(g, "a"), textOf(g, "b!x"), textOf(g, "c")
	again := textOf(g, "b")
	for name, test := range map[string]struct {
		text    string
		journal bool
		rows    string // that are good
		notes   []string
	}{
		"garbage":               {a + "garbage\n" + c, false, "a c", []string{"1 line is damaged and left out (line 2: "}},
		"two, and half a line":  {a + "x\ny\n" + c + b[:50], false, "a c", []string{"2 lines are damaged and left out (line 2: "}},
		"a line without a head": {a[20:] + c, false, "c", []string{"1 line is damaged and left out (line 1: "}},
		"a blank line":          {a + "\n" + c, false, "a c", []string{"1 line is damaged and left out (line 2: "}},
		"zeros":                 {a + strings.Repeat("\x00", 100) + c, false, "a", []string{"1 line is damaged and left out (line 2: "}},
		"zeros in a value":      {a + strings.Replace(c, `"1"`, "\"\x00\"", 1), false, "a", []string{"1 line is damaged and left out (line 2: "}},
		"two lines of an item":  {a + b + c + again, false, "a c b", []string{"1 item has several lines, of which the last ones stay"}},
		"the other way round":   {a + again + c + b, false, "a c b!x", []string{"1 item has several lines, of which the last ones stay"}},
		"three, and two":        {a + b + c + again + a + b, false, "c a b!x", []string{"2 items have several lines, of which the last ones stay"}},
		"both":                  {a + "garbage\n" + a, false, "a", []string{"1 line is damaged and left out (line 2: ", "1 item has several lines, of which the last ones stay"}},
		"nothing good":          {"garbage\n", true, "", []string{"1 line is damaged and left out (line 1: "}},
		"only zeros":            {strings.Repeat("\x00", 100), true, "", []string{"1 line is damaged and left out (line 1: "}},
		"zeros, then a line":    {strings.Repeat("\x00", 100) + a, true, "", []string{"1 line is damaged and left out (line 1: "}},
		"half of the first":     {a[:100], false, "", []string{"1 line is damaged and left out (line 1: "}},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Path = filepath.Join(t.TempDir(), "r.jsonl")
			if test.journal {
				g := mustOpen(t, o)
				want(t, "begin", g.Begin(), nil)
				crash(g)
			}
			put(t, o.Path, test.text, 0o640)
			g := mustOpen(t, o)
			want(t, "lines", rowsIn(t, o.Path), test.rows)
			want(t, "notes", len(g.Notes), len(test.notes))
			aside := ""
			for i, note := range g.Notes {
				told, name, _ := strings.Cut(note, "; the file as it was is now ")
				if aside = name; !strings.HasPrefix(told, o.Path+": "+test.notes[i]) {
					t.Error(note)
				}
			}
			want(t, "the file as it was", contents(t, aside), test.text)
			want(t, "mode", modeOf(t, o.Path).Perm(), os.FileMode(0o640))
			rows := strings.Fields(test.rows)
			ran := runLeft(t, g, "a b c d")
			want(t, "close", g.Close(true), nil)
			want(t, "run", len(strings.Fields(ran)), 4-len(rows))
			want(t, "lines", rowsIn(t, o.Path), strings.TrimSpace(test.rows+" "+ran))

			o.Source, o.RetryFailed = "s2", true // failed lines that do not count any more are not run again
			g = mustOpen(t, o)
			want(t, "notes", len(g.Notes), 0)
			failed := 0
			if slices.Contains(rows, "b!x") {
				failed = 1
			}
			want(t, "stay", g.Before().Items, 4-failed)
			crash(g)
		})
	}
}

func TestLastLineIsCutOff(t *testing.T) {
	o := nightly(t)
	g := someGeneration(o)
	whole, half := textOf(g, "a b"), textOf(g, "c")
	half = half[:len(half)-2]
	put(t, o.Path, whole+half, 0o666)
	g, err := openGen(t, o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "notes", g.Notes, []string{fmt.Sprintf("%s: its last line was cut off in the middle (%d bytes); it is removed, and its item is run again", o.Path, len(half))})
	want(t, "text", contents(t, o.Path), whole)
	want(t, "ran", runLeft(t, g, "a b c"), "c")
	want(t, "close", g.Close(true), nil)
	want(t, "generation", g.ID, "20261123-0000000a")
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "r.jsonl r.jsonl.journal")
}

// A line that only lacks its newline was paid for, and says all.
func TestLastLineIsNotEnded(t *testing.T) {
	for _, text := range []string{textOf(someGeneration(nightly(t)), "a b"), textOf(someGeneration(nightly(t)), "a b a"), "garbage\n" + textOf(someGeneration(nightly(t)), "a b")} {
		o := nightly(t)
		o.Fsync = FsyncGroup
		put(t, o.Path, strings.TrimSuffix(text, "\n"), 0o666)
		g, err := OpenGeneration(o)
		if err != nil {
			t.Fatal(err)
		}
		names, tally := readRows(t, o.Path)
		want(t, "ids", idsOf(names), "a b")
		want(t, "tally", said(t, g.Tally()), said(t, tally))
		want(t, "notes", len(g.Notes) > 0, strings.Count(text, "\n") > 2)
		want(t, "ran", runLeft(t, g, "a b c"), "c")
		want(t, "close", g.Close(true), nil)
		names, _ = readRows(t, o.Path)
		want(t, "ids", idsOf(names), "a b c")
	}
	o := nightly(t)
	o.LookOnly = true
	text := strings.TrimSuffix(textOf(someGeneration(o), "a b"), "\n")
	put(t, o.Path, text, 0o666)
	g, err := OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "results of a look", g.Tally().Items, 2)
	want(t, "text", contents(t, o.Path), text)
}

// A journal that cannot be read is no reason to run anything twice.
func TestDamagedJournal(t *testing.T) {
	o := nightly(t)
	first, _ := invoke(t, o, "a b")
	put(t, journalPath(o.Path), "garbage\n", 0o666)
	g := mustOpen(t, o)
	notes := []string{o.Path + ": its journal is damaged, and is begun anew"}
	want(t, "notes", g.Notes, notes)
	want(t, "ran", runLeft(t, g, "a b c"), "c")
	want(t, "close", g.Close(true), nil)
	want(t, "generation", g.ID, first.ID)
	_, aside, _ := strings.Cut(g.Notes[len(g.Notes)-1], o.Path+": its damaged journal is now ")
	want(t, "the journal as it was", contents(t, aside), "garbage\n")
	want(t, "complete", isComplete(t, o.Path), true)

	o.Outlive = true // it may have known of runs
	put(t, journalPath(o.Path), "garbage\n", 0o666)
	_, err := openGen(t, o)
	if !errors.Is(err, errJournalDamaged) {
		t.Error(err)
	}
	want(t, "journal", contents(t, journalPath(o.Path)), "garbage\n")
	put(t, journalPath(o.Path), `{"journal":99}`+"\n", 0o666)
	if _, err := openGen(t, o); !errors.Is(err, errJournalNewer) {
		t.Error(err)
	}
}

func TestResultsThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	locked := filepath.Join(dir, "locked")
	put(t, file, "", 0o600)
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	tests := map[string]error{
		filepath.Join(file, "r.jsonl"):               syscall.ENOTDIR,
		filepath.Join(file, "deep", "r.jsonl"):       syscall.ENOTDIR,
		filepath.Join(dir, strings.Repeat("x", 300)): syscall.ENAMETOOLONG,
		dir: nil,
	}
	if os.Geteuid() != 0 { // whom no mode stops
		tests[filepath.Join(locked, "r.jsonl")] = syscall.EACCES
		tests[filepath.Join(locked, "deep", "r.jsonl")] = syscall.EACCES
	}
	for path, reason := range tests {
		for _, fresh := range []bool{false, true} {
			o := nightly(t)
			o.Path, o.Fresh = path, fresh
			_, err := OpenGeneration(o)
			if results, ok := errors.AsType[*ResultsError](err); !ok || results.Path != path || reason != nil && !errors.Is(err, reason) {
				t.Errorf("%s: %v", path, err)
			}
			if !strings.HasPrefix(fmt.Sprint(err), "cannot write results to "+path+": ") {
				t.Errorf("message %q", err)
			}
		}
	}
	want(t, "names", namesIn(t, dir), "file locked")
}
