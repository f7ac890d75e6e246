package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCompleteGeneration: its results are not read again as long as nothing has
// changed: a letter in the middle may have.
func TestCompleteGeneration(t *testing.T) {
	for name, test := range map[string]struct {
		change   func(o *GenerationOptions, info fs.FileInfo)
		complete bool
	}{
		"nothing":           {func(*GenerationOptions, fs.FileInfo) {}, true},
		"of another source": {func(o *GenerationOptions, _ fs.FileInfo) { o.Source = "s2" }, false},
		"no source":         {func(o *GenerationOptions, _ fs.FileInfo) { o.Source = "" }, false},
		"retry":             {func(o *GenerationOptions, _ fs.FileInfo) { o.RetryFailed = true }, false},
		"only":              {func(o *GenerationOptions, _ fs.FileInfo) { o.Only = []string{"a"} }, false},
		"partial":           {func(o *GenerationOptions, _ fs.FileInfo) { o.Partial = true }, false},
		"pipeline":          {func(o *GenerationOptions, _ fs.FileInfo) { o.Pipeline, o.AcceptChanged = "p2", true }, false},
		"touched": {func(o *GenerationOptions, info fs.FileInfo) {
			os.Chtimes(o.Path, time.Time{}, info.ModTime().Add(time.Nanosecond))
		}, false},
		"an older time": {func(o *GenerationOptions, info fs.FileInfo) {
			os.Chtimes(o.Path, time.Time{}, info.ModTime().Add(-time.Nanosecond))
		}, false},
		"longer": {func(o *GenerationOptions, info fs.FileInfo) {
			os.Truncate(o.Path, info.Size()+1)
			os.Chtimes(o.Path, time.Time{}, info.ModTime())
		}, false},
		"shorter": {func(o *GenerationOptions, info fs.FileInfo) {
			os.Truncate(o.Path, info.Size()-1)
			os.Chtimes(o.Path, time.Time{}, info.ModTime())
		}, false},
		"lines to be joined": {func(o *GenerationOptions, _ fs.FileInfo) { os.WriteFile(retryPath(o.Path), nil, 0o600) }, false},
		"no results":         {func(o *GenerationOptions, _ fs.FileInfo) { os.Remove(o.Path) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := nightly(t)
			invoke(t, o, "a b!x c")
			text := contents(t, o.Path)
			info, err := os.Stat(o.Path)
			if err != nil {
				t.Fatal(err)
			}
			tampered := strings.Replace(text, `"attempts":1,`, `"attempts":7,`, 1)
			put(t, o.Path, tampered, 0o666)
			os.Chtimes(o.Path, time.Time{}, info.ModTime())
			test.change(&o, info)

			g := mustOpen(t, o)
			want(t, "complete", g.Complete, test.complete)
			if test.complete {
				want(t, "results", g.Tally().Attempts, 3)
				want(t, "stay", g.Before().Attempts, 3)
				want(t, "an item", g.Of(row("a").item()), Standing{Skip: true, Ended: true})
				journal := contents(t, journalPath(o.Path))
				want(t, "close", g.Close(true), nil)
				want(t, "journal", contents(t, journalPath(o.Path)), journal)
			} else {
				crash(g)
			}
		})
	}
}

// A journal that says less than it should is no reason to believe it.
func TestCompletionWithoutNumbers(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a b")
	text := contents(t, journalPath(o.Path))
	put(t, journalPath(o.Path), text[:strings.Index(text, `"tally":`)]+"\"tally\":null}}\n", 0o666)
	g := mustOpen(t, o)
	want(t, "complete", g.Complete, false)
	want(t, "results", g.Tally().Items, 2)
	want(t, "ran", runLeft(t, g, "a b"), "")
	want(t, "close", g.Close(true), nil)
	want(t, "complete again", contents(t, journalPath(o.Path)), text)
}

