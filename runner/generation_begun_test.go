package runner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// unended gives the items of the runs that whoever only looks is told of.
func unended(t *testing.T, o GenerationOptions) string {
	t.Helper()
	o.LookOnly = true
	g := mustOpenFresh(t, o)
	var ids []string
	for _, b := range g.Unended() {
		ids = append(ids, b.ID)
	}
	want(t, "close", g.Close(false), nil)
	return strings.Join(ids, " ")
}

// TestUnended: runs are told of until their end is known, the oldest first, whatever
// has become of their items.
func TestUnended(t *testing.T) {
	o := outliving(t)
	want(t, "without a journal", unended(t, o), "")
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "")
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	for i, id := range []string{"c", "b", "d", "a"} {
		it := row(id).item()
		b := Begun{ID: it.ID, Digest: it.Digest, Attempt: 1, Handle: Handle{TaskID: "t-" + id}, At: journalBegan.Add(time.Duration(i) * time.Minute)}
		want(t, "began", g.Began(b), nil)
	}
	begin(t, g, "e", "", 1) // as early as the first, and of no known run
	want(t, "ran", runLeft(t, g, "b"), "b")
	crash(g)
	want(t, "after a crash", unended(t, o), "c e d a")
	h, err := HoldJournal(o.Path)
	want(t, "hold", err, nil)
	want(t, "over", h.Over(Begun{ID: "d", Attempt: 1, At: journalBegan}), nil)
	want(t, "close", h.Close(), nil)
	want(t, "one is over", unended(t, o), "c e a")
}

// TestHeldJournal: what is noted in it is known to the next invocation, and nobody
// else writes meanwhile.
func TestHeldJournal(t *testing.T) {
	o := outliving(t)
	h, err := HoldJournal(o.Path)
	if h != nil || err != nil || namesIn(t, filepath.Dir(o.Path)) != "" {
		t.Fatalf("without a journal: %v, %v, %s", h, err, namesIn(t, filepath.Dir(o.Path)))
	}
	want(t, "close of none", h.Close(), nil)

	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	begin(t, g, "a", "t-a", 2)
	begin(t, g, "gone", "t-gone", 1)
	begin(t, g, "left", "t-left", 1)
	if _, err := HoldJournal(o.Path); !isLocked(err) {
		t.Errorf("while it is written: %v", err)
	}
	want(t, "close", g.Close(false), nil)

	before := mustRead(t, journalPath(o.Path))
	h = mustHold(t, o.Path)
	if _, err := OpenGeneration(o); !isLocked(err) {
		t.Errorf("while it is held: %v", err)
	}
	want(t, "close", h.Close(), nil)
	want(t, "a journal in which nothing was noted", mustRead(t, journalPath(o.Path)), before)

	h = mustHold(t, o.Path)
	a := h.state.Begun["a"]
	var group sync.WaitGroup
	group.Go(func() { want(t, "over", h.Over(a), nil) })
	group.Go(func() { want(t, "drop", h.Drop(h.state.Begun["gone"]), nil) })
	group.Wait()
	want(t, "known at once", unended(t, o), "left")
	want(t, "close", h.Close(), nil)
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "r.jsonl r.jsonl.journal")
	g = mustOpen(t, o)
	want(t, "the item of the run that is over", g.Of(row("a").item()), Standing{Attempts: 2})
	orphans := g.Orphans()
	if len(orphans) != 1 || orphans[0].Handle.TaskID != "t-left" {
		t.Errorf("orphans %v", orphans)
	}
	crash(g)
}

// TestHeldJournalOfACompleteGeneration: it stays complete.
func TestHeldJournalOfACompleteGeneration(t *testing.T) {
	o := outliving(t)
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	begin(t, g, "gone", "t-gone", 1)
	begin(t, g, "left", "t-left", 1)
	want(t, "ran", runLeft(t, g, "a b"), "a b")
	want(t, "close", g.Close(true), nil)
	want(t, "unended", unended(t, o), "gone left")

	h := mustHold(t, o.Path)
	want(t, "drop", h.Drop(h.state.Begun["gone"]), nil)
	want(t, "close", h.Close(), nil)
	want(t, "unended", unended(t, o), "left")
	g = mustOpen(t, o)
	want(t, "complete", g.Complete, true)
	want(t, "orphans", len(g.Orphans()), 1)
	crash(g)
}

// A journal that cannot be read is not written over, and the lock is given back.
func TestHeldJournalThatIsDamaged(t *testing.T) {
	o := outliving(t)
	put(t, journalPath(o.Path), "garbage\n", 0o666)
	_, err := HoldJournal(o.Path)
	if !errors.Is(err, errJournalDamaged) {
		t.Errorf("error %v", err)
	}
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "r.jsonl.journal")
}

func mustHold(t *testing.T, path string) *HeldJournal {
	t.Helper()
	h, err := HoldJournal(path)
	if err != nil || h == nil {
		t.Fatal(h, err)
	}
	return h
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func isLocked(err error) bool {
	_, locked := errors.AsType[*LockedError](err)
	return locked
}
