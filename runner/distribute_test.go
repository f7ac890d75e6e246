package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/spec"
)

// errCut is the end of this process, by kill -9.
var errCut = errors.New("cut off")

// distribute runs the rows of one invocation on a field, as cli does: the generation is
// opened, its rows are looked at, and what is left is handed over.
func distribute(t testing.TB, o GenerationOptions, f *field, rows string, change func(*Plan)) (Outcome, error) {
	t.Helper()
	o.Outlive, o.Source = true, ""
	f.anew()
	g, err := OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	plan := &Plan{
		Batch: &spec.Batch{Name: o.Batch}, Generation: g.ID, Total: -1, Concurrency: 2, Redactor: o.Redactor,
		Past: g, Journal: g, Items: itemsOf(rows),
	}
	_ = plan.items(func(it spec.Item) bool { g.Of(&it); return true })
	g.KeepGone()
	plan.Before = g.Before()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if change != nil {
		change(plan)
	}
	detach := false
	if f.cut == nil && f.goes >= 0 && f.stops == NotStopped {
		f.cut = func() error { cancel(ErrDetach); detach = true; return nil }
	}
	if err := g.Begin(); err != nil {
		t.Fatal(err)
	}
	outcome, err := Distribute(ctx, plan, f, g)
	if errors.Is(err, errCut) {
		_ = g.results.out.Close()
		_ = g.journal.out.Close()
		g.leave()
		return outcome, err
	}
	whole := err == nil && !outcome.Left && outcome.Stopped == NotStopped
	if closeErr := g.Close(whole); closeErr != nil {
		t.Fatal(closeErr)
	}
	if detach {
		want(t, "passes that go on", outcome.Passes, 1)
		want(t, "stopped", outcome.Stopped, Interrupted)
	}
	return outcome, err
}

func TestDistribute(t *testing.T) {
	o, f := nightly(t), newField()
	outcome, err := distribute(t, o, f, "a b!x c", nil)
	want(t, "error", err, nil)
	want(t, "outcome", fmt.Sprint(outcome), fmt.Sprint(Outcome{Counts: map[State]int{Succeeded: 2, Failed: 1}}))
	want(t, "lines", rowsIn(t, o.Path), "a b!x c")
	want(t, "forgotten", f.forgotten, 1)

	outcome, err = distribute(t, o, f, "a b!x c d", func(p *Plan) { p.Limit = 3 })
	want(t, "error", err, nil)
	want(t, "left", outcome.Left, false)
	want(t, "passes", len(f.passes), 1)
	_, err = distribute(t, o, f, "a b!x c=2 d", nil)
	want(t, "error", err, nil)
	want(t, "handed", f.idsHanded(), "a b c c d")
	want(t, "lines", rowsIn(t, o.Path), "a b!x d c=2")
	o.RetryFailed = true
	_, err = distribute(t, o, f, "a b c=2 d", nil)
	want(t, "error", err, nil)
	want(t, "lines", rowsIn(t, o.Path), "a d c=2 b*2")
}

// TestDistributeIsGoneOnWith: a client that goes away in the middle, for whatever
// reason, leaves a pass going, whose results the next one has.
func TestDistributeIsGoneOnWith(t *testing.T) {
	for name, cut := range map[string]func() error{"detached": nil, "killed": func() error { return errCut }} {
		t.Run(name, func(t *testing.T) {
			o, f := nightly(t), newField()
			f.goes, f.cut = 2, cut
			_, _ = distribute(t, o, f, "a b c d", nil)
			f.goes, f.cut = -1, nil
			held, err := HoldJournal(o.Path)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "passes", len(held.Unended()), 1)
			want(t, "it is one", held.Unended()[0].Pass, true)
			want(t, "close", held.Close(), nil)
			_, err = distribute(t, o, f, "a b c d e", nil)
			want(t, "error", err, nil)
			want(t, "handed", f.idsHanded(), "a b c d e")
			want(t, "lines", rowsIn(t, o.Path), "a b c d e")
			want(t, "forgotten", f.forgotten, 2)
		})
	}
}

