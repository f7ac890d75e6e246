package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nightshift/runner"
)

// ids are the items of results, in their order.
func ids(t testing.TB, r *Results) string {
	t.Helper()
	var all []string
	err := r.scan(func(l *runner.ScannedLine, _ place) error {
		all = append(all, l.Line.ID+" "+string(l.Line.Status))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return strings.Join(all, ", ")
}

func TestNewLinesTakeThePlaceOfOldOnes(t *testing.T) {
	path := write(t, failed(0, "a", "x", "no"), failed(1, "b", "x", "no"), succeeded(2, "c"))
	r, warned := open(t, path)
	want(t, "before", ids(t, r), "a failed, b failed, c succeeded")

	rerun(t, path, failed(1, "b", "x", "no"), succeeded(0, "a"), succeeded(1, "b"), succeeded(3, "d"))
	want(t, "opened before", ids(t, r), "a failed, b failed, c succeeded")
	r, _ = open(t, path)
	want(t, "during", ids(t, r), "c succeeded, a succeeded, b succeeded, d succeeded")
	want(t, "warned", *warned, []string{})
}

func TestWhatIsAppendedMeanwhileIsNotRead(t *testing.T) {
	path := write(t, succeeded(0, "a"))
	r, warned := open(t, path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(lines(succeeded(1, "b"))[:50])
	want(t, "first", ids(t, r), "a succeeded")
	f.Write(lines(succeeded(1, "b"))[50:])
	want(t, "second", ids(t, r), "a succeeded")
	want(t, "warned", *warned, []string{})
}

func TestDamagedLines(t *testing.T) {
	a, b := string(lines(succeeded(0, "a"))), string(lines(succeeded(1, "b")))
	cases := map[string]struct {
		text   string
		warned []string // after the path
	}{
		"torn":      {a + b + a[:100], []string{":3: the last line is not whole, and is left out: its writer was cut off, or is at work"}},
		"no end":    {a + strings.TrimSuffix(b, "\n"), []string{}},
		"no result": {a + "{}\n" + b, []string{`:2: this line is no result, and is left out: "id" is missing`}},
		"many": {a + strings.Repeat("{}\n", 9) + b + "{", []string{
			`:2: this line is no result, and is left out: "id" is missing`,
			`:3: this line is no result, and is left out: "id" is missing`,
			`:4: this line is no result, and is left out: "id" is missing`,
			`:5: this line is no result, and is left out: "id" is missing`,
			`:6: this line is no result, and is left out: "id" is missing`,
			":12: the last line is not whole, and is left out: its writer was cut off, or is at work",
			": 4 more lines are no results and are left out",
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, warned := open(t, writeText(t, c.text))
			want(t, "results", ids(t, r), "a succeeded, b succeeded")
			for i, w := range c.warned {
				c.warned[i] = r.Path + w
			}
			want(t, "warned", *warned, c.warned)
			*warned = nil
			want(t, "again", ids(t, r), "a succeeded, b succeeded")
			want(t, "warned again", len(*warned), 0)
		})
	}
}

func TestOpenWhatIsNoFileOfResults(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "none.jsonl"), nil)
	want(t, "missing", errors.Is(err, fs.ErrNotExist), true)
	_, err = Open(dir, nil)
	wantError(t, "folder", err, dir+" is no file of results")

	nothing := func(*runner.ScannedLine, place) error { return nil }
	r, _ := open(t, writeText(t, "version: 1\n"))
	wantError(t, "something else", r.scan(nothing), r.Path+" holds no results")
	r, _ = open(t, writeText(t, ""))
	wantError(t, "empty", r.scan(nothing), "<nil>")
}

func TestOnlyOneBatch(t *testing.T) {
	other := succeeded(0, "c")
	other.Batch = "figures"
	path := write(t, succeeded(0, "a"), other, succeeded(1, "b"))
	r, _ := open(t, path)
	r.Only = []string{"facts"}
	want(t, "facts", ids(t, r), "a succeeded, b succeeded")

	nothing := func(*runner.ScannedLine, place) error { return nil }
	r.Only = []string{"figrues"}
	wantError(t, "slip", r.scan(nothing), fmt.Sprintf("%s has no results of a batch \"figrues\"; did you mean \"figures\"?", path))
	r.Only = []string{"zzz"}
	wantError(t, "unknown", r.scan(nothing), fmt.Sprintf("%s has no results of a batch \"zzz\"; it has those of facts, figures", path))
}

// TestLinesAreReadAgain holds for lines around the sizes in which they are read.
func TestLinesAreReadAgain(t *testing.T) {
	var text []byte
	var offsets []int64
	sizes := []int{1, firstRead - 1, firstRead, firstRead + 1, 3 * firstRead, 3*firstRead + 1, 1_000_000, 5}
	for i, n := range sizes {
		offsets = append(offsets, int64(len(text)))
		text = append(append(text, strings.Repeat(string(rune('a'+i)), n-1)...), '\n')
	}
	r, _ := open(t, writeText(t, string(text)))
	var buf []byte
	var err error
	for i, n := range sizes {
		if buf, err = r.line(place{0, offsets[i]}, buf); err != nil {
			t.Fatal(err)
		}
		want(t, "line", string(buf) == strings.Repeat(string(rune('a'+i)), n-1), true)
	}
	r, _ = open(t, writeText(t, string(text[:len(text)-1])))
	for i, n := range sizes[len(sizes)-2:] { // also the last one, without its newline
		at := offsets[len(sizes)-2+i]
		if buf, err = r.line(place{0, at}, buf); err != nil {
			t.Fatal(err)
		}
		want(t, "line", string(buf), string(text[at:at+int64(n)-1]))
	}
	_, err = r.line(place{0, int64(len(text) - 1)}, buf)
	wantError(t, "past the end", err, "cannot read "+r.Path+" again: unexpected EOF")
}
