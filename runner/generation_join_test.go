package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestJoin: whatever the files were left like, the new lines stand for the old
// ones, and what is no line is not lost unsaid.
func TestJoin(t *testing.T) {
	o := nightly(t)
	g := someGeneration(o)
	old := textOf(g, "a b!x c!x")
	again := textOf(g, "b c=2")
	for name, test := range map[string]struct {
		results, retry string
		rows           string
		notes          string // of it
		kept           bool   // P.retry, as it was
	}{
		"not begun":                  {old, again, "a b c=2", "", false},
		"not removed":                {textOf(g, "a b c=2"), again, "a b c=2", "", false},
		"of nothing":                 {old, "", "a b!x c!x", "", false},
		"of no results":              {"", again, "b c=2", "", false},
		"of an item that had none":   {textOf(g, "b!x"), again, "b c=2", "", false},
		"both cut off":               {old + again[:40], again + again[:30], "a b c=2", "its last line was cut off in the middle (30 bytes); the earlier result of its item stays", false},
		"half a line":                {old, again[:30], "a b!x c!x", "1 line is damaged and left out (line 1: the line is torn: it has no end)", true},
		"damaged":                    {old, textOf(g, "b") + "garbage\n" + textOf(g, "c"), "a b c", "1 line is damaged and left out (line 2: ", true},
		"of a file of somebody else": {old, "hello\n", "a b!x c!x", "1 line is damaged and left out (line 1: ", true},
		"several lines":              {old, textOf(g, "b!y b c"), "a b c", "", false},
		"neither ended":              {strings.TrimSuffix(old, "\n"), strings.TrimSuffix(again, "\n"), "a b c=2", "", false},
		"the old one not ended":      {strings.TrimSuffix(old, "\n"), textOf(g, "b"), "a c!x b", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Path = filepath.Join(t.TempDir(), "r.jsonl")
			put(t, o.Path, test.results, 0o640)
			put(t, retryPath(o.Path), test.retry, 0o666)
			g := mustOpen(t, o)
			want(t, "lines", rowsIn(t, o.Path), test.rows)
			want(t, "mode", modeOf(t, o.Path).Perm(), os.FileMode(0o640))
			for i, note := range g.Notes {
				if i == 0 && test.notes != "" && !strings.HasPrefix(note, retryPath(o.Path)+": "+test.notes) {
					t.Errorf("%q", note)
				}
				if _, aside, moved := strings.Cut(note, "; the file as it was is now "); i == 0 && test.kept {
					want(t, "moved aside", moved, true)
					want(t, "the file as it was", contents(t, aside), test.retry)
				}
			}
			want(t, "said", len(g.Notes) > 0, test.notes != "")
			crash(g)
			if _, err := os.Stat(retryPath(o.Path)); err == nil {
				t.Error("P.retry is still there")
			}
			text := contents(t, o.Path)
			crash(mustOpen(t, o))
			want(t, "another time", contents(t, o.Path), text)
		})
	}
}

// Lines of the results that are none are not lost where new ones are joined.
func TestJoinToDamagedResults(t *testing.T) {
	o := nightly(t)
	g := someGeneration(o)
	text := textOf(g, "a b!x") + "a note of mine\n" + textOf(g, "c!x")
	put(t, o.Path, text, 0o640)
	put(t, retryPath(o.Path), textOf(g, "b"), 0o666)
	g = mustOpen(t, o)
	want(t, "lines", rowsIn(t, o.Path), "a c!x b")
	want(t, "mode", modeOf(t, o.Path).Perm(), os.FileMode(0o640))
	if len(g.Notes) != 1 {
		t.Fatal(g.Notes)
	}
	told, aside, _ := strings.Cut(g.Notes[0], "; the file as it was is now ")
	want(t, "note", strings.HasPrefix(told, o.Path+": 1 line is damaged and left out (line 3: "), true)
	want(t, "the file as it was", contents(t, aside), text)
	crash(g)
}

// What was run again is in P.retry when the process is killed, and no line is
// lost until it is joined.
func TestJoinAfterACrash(t *testing.T) {
	for _, outlive := range []bool{false, true} {
		o := nightly(t)
		o.Outlive = outlive
		invoke(t, o, "a b!x c!x d!x")
		o.RetryFailed = true
		g := mustOpen(t, o)
		want(t, "ran", runLeft(t, g, "a=2 b c!x"), "a=2 b*2 c!x*2")
		want(t, "lines", rowsIn(t, o.Path), "a b!x c!x d!x")
		want(t, "new lines", rowsIn(t, retryPath(o.Path)), "a=2 b*2 c!x*2")
		want(t, "results, until then", g.Tally().Items, 4)
		crash(g)
		o.RetryFailed = false
		g, ran := invoke(t, o, "a=2 b c d e")
		want(t, "ran", ran, "e")
		want(t, "lines", rowsIn(t, o.Path), "d!x a=2 b*2 c!x*2 e")
		want(t, "attempts", g.Tally().Attempts, 7)
	}
}