// TestDistributeWhatWasNeverBegun: the answer to Begin was lost.
func TestDistributeWhatWasNeverBegun(t *testing.T) {
	o, f := nightly(t), newField()
	f.lostBegins = 1
	outcome, err := distribute(t, o, f, "a b", nil)
	if _, lost := errors.AsType[*ConnectionError](err); !lost || !outcome.Left {
		t.Errorf("error %v, outcome %v", err, outcome)
	}
	_, err = distribute(t, o, f, "a b", nil)
	want(t, "error", err, nil)
	want(t, "handed", f.idsHanded(), "a b a b") // what was not begun binds nobody
	want(t, "lines", rowsIn(t, o.Path), "a b")
	want(t, "forgotten", f.forgotten, 2)
}

// TestDistributeWhatMayBeBegun: it was begun, and the answer was lost; other items were asked for since.
func TestDistributeWhatMayBeBegun(t *testing.T) {
	o, f := nightly(t), newField()
	f.lostAnswers = 1
	_, err := distribute(t, o, f, "a b", nil)
	if _, lost := errors.AsType[*ConnectionError](err); !lost {
		t.Errorf("error %v", err)
	}
	for range 2 {
		outcome, err := distribute(t, o, f, "a b c", func(p *Plan) { p.HandOnly = true })
		want(t, "error", err, nil)
		want(t, "passes that go on", outcome.Passes, 1)
	}
	_, err = distribute(t, o, f, "a b c", nil)
	want(t, "error", err, nil)
	want(t, "handed", f.idsHanded(), "a b c")
	want(t, "lines", rowsIn(t, o.Path), "a b c")
}

// TestDistributeHandsOverAgain: what was handed over and never begun does not make the next
// ones believe that it is under way.
func TestDistributeHandsOverAgain(t *testing.T) {
	o, f := nightly(t), newField()
	handOnly := func(p *Plan) { p.HandOnly = true }
	f.lostBegins = 2
	for range 2 {
		outcome, err := distribute(t, o, f, "a", handOnly)
		want(t, "failed", err != nil, true)
		want(t, "passes that go on", outcome.Passes, 0)
	}
	outcome, err := distribute(t, o, f, "a", handOnly)
	want(t, "error", err, nil)
	want(t, "passes that go on", outcome.Passes, 1)
	want(t, "begun", f.passes["pass-3"].begun, true)
	want(t, "handed", f.idsHanded(), "a a a")
}

// TestDistributeInterruptedInBetween: a batch that is asked to drain when all is handed
// over begins nothing.
func TestDistributeInterruptedInBetween(t *testing.T) {
	o, f := nightly(t), newField()
	drain := make(chan struct{})
	f.handing = func() { close(drain) }
	outcome, err := distribute(t, o, f, "a b", func(p *Plan) { p.Drain = drain })
	want(t, "error", err, nil)
	want(t, "stopped", outcome.Stopped, Interrupted)
	want(t, "begun", f.passes["pass-1"].begun, false)
	want(t, "forgotten", f.forgotten, 1)
}

// TestDistributeRetriesWhatIsJoined: what failed in a pass that is joined only now is run
// again where that is asked for.
func TestDistributeRetriesWhatIsJoined(t *testing.T) {
	for name, goes := range map[string]int{"written before": 3, "not written": 0} {
		t.Run(name, func(t *testing.T) {
			o, f := nightly(t), newField()
			f.goes, f.cut = goes, func() error { return errCut }
			_, _ = distribute(t, o, f, "a b!x c!y", nil)
			f.goes, o.RetryFailed, o.RetryClasses = -1, true, []string{"x"}
			_, err := distribute(t, o, f, "a b c", nil)
			want(t, "error", err, nil)
			want(t, "handed", f.idsHanded(), "a b c b")
			want(t, "lines", rowsIn(t, o.Path), "a c!y b*2")
		})
	}
}

