package runner

import (
	"os"
	"strings"
	"testing"
)

// TestSpentIsSpent: what all results took counts, also of items that are run
// again, whose failures do not.
func TestSpentIsSpent(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a b!connection c!x d!x")
	retry := o
	retry.RetryFailed, retry.RetryClasses = true, []string{"x"}
	g := mustOpen(t, retry)
	before := g.Before()
	want(t, "stay", before.Items, 2)
	want(t, "failed", before.NotSucceeded(), 1)
	want(t, "tokens", before.InputTokens, int64(4))
	want(t, "usd", before.NanoUSD, int64(400_000_000))
	want(t, "ran", runLeft(t, g, "a b c d!x"), "c*2 d!x*2")
	want(t, "close", g.Close(true), nil)
	want(t, "tokens of all results", g.Tally().InputTokens, int64(6))
	g = mustOpen(t, retry)
	want(t, "tokens", g.Before().InputTokens, int64(6))
	crash(g)
}

// TestEditedItemsStayNot: a result whose item was edited is about to be replaced,
// so that it neither counts as an item nor as a failure.
func TestEditedItemsStayNot(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a b!x c!x d!x")
	only := func(o GenerationOptions, ids ...string) GenerationOptions {
		o.Only, o.Partial = ids, true
		return o
	}
	retry := o
	retry.RetryFailed = true
	for name, test := range map[string]struct {
		o             GenerationOptions
		rows          []row
		items, failed int
	}{
		"none":                  {o, []row{"a", "b", "c", "d"}, 4, 3},
		"a success":             {o, []row{"a=2", "b", "c", "d"}, 3, 3},
		"failures":              {o, []row{"a", "b=2", "c=2", "d"}, 2, 1},
		"all":                   {o, []row{"a=2", "b=2", "c=2", "d=2", "e"}, 0, 0},
		"of those asked for":    {only(o, "b", "a"), []row{"a=2", "b=2", "c=2", "d=2"}, 2, 2},
		"run again anyway":      {retry, []row{"a", "b=2", "c", "d"}, 1, 0},
		"rows that are gone":    {o, []row{"b=2"}, 3, 2},
		"edited after the look": {o, []row{"a", "b", "a=2", "b=2"}, 4, 3}, // the plan was made
	} {
		t.Run(name, func(t *testing.T) {
			test.o.Source = name
			g := mustOpen(t, test.o)
			for range 2 {
				for _, r := range test.rows {
					g.Of(r.item())
				}
				want(t, "stay", g.Before().Items, test.items)
				want(t, "failed", g.Before().NotSucceeded(), test.failed)
				want(t, "tokens", g.Before().InputTokens, int64(4))
				want(t, "all", g.Tally().Items, 4)
			}
			g.Before().Add(&Line{Status: Failed, Class: "y"}) // a copy
			want(t, "stay", g.Before().Items, test.items)
			want(t, "classes", g.Before().Classes["y"], 0)
			crash(g)
		})
	}
}

// TestGone: how many results are of rows that are gone is known also where nothing
// is read.
func TestGone(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a b!x c!x d e")
	o.Source = "s2"
	gone := func(what string, g *Generation, n, failed int) {
		t.Helper()
		want(t, what, [2]int{g.Gone(), g.GoneFailed()}, [2]int{n, failed})
	}
	g, ran := invoke(t, o, "b e f")
	want(t, "ran", ran, "f")
	gone("read to the end, and complete", g, 3, 1)
	g = mustOpen(t, o)
	want(t, "complete", g.Complete, true)
	gone("complete", g, 3, 1)
	want(t, "close", g.Close(true), nil)

	some := o
	some.Partial, some.Source, some.RetryFailed = true, "s2, the first", true
	_, ran = invoke(t, some, "b")
	want(t, "ran", ran, "b*2")
	unfinished, err := Unfinished(o.Path)
	want(t, "unfinished", unfinished, false)
	want(t, "error", err, nil)
	g, ran = invoke(t, o, "b e f") // which looks, as lines have changed
	want(t, "ran", ran, "")
	gone("complete, and some of it run again", g, 3, 1)
	want(t, "before", g.Before().NotSucceeded(), 1)
}

// TestPartOfWhatWasComplete: where not all was looked at, nobody is told that all is
// as it was, if any line has changed.
func TestPartOfWhatWasComplete(t *testing.T) {
	for name, touch := range map[string]func(o GenerationOptions){
		"damaged": func(o GenerationOptions) {
			put(t, o.Path, strings.Replace(contents(t, o.Path), `{"id":"b"`, `X{"id":"b"`, 1), 0o666)
		},
		"removed": func(o GenerationOptions) { os.Remove(o.Path) },
		"edited, and undone": func(o GenerationOptions) {
			o.Partial, o.Only, o.Source = true, []string{"b"}, ""
			_, ran := invoke(t, o, "b=2")
			want(t, "ran", ran, "b=2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := nightly(t)
			invoke(t, o, "a b c")
			touch(o)
			some := o
			some.Partial, some.Only, some.Source = true, []string{"a"}, ""
			invoke(t, some, "a")
			_, ran := invoke(t, o, "a b c")
			if !strings.Contains(ran, "b") {
				t.Errorf("ran %q", ran)
			}
			want(t, "lines", len(strings.Fields(rowsIn(t, o.Path))), 3)
		})
	}
}

// TestAgainOnly: of a night that is over, what failed is run again, and nothing
// that is new or edited since.
func TestAgainOnly(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a b!x c d!x")
	again := o
	again.RetryFailed, again.AgainOnly, again.Partial = true, true, true
	_, ran := invoke(t, again, "a=2 b c e")
	want(t, "ran", ran, "b*2")
	want(t, "lines", rowsIn(t, o.Path), "a c d!x b*2")
}

// TestFailuresThatNobodyRunsAgain are of rows that are gone: they count once, also where they would be run again.
func TestFailuresThatNobodyRunsAgain(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a b!x c!x d!x")
	o.RetryFailed = true
	g := mustOpen(t, o)
	for _, name := range []string{"a", "b"} {
		g.Of(row(name).item())
	}
	want(t, "failed before, but for what runs again", g.Before().NotSucceeded(), 0)
	g.KeepGone()
	want(t, "with those that nobody runs", g.Before().NotSucceeded(), 2)
	want(t, "gone", g.GoneFailed(), 2)
	want(t, "close", g.Close(false), nil)
}
