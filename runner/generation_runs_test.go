package runner

import (
	"path/filepath"
	"testing"
)

// outliving are the options of a batch whose runs outlive this process.
func outliving(t testing.TB) GenerationOptions {
	o := nightly(t)
	o.Outlive = true
	return o
}

// TestRunThatGoesOn: an item whose second run was begun before a crash is waited
// for, whether or not it is asked for again, and what its first run took counts.
func TestRunThatGoesOn(t *testing.T) {
	for _, retry := range []bool{false, true} {
		o := outliving(t)
		invoke(t, o, "a!x b")
		o.RetryFailed = true
		g := mustOpen(t, o)
		want(t, "begin", g.Begin(), nil)
		begin(t, g, "a", "t2", 2)
		crash(g)

		o.RetryFailed = retry
		g = mustOpen(t, o)
		s := g.Of(row("a").item())
		if s.Begun == nil || s.Begun.Handle.TaskID != "t2" || s.Skip || !s.Ended || s.Attempts != 2 || s.Usage == nil || s.Usage.InputTokens != 1 {
			t.Errorf("%+v", s)
		}
		want(t, "results that stay", g.Before().Items, 1)
		want(t, "orphans", len(g.Orphans()), 0)
		want(t, "ran", runLeft(t, g, "a b"), "a*2")
		want(t, "close", g.Close(true), nil)
		want(t, "lines", rowsIn(t, o.Path), "b a*2")
		want(t, "tokens", g.Tally().InputTokens, int64(3))
		want(t, "complete", isComplete(t, o.Path), true)
	}
}

// Runs of items that are not asked for now are neither lost nor terminated.
func TestRunsThatAreNotAskedFor(t *testing.T) {
	o := outliving(t)
	o.Partial = true
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	for _, id := range []string{"a", "b", "c"} {
		begin(t, g, id, "t-"+id, 1)
	}
	want(t, "close", g.Close(false), nil)

	only := o
	only.Only = []string{"b"}
	g = mustOpen(t, only)
	want(t, "ran", runLeft(t, g, "a b d"), "b")
	orphans := g.Orphans()
	if len(orphans) != 1 || orphans[0].ID != "c" {
		t.Errorf("orphans %v", orphans)
	}
	want(t, "drop", g.Drop("c"), nil)
	want(t, "close", g.Close(true), nil)
	want(t, "complete, with a run of a", isComplete(t, o.Path), false)
	g = mustOpen(t, o)
	want(t, "ran", runLeft(t, g, "a b"), "a")
	want(t, "close", g.Close(true), nil)
	want(t, "complete", isComplete(t, o.Path), true)
}

// TestStaleRunOfAnEditedItem: the run with the old inputs is to be terminated before
// another one takes its place in the journal.
func TestStaleRunOfAnEditedItem(t *testing.T) {
	o := outliving(t)
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	begin(t, g, "a", "old", 1)
	crash(g)
	g = mustOpen(t, o)
	stale := g.Of(row("a=2").item()).Stale
	if stale == nil || stale.Handle.TaskID != "old" {
		t.Fatalf("stale run %v", stale)
	}
	want(t, "orphans", len(g.Orphans()), 0)
	want(t, "begin", g.Begin(), nil)
	begin(t, g, "a=2", "new", 1)
	g.Record(row("a=2").result(g, Standing{}))
	if n, err := g.Commit(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	want(t, "orphans", len(g.Orphans()), 0)
	want(t, "close", g.Close(true), nil)
	g = mustOpen(t, o)
	want(t, "complete", g.Complete, true)
	crash(g)
}

// A result is on the disk before the journal forgets its run; a run that ended is
// not begun again because the journal was slower.
func TestResultWithoutItsDrop(t *testing.T) {
	o := outliving(t)
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	begin(t, g, "a", "t1", 1)
	begin(t, g, "b", "t2", 1)
	crash(g)
	put(t, o.Path, textOf(g, "a b=2"), 0o666)
	g = mustOpen(t, o)
	want(t, "a", g.Of(row("a").item()), Standing{Skip: true, Ended: true})
	if s := g.Of(row("b").item()); !s.Edited || s.Begun == nil || s.Begun.Handle.TaskID != "t2" {
		t.Errorf("b: %+v", s)
	}
	crash(g)
}

// A run that was terminated counts as an attempt, and is neither waited for nor
// terminated again.
func TestRunThatIsOver(t *testing.T) {
	o := outliving(t)
	invoke(t, o, "a!x b!x")
	o.RetryFailed = true
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	for _, name := range []string{"a", "b=2", "c", "gone"} {
		it := row(name).item()
		b := Begun{ID: it.ID, Digest: it.Digest, Attempt: 2, At: journalBegan, Duplicate: true}
		want(t, "intend", g.Intend(b), nil)
		b.Over = true
		want(t, "over", g.Began(b), nil)
	}
	crash(g)

	o.RetryFailed = false
	g = mustOpen(t, o)
	want(t, "results that stay", g.Before().Items, 2)
	for name, standing := range map[string]Standing{
		"a":   {Ended: true, Skip: true, Attempts: 2, Duplicate: true},
		"b=2": {Ended: true, Edited: true, Attempts: 2, Duplicate: true},
		"c":   {Attempts: 2, Duplicate: true},
	} {
		want(t, name, g.Of(row(name).item()), standing)
	}
	want(t, "orphans", len(g.Orphans()), 0)
	want(t, "ran", runLeft(t, g, "a b=2 c"), "b=2*3 c*3")
	want(t, "close", g.Close(true), nil)
	want(t, "complete", isComplete(t, o.Path), true)
}

// That there may be another run of an item is said of all its later results.
func TestDuplicateIsCarriedOver(t *testing.T) {
	o := outliving(t)
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	r := row("a!x").result(g, Standing{})
	r.PossibleDuplicate = true
	g.Record(r)
	if n, err := g.Commit(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	want(t, "close", g.Close(true), nil)
	o.RetryFailed = true
	g = mustOpen(t, o)
	want(t, "duplicate", g.Of(row("a").item()).Duplicate, true)
	crash(g)
}

// Runs that were left going are all there is, and must be found again.
func TestRunsWithoutResults(t *testing.T) {
	o := nightly(t)
	o.Outlive = true
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	b := Begun{ID: "a", Digest: "a1", Attempt: 1, Handle: Handle{TraceID: "x"}, At: journalBegan}
	want(t, "intend", g.Intend(b), nil)
	b.Handle.TaskID = "t"
	want(t, "began", g.Began(b), nil)
	want(t, "close", g.Close(false), nil)

	g = mustOpen(t, o)
	want(t, "run", g.Of(row("a").item()), Standing{Begun: &b, Attempts: 1})
	want(t, "begin", g.Begin(), nil)
	want(t, "drop", g.Drop("a"), nil)
	want(t, "close", g.Close(false), nil)
	want(t, "names", namesIn(t, filepath.Dir(o.Path)), "")
}