// TestDistributeInParts: what hands over, and what only follows.
func TestDistributeInParts(t *testing.T) {
	o, f := nightly(t), newField()
	outcome, err := distribute(t, o, f, "a b", func(p *Plan) { p.HandOnly = true })
	want(t, "error", err, nil)
	want(t, "passes that go on", outcome.Passes, 1)
	want(t, "stopped", outcome.Stopped, NotStopped)
	want(t, "lines", rowsIn(t, o.Path), "")
	outcome, err = distribute(t, o, f, "a b", func(p *Plan) { p.HandOnly = true })
	want(t, "error", err, nil)
	want(t, "still", outcome.Passes, 1)
	want(t, "passes", len(f.passes), 1)
	outcome, err = distribute(t, o, f, "a b c", func(p *Plan) { p.FollowOnly = true })
	want(t, "error", err, nil)
	want(t, "left", outcome.Left, true)
	want(t, "lines", rowsIn(t, o.Path), "a b")
	want(t, "handed", f.idsHanded(), "a b")
	outcome, err = distribute(t, o, f, "a b", func(p *Plan) { p.FollowOnly = true })
	want(t, "error", err, nil)
	want(t, "left", outcome.Left, false)
}

// TestDistributeWhatWasRunAgain: results of items that failed before, and were handed over
// again, take the place of the earlier ones, whoever follows.
func TestDistributeWhatWasRunAgain(t *testing.T) {
	o, f := nightly(t), newField()
	_, err := distribute(t, o, f, "a b!x c!y", nil)
	want(t, "error", err, nil)
	o.RetryFailed = true
	_, err = distribute(t, o, f, "a b c!z", func(p *Plan) { p.HandOnly = true })
	want(t, "error", err, nil)
	o.RetryFailed = false
	_, err = distribute(t, o, f, "a b c d", nil)
	want(t, "error", err, nil)
	want(t, "handed", f.idsHanded(), "a b c b c d")
	want(t, "before the last pass", f.passes["pass-3"].plan.Before.Items, 3)
	want(t, "failed before the last pass", f.passes["pass-3"].plan.Before.NotSucceeded(), 1)
	want(t, "lines", rowsIn(t, o.Path), "a d b*2 c!z*2")
}

// TestDistributeDrains: a pass is told to start nothing more, its results are written, and
// what is left is handed over by the next invocation.
func TestDistributeDrains(t *testing.T) {
	o, f := nightly(t), newField()
	drain := make(chan struct{})
	f.goes, f.holds = 1, true
	f.cut = func() error {
		close(drain)
		<-f.passes["pass-1"].drains
		return nil
	}
	outcome, err := distribute(t, o, f, "a b c", func(p *Plan) { p.Drain = drain })
	want(t, "error", err, nil)
	want(t, "stopped", outcome.Stopped, Interrupted)
	want(t, "passes that go on", outcome.Passes, 0)
	want(t, "lines", rowsIn(t, o.Path), "a")
	f.goes = -1
	_, err = distribute(t, o, f, "a b c", nil)
	want(t, "error", err, nil)
	want(t, "handed", f.idsHanded(), "a b c b c")
	want(t, "lines", rowsIn(t, o.Path), "a b c")
}

