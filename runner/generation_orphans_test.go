package runner

import "testing"

// TestOrphansOutliveCompletion: a run whose item is gone, and which could not be
// terminated, is known until it is.
func TestOrphansOutliveCompletion(t *testing.T) {
	o := outliving(t)
	g := mustOpen(t, o)
	want(t, "begin", g.Begin(), nil)
	begin(t, g, "gone", "t-gone", 1)
	begin(t, g, "tried", "", 1)
	want(t, "ran", runLeft(t, g, "a b"), "a b")
	want(t, "close", g.Close(true), nil)

	orphans := func(g *Generation, wanted int) {
		t.Helper()
		want(t, "complete", g.Complete, true)
		want(t, "an item", g.Of(row("a").item()), Standing{Skip: true, Ended: true})
		want(t, "results", g.Tally().Items, 2)
		want(t, "orphans", len(g.Orphans()), wanted)
	}
	g = mustOpen(t, o)
	orphans(g, 2)
	want(t, "close without a look at them", g.Close(true), nil)
	g = mustOpen(t, o)
	orphans(g, 2)
	want(t, "begin", g.Begin(), nil)
	want(t, "drop", g.Drop("tried"), nil)
	want(t, "close", g.Close(true), nil)
	g = mustOpen(t, o)
	orphans(g, 1)
	want(t, "orphan", g.Orphans()[0].Handle.TaskID, "t-gone")
	crash(g)

	o.Source = "s2" // nothing is left to do, and that is noted
	g = mustOpen(t, o)
	want(t, "ran", runLeft(t, g, "a b"), "")
	want(t, "close", g.Close(true), nil)
	g = mustOpen(t, o)
	orphans(g, 1)
	want(t, "begin", g.Begin(), nil)
	want(t, "drop", g.Drop("gone"), nil)
	want(t, "close", g.Close(true), nil)
	g = mustOpen(t, o)
	orphans(g, 0)
	want(t, "lines", rowsIn(t, o.Path), "a b")
	crash(g)
}
