package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestChangedPipeline(t *testing.T) {
	o := nightly(t)
	first, _ := invoke(t, o, "a")
	o.Pipeline, o.Source = "p2", "s2"
	files := snapshot(t, filepath.Dir(o.Path))
	_, err := openGen(t, o)
	if !errors.Is(err, ErrChangedPipeline) || !strings.HasPrefix(err.Error(), o.Path+": the pipeline has changed since its 1 results were begun on "+first.StartedAt.Format("2006-01-02 15:04")) {
		t.Fatal(err)
	}
	delete(files, filepath.Dir(o.Path)) // the lock came and went
	after := snapshot(t, filepath.Dir(o.Path))
	delete(after, filepath.Dir(o.Path))
	want(t, "files", after, files)

	accepted := o
	accepted.AcceptChanged = true
	g, ran := invoke(t, accepted, "a b")
	want(t, "accepted", ran, "b")
	want(t, "generation", g.ID, first.ID)
	want(t, "changed", g.Changed, true)

	o.Source = "s3"
	g, ran = invoke(t, o, "a b c") // that is known now
	want(t, "once more", ran, "c")
	want(t, "changed", g.Changed, false)

	o.Pipeline, o.Fresh = "p3", true
	g, ran = invoke(t, o, "a b c")
	want(t, "anew", ran, "a b c")
	if g.ID == first.ID || g.AnswersSince() != g.StartedAt {
		t.Errorf("generation %s, answers since %v", g.ID, g.AnswersSince())
	}

	o.Fresh, o.Pipeline = false, "p4"
	os.Remove(o.Path) // without results nothing speaks against it
	g, ran = invoke(t, o, "a")
	want(t, "ran", ran, "a")
	want(t, "changed", g.Changed, false)
}

func TestLookAtAChangedPipeline(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a")
	o.Pipeline, o.LookOnly = "p2", true
	g, err := OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "changed", g.Changed, true)
	o.Fresh = true
	before := snapshot(t, filepath.Dir(o.Path))
	g, err = OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "results of a look at what would be anew", g.Tally().Items, 0)
	want(t, "the folder", snapshot(t, filepath.Dir(o.Path)), before)
}

func TestTwoInvocationsAtOnce(t *testing.T) {
	o := nightly(t)
	g := mustOpen(t, o)
	_, err := OpenGeneration(o)
	if locked, ok := errors.AsType[*LockedError](err); !ok || locked.Path != o.Path {
		t.Error(err)
	}
	o.LookOnly = true
	if _, err := OpenGeneration(o); err != nil {
		t.Error(err)
	}
	want(t, "close", g.Close(false), nil)
}

func TestResultsBehindALink(t *testing.T) {
	o := nightly(t)
	target := filepath.Join(filepath.Dir(o.Path), "deep", "real.jsonl")
	os.Mkdir(filepath.Dir(target), 0o777)
	if err := os.Symlink(filepath.Join("deep", "real.jsonl"), o.Path); err != nil {
		t.Skip(err)
	}
	invoke(t, o, "a b!x")
	o.RetryFailed = true
	invoke(t, o, "a b c")
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "deep r.jsonl")
	want(t, "names behind it", namesIn(t, filepath.Dir(target)), "real.jsonl real.jsonl.journal")
	want(t, "lines", rowsIn(t, target), "a c b*2")
	o.RetryFailed = false
	want(t, "complete", mustClose(t, mustOpen(t, o)).Complete, true)
	o.Fresh = true
	invoke(t, o, "a")
	want(t, "lines", rowsIn(t, target), "a")
	if _, err := os.Readlink(o.Path); err != nil {
		t.Error(err)
	}
}

// TestFreshGeneration: what was there is kept under other names, each time.
func TestFreshGeneration(t *testing.T) {
	o := nightly(t)
	written := time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local)
	o.Fresh = true
	ids := map[string]bool{}
	for i, rows := range []string{"a", "a b", "a b c", "a b c d"} {
		g, ran := invoke(t, o, rows)
		want(t, "ran", ran, rows)
		ids[g.ID] = true
		name := o.Path + ".20260304T050607"
		if i > 1 {
			name += fmt.Sprintf("-%d", i)
		}
		if i > 0 {
			want(t, "notes", g.Notes, []string{"night: earlier results are now in " + name})
			want(t, "moved", rowsIn(t, name), "a b c d"[:2*i-1])
			want(t, "moved, and complete", isComplete(t, name), true)
		}
		if err := os.Chtimes(o.Path, written, written); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "generations", len(ids), 4)
	o.Fresh = false
	g := mustClose(t, mustOpen(t, o))
	want(t, "answers are still those since", g.AnswersSince(), g.StartedAt)
}

// TestFreshAmongWhatACrashLeft: whatever there is of a generation is moved, and
// nothing that has such a name already is overwritten.
func TestFreshAmongWhatACrashLeft(t *testing.T) {
	ends := []string{"", ".journal", ".retry"}
	for there := range 8 {
		for taken := range 8 {
			o := nightly(t)
			o.Fresh = true
			written := time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local)
			texts := map[string]bool{}
			keep := func(path string) {
				put(t, path, path, 0o666)
				os.Chtimes(path, written, written)
				texts[path] = true
			}
			for i, end := range ends {
				if there&(1<<i) != 0 {
					keep(o.Path + end)
				}
				if taken&(1<<i) != 0 {
					keep(o.Path + ".20260304T050607" + end)
				}
			}
			before := namesIn(t, filepath.Dir(o.Path))
			want(t, "close", mustOpenFresh(t, o).Close(false), nil)
			want(t, "the folder, as nothing was run", namesIn(t, filepath.Dir(o.Path)), before)
			g := mustOpenFresh(t, o)
			if err := g.Begin(); err != nil {
				t.Fatal(err)
			}
			want(t, "close", g.Close(false), nil)
			found := map[string]bool{}
			for name := range strings.FieldsSeq(namesIn(t, filepath.Dir(o.Path))) {
				found[contents(t, filepath.Join(filepath.Dir(o.Path), name))] = true
			}
			want(t, fmt.Sprintf("what is left where there was %03b, and %03b had such names", there, taken), found, texts)
			for _, end := range ends {
				if _, err := os.Stat(o.Path + end); err == nil {
					t.Errorf("%s is still there", end)
				}
			}
		}
	}
}
