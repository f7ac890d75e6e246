package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// someJournal makes a journal, and tells what lives after each of its lines.
func someJournal(t *testing.T) (path, text string, lives []map[string]Begun) {
	t.Helper()
	j, _ := newJournal(t, FsyncOff)
	live := func() { lives = append(lives, state(t, j.path).Begun) }
	live()
	for _, b := range []Begun{someStart("a", 1, ""), someStart("b", 1, ""), someStart("ünï\"code\n", 1, "")} {
		want(t, "intend", j.intend(b), nil)
		live()
		b.Handle.TaskID = "t" + b.ID
		want(t, "began", j.began(b), nil)
		live()
	}
	want(t, "drop", j.drop("a"), nil)
	live()
	want(t, "close", j.close(), nil)
	return j.path, contents(t, j.path), lives
}

func TestJournalCutAnywhere(t *testing.T) {
	path, text, lives := someJournal(t)
	header := strings.Index(text, "\n") + 1
	for end := header; end <= len(text); end++ {
		put(t, path, text[:end], 0o600)
		s, err := readJournal(path)
		if err != nil {
			t.Fatal(end, err)
		}
		whole := strings.LastIndex(text[:end], "\n") + 1
		want(t, "torn", s.Torn, int64(end-whole))
		want(t, "header", s.Header, someHeader)
		want(t, "live", s.Begun, lives[strings.Count(text[:end], "\n")-1])
	}
	for end := range header {
		put(t, path, text[:end], 0o600)
		if s, err := readJournal(path); s != nil || !errors.Is(err, errJournalDamaged) {
			t.Fatal(end, s, err)
		}
	}
}

func TestCompletionCutAnywhere(t *testing.T) {
	j, _ := newJournal(t, FsyncOff)
	want(t, "complete", j.complete(completion{ResultsSize: 7, Source: "s"}), nil)
	text := contents(t, j.path)
	for end := strings.Index(text, "\n") + 1; end < len(text); end++ {
		put(t, j.path, text[:end], 0o600)
		s, err := readJournal(j.path)
		if err != nil || s.Complete != nil {
			t.Fatal(end, s, err)
		}
	}
}

func TestJournalWithGarbage(t *testing.T) {
	path, text, lives := someJournal(t)
	lines := slices.Collect(strings.Lines(text))
	for _, garbage := range []string{
		"\n", "garbage\n", "{}\n", "null\n", "[]\n", "7\n", strings.Repeat("\x00", 5000) + "\n", "\xff\xfe\n",
		`{"intent":{}}` + "\n", `{"intent":{"id":7}}` + "\n", `{"began":{"digest":"d"}}` + "\n", `{"else":{}}` + "\n", `{"dropped":"b"} x` + "\n",
		`{"intent":{"id":"a","at":"yesterday"}}` + "\n", strings.Repeat("[", 20000) + "\n",
	} {
		for at := 1; at <= len(lines); at++ {
			put(t, path, strings.Join(lines[:at], "")+garbage+strings.Join(lines[at:], ""), 0o600)
			s, err := readJournal(path)
			if err != nil {
				t.Fatal(err)
			}
			want(t, fmt.Sprintf("live with %.20q at %d", garbage, at), s.Begun, lives[len(lives)-1])
			want(t, "torn", s.Torn, int64(len(garbage)))
		}
	}
}

// A disk may have later pages of a file, and not an earlier one.
func TestJournalWithALostPage(t *testing.T) {
	path, text, _ := someJournal(t)
	from := strings.Index(text, `"began":{"id":"a"`)
	to := strings.Index(text, `"began":{"id":"b"`)
	put(t, path, text[:from]+strings.Repeat("\x00", to-from)+text[to:], 0o600)
	s, err := readJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	begun := someStart("ünï\"code\n", 1, "tünï\"code\n")
	want(t, "live", s.Begun, byID(begun))
	if s.Torn <= int64(to-from) {
		t.Error(s.Torn)
	}
}

func TestJournalWithoutAHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl.journal")
	_, err := readJournal(path)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	damaged := path + ": the header of this journal is damaged; move it away (runs that it knows to be going are then not found again)"
	newer := path + ": this journal is of a newer nightshift (its format is 2, this one knows 1); use that one, or choose another results file"
	for text, message := range map[string]string{
		"":                                       damaged,
		"\n":                                     damaged,
		"garbage\n":                              damaged,
		"{}\n":                                   damaged,
		`{"journal":"1"}` + "\n":                 damaged,
		`{"journal":0,"generation":"g"}` + "\n":  damaged,
		`{"journal":-1,"generation":"g"}` + "\n": damaged,
		`{"journal":1}` + "\n":                   damaged,
		`{"journal":1,"generation":7}` + "\n":    damaged,
		`{"journal":1,"generation":"g"}`:         damaged,
		`{"dropped":"a"}` + "\n":                 damaged,
		"\x00\x00\x00\n":                         damaged,
		`{"journal":2,"generation":7}` + "\n":    newer,
	} {
		put(t, path, text, 0o600)
		s, err := readJournal(path)
		if s != nil {
			t.Errorf("%q is read", text)
		}
		want(t, fmt.Sprintf("%q", text), fmt.Sprint(err), message)
		want(t, "newer", errors.Is(err, errJournalNewer), message == newer)
	}
}