// TestPartialGenerations: when is a batch complete of which only some items were
// asked for?
func TestPartialGenerations(t *testing.T) {
	all := func(source string) GenerationOptions { return GenerationOptions{Source: source} }
	some := func(source string) GenerationOptions { return GenerationOptions{Source: source, Partial: true} }
	only := func(source string, ids ...string) GenerationOptions {
		return GenerationOptions{Source: source, Partial: true, Only: ids, RetryFailed: true}
	}
	type step struct {
		o        GenerationOptions
		rows     string
		whole    bool
		complete bool // afterwards
		read     bool // all results, at the next opening with the same options
	}
	for name, steps := range map[string][]step{
		"some, more, all":             {{some("5"), "a b", true, true, false}, {some("6"), "a b c", true, true, false}, {all("s"), "a b c d", true, true, false}},
		"all, some":                   {{all("s"), "a b", true, true, false}, {some("5"), "a b", true, true, true}, {all("s"), "a b", true, true, false}},
		"not all, some, all":          {{all("s"), "a b", false, false, true}, {some("5"), "a b", true, false, true}, {all("s"), "a b c", true, true, false}},
		"not all, only one, all":      {{all("s"), "a b", false, false, true}, {only("s", "z"), "z", true, false, true}, {all("s"), "a b c z", true, true, false}},
		"all, one of them again":      {{all("s"), "a b!x", true, true, false}, {only("s", "b"), "a b!x", true, true, true}, {all("s"), "a b", true, true, false}},
		"all, one of them, cut off":   {{all("s"), "a b!x", true, true, false}, {only("s", "b"), "a b!x", false, false, true}, {all("s"), "a b", true, true, false}},
		"all, one row of more":        {{all("s"), "a b!x", true, true, false}, {only("t", "c"), "a b!x c d", true, true, true}, {all("t"), "a b c d", true, true, false}},
		"only one":                    {{only("s", "b"), "a b", true, true, true}, {all("s"), "a b", true, true, false}},
		"some, cut off":               {{some("5"), "a b", false, false, true}, {all("s"), "a b c", true, true, false}},
		"some, cut off, some":         {{some("5"), "a", false, false, true}, {some("5"), "a b", true, true, false}},
		"some, all, cut off":          {{some("5"), "a b", true, true, false}, {all("s"), "a b c", false, false, true}},
		"some of which one is edited": {{some("5"), "a b", true, true, false}, {some("6"), "a b=2", true, true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			base := nightly(t)
			for i, step := range steps {
				o := step.o
				o.Path, o.Batch, o.Pipeline, o.Fsync = base.Path, base.Batch, base.Pipeline, base.Fsync
				g := mustOpen(t, o)
				ran := runLeft(t, g, step.rows)
				want(t, "close", g.Close(step.whole), nil)
				want(t, fmt.Sprintf("complete after step %d, which ran %q", i, ran), isComplete(t, o.Path), step.complete)
				unfinished, err := Unfinished(o.Path)
				trial := o.Partial && (i == 0 || strings.HasPrefix(name, "some, cut off"))
				if wanted := !step.complete && !trial; unfinished != wanted || err != nil {
					t.Errorf("step %d: unfinished %v, %v", i, unfinished, err)
				}
				next := mustOpen(t, o)
				want(t, fmt.Sprintf("complete at the opening after step %d", i), next.Complete, !step.read)
				crash(next)
			}
			names, _ := readRows(t, base.Path)
			want(t, "ids", idsOf(names), idsOf(strings.Fields(steps[len(steps)-1].rows)))
		})
	}

	t.Run("without a journal", func(t *testing.T) {
		o := nightly(t)
		g := mustOpen(t, o)
		runLeft(t, g, "a b")
		crash(g)
		os.Remove(journalPath(o.Path))
		o.Partial = true
		_, ran := invoke(t, o, "a b c")
		want(t, "ran", ran, "c")
		want(t, "complete", isComplete(t, o.Path), false) // nobody knows how many there were to be
	})
}

// A journal that nobody can read says nothing; then the results do.
func TestUnfinishedWithADamagedJournal(t *testing.T) {
	for rows, wanted := range map[string]bool{"": false, "a": true} {
		o := nightly(t)
		put(t, journalPath(o.Path), "garbage\n", 0o666)
		if rows != "" {
			put(t, o.Path, textOf(someGeneration(o), rows), 0o666)
		}
		unfinished, err := Unfinished(o.Path)
		want(t, "error", err, nil)
		want(t, "unfinished", unfinished, wanted)
	}
	o := nightly(t)
	put(t, journalPath(o.Path), `{"journal":99}`+"\n", 0o666)
	if _, err := Unfinished(o.Path); !errors.Is(err, errJournalNewer) {
		t.Error(err)
	}
}

func TestGenerationWithoutResults(t *testing.T) {
	o := nightly(t)
	g := mustOpen(t, o)
	want(t, "close of what was not begun", g.Close(true), nil)
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "")
	g = mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "r.jsonl r.jsonl.journal r.jsonl.lock")
	want(t, "close", g.Close(false), nil)
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "")
	unfinished, err := Unfinished(o.Path)
	if unfinished || err != nil {
		t.Error(unfinished, err)
	}
}
