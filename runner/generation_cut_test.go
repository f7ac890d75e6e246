package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// begin journals the start of a run, with a handle if it has a task.
func begin(t testing.TB, g *Generation, name, task string, attempt int) {
	t.Helper()
	it := row(name).item()
	b := Begun{ID: it.ID, Digest: it.Digest, Attempt: attempt, Handle: Handle{PipelineID: "p", TraceID: "trace"}, At: journalBegan}
	want(t, "intend", g.Intend(b), nil)
	if task != "" {
		b.Handle.TaskID = task
		want(t, "began", g.Began(b), nil)
	}
}

// idsOf are the items of rows, sorted.
func idsOf(names []string) string {
	var ids []string
	for _, name := range names {
		id, _, _ := strings.Cut(name, "*")
		ids = append(ids, row(id).item().ID)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// lastLines gives where the last n lines of a text begin.
func lastLines(text string, n int) int {
	at := len(text)
	for range n {
		at = strings.LastIndexByte(text[:at-1], '\n') + 1
	}
	return at
}

// TestCutAnywhere cuts the results, the new lines of items that were run again,
// and the journal at every byte of their last two lines.
func TestCutAnywhere(t *testing.T) {
	o := nightly(t)
	o.Outlive = true
	invoke(t, o, "a b!x c!x d")
	o.RetryFailed, o.Source = true, "s2"
	g := mustOpen(t, o)
	want(t, "ran", runLeft(t, g, "b c a=2 d e"), "b*2 c*2 a=2 e")
	begin(t, g, "f", "t-f", 1)
	begin(t, g, "h", "t-h", 1)
	crash(g)
	o.RetryFailed = false

	files := map[string]string{"": contents(t, o.Path), ".retry": contents(t, retryPath(o.Path)), ".journal": contents(t, journalPath(o.Path))}
	lines := map[string][]string{"": {"a", "b!x", "c!x", "d", "e"}, ".retry": {"b", "c", "a=2"}}
	for end, text := range files {
		t.Run("P"+end, func(t *testing.T) {
			dir := t.TempDir()
			for cut := lastLines(text, 2); cut <= len(text); cut++ {
				o := o
				o.Path = filepath.Join(dir, fmt.Sprint(cut), "r.jsonl")
				if err := os.Mkdir(filepath.Dir(o.Path), 0o777); err != nil {
					t.Fatal(err)
				}
				held := map[string]string{} // the row that each item has a line of
				for _, other := range []string{"", ".retry", ".journal"} {
					left := files[other]
					if other == end {
						left = text[:cut]
					}
					put(t, o.Path+other, left, 0o666)
					if other != ".journal" {
						whole := strings.Count(left, "\n")
						if strings.HasPrefix(files[other], left+"\n") { // of the last line only that is lost
							whole++
						}
						for _, name := range lines[other][:whole] {
							held[row(name).item().ID] = row(name).item().Digest
						}
					}
				}
				records := strings.Count(files[".journal"], "\n") - 1
				if end == ".journal" {
					records = strings.Count(text[:cut], "\n") - 1
				}
				checkCut(t, o, held, records)
				if t.Failed() {
					t.Fatalf("cut at %d of %d", cut, len(text))
				}
			}
		})
	}
}

// checkCut goes on with a generation of which some lines are left.
func checkCut(t *testing.T, o GenerationOptions, held map[string]string, records int) {
	t.Helper()
	var again, ran []string
	rows := []string{"a=2", "b", "c", "d", "e", "f", "h"}
	for _, name := range rows {
		if it := row(name).item(); held[it.ID] != it.Digest {
			again = append(again, name)
		}
	}
	g, err := OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	_, tally := readRows(t, o.Path)
	want(t, "tally when opened", said(t, g.Tally()), said(t, tally))
	for i, name := range []string{"f", "h"} {
		task, known := "", false
		if b := g.Of(row(name).item()).Begun; b != nil {
			task, known = b.Handle.TaskID, true
		}
		want(t, name+" is known", known, records > 2*i)
		want(t, name+" has its handle", task != "", records > 2*i+1)
	}
	for _, name := range rows {
		if runLeft(t, g, name) != "" {
			ran = append(ran, name)
		}
	}
	want(t, "run again", ran, again)
	want(t, "close", g.Close(true), nil)
	names, tally := readRows(t, o.Path)
	want(t, "ids", idsOf(names), "a b c d e f h")
	want(t, "tally", said(t, g.Tally()), said(t, tally))
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "r.jsonl r.jsonl.journal")
	g, err = OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "complete", g.Complete, true)
	crash(g)
}