// TestDistributeTerminates: a cancel ends the pass, and keeps what it came to.
func TestDistributeTerminates(t *testing.T) {
	o, f := nightly(t), newField()
	g, err := OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "begin", g.Begin(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	f.goes, f.holds, f.cut = 2, true, func() error { cancel(); return nil }
	outcome, err := Distribute(ctx, &Plan{Batch: &spec.Batch{Name: o.Batch}, Past: g, Journal: g, Items: itemsOf("a b c")}, f, g)
	want(t, "error", err, nil)
	want(t, "stopped", outcome.Stopped, Interrupted)
	want(t, "ended", f.passes["pass-1"].ended, true)
	want(t, "lines", rowsIn(t, o.Path), "a b")
	want(t, "passes", len(g.Passes()), 0)
	want(t, "close", g.Close(false), nil)
}

// TestDistributeStops: a pass that stopped says why, and is gone on with under limits
// that count what it has come to.
func TestDistributeStops(t *testing.T) {
	o, f := nightly(t), newField()
	f.goes, f.stops = 2, AtFailures
	outcome, err := distribute(t, o, f, "a b!x c d", nil)
	want(t, "error", err, nil)
	want(t, "stopped", outcome.Stopped, AtFailures)
	want(t, "left", outcome.Left, true)

	f.goes, f.stops = 1, NotStopped
	_, _ = distribute(t, o, f, "a b!x c!y d", nil)
	f.goes = -1
	_, err = distribute(t, o, f, "a b!x c!y d e", func(p *Plan) { want(t, "before", p.Before.Items, 3) })
	want(t, "error", err, nil)
	want(t, "items before the last pass", f.passes["pass-3"].plan.Before.Items, 4)
	want(t, "failed before the last pass", f.passes["pass-3"].plan.Before.NotSucceeded(), 2)
}

// TestDistributeWithoutRoom: results that cannot be written leave the pass going.
func TestDistributeWithoutRoom(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	out, err := DeviceResults("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	f := newField()
	outcome, err := Distribute(t.Context(), &Plan{Batch: &spec.Batch{Name: "b"}, Items: itemsOf("a b")}, f, out)
	if _, unwritten := errors.AsType[*ResultsError](err); !unwritten {
		t.Errorf("error %v", err)
	}
	want(t, "stopped", outcome.Stopped, ResultsFailed)
	want(t, "forgotten", f.forgotten, 0)
	_ = out.Close()
}

// TestDistributeProperty: whatever becomes of invocations, every item ends with exactly one
// line, that of its inputs, and nothing that was handed over is handed over again
// unless a pass was ended.
func TestDistributeProperty(t *testing.T) {
	inMemory(t)
	rapid.Check(t, func(rt *rapid.T) {
		o, f := nightly(t), newField()
		n := rapid.IntRange(1, 8).Draw(rt, "items")
		var rows []string
		for i := range n {
			rows = append(rows, string(rune('a'+i)))
		}
		for range rapid.IntRange(0, 5).Draw(rt, "invocations") {
			if rapid.Bool().Draw(rt, "edit") {
				i := rapid.IntRange(0, n-1).Draw(rt, "edited")
				rows[i] = fmt.Sprintf("%c=%d", 'a'+i, rapid.IntRange(2, 9).Draw(rt, "inputs"))
			}
			f.goes, f.cut, f.holds = rapid.IntRange(-1, n).Draw(rt, "goes"), nil, rapid.Bool().Draw(rt, "holds")
			if f.goes >= 0 && rapid.Bool().Draw(rt, "killed") {
				f.cut = func() error { return errCut }
			}
			f.lostBegins = max(0, rapid.IntRange(-3, 1).Draw(rt, "lost"))
			_, _ = distribute(t, o, f, strings.Join(rows, " "), nil)
		}
		f.goes, f.cut, f.lostBegins = -1, nil, 0
		outcome, err := distribute(t, o, f, strings.Join(rows, " "), nil)
		if err != nil || outcome.Left {
			rt.Fatalf("at the end: %v, left %v", err, outcome.Left)
		}
		got := strings.Fields(rowsIn(t, o.Path))
		slices.Sort(got)
		if !slices.Equal(got, rows) {
			rt.Fatalf("lines %v of rows %v", got, rows)
		}
		for id, p := range f.passes {
			if p.begun && !p.ended {
				rt.Fatalf("pass %s was not followed to its end", id)
			}
		}
	})
}
