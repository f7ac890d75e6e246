package runner

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"nightshift/spec"
)

// TestNights: what each night finds, runs and leaves, in one folder.
func TestNights(t *testing.T) {
	type step struct {
		what   string
		change func(o *GenerationOptions)
		rows   string
		ran    string // "": nothing
		lines  string // afterwards
		before int    // results that stay
		gone   int
	}
	without := func(ends ...string) func(*GenerationOptions) {
		return func(o *GenerationOptions) {
			for _, end := range ends {
				_ = os.Remove(o.Path + end)
			}
		}
	}
	retry := func(classes ...string) func(*GenerationOptions) {
		return func(o *GenerationOptions) { o.RetryFailed, o.RetryClasses = true, classes }
	}
	only := func(ids ...string) func(*GenerationOptions) {
		return func(o *GenerationOptions) { o.Only, o.Partial = ids, true }
	}
	tests := map[string][]step{
		"anew": {
			{"new", nil, "a b c", "a b c", "a b c", 0, 0},
			{"complete", nil, "a b c", "", "a b c", 3, 0},
			{"more rows", func(o *GenerationOptions) { o.Source = "s2" }, "d a b c", "d", "a b c d", 3, 0},
			{"fewer rows", func(o *GenerationOptions) { o.Source = "s3" }, "b", "", "a b c d", 4, 3},
			{"without a journal", without(".journal"), "a e d", "e", "a b c d e", 4, 2},
			{"a source that cannot be known", func(o *GenerationOptions) { o.Source = "" }, "e f", "f", "a b c d e f", 5, 4},
			{"the same", func(o *GenerationOptions) { o.Source = "" }, "a b c d e f", "", "a b c d e f", 6, 0},
		},
		"retry": {
			{"new", nil, "a b!connection c!run_failed", "a b!connection c!run_failed", "a b!connection c!run_failed", 0, 0},
			{"not asked for", nil, "a b c", "", "a b!connection c!run_failed", 3, 0},
			{"a class nobody has", retry("denied"), "a b c", "", "a b!connection c!run_failed", 3, 0},
			{"one class", retry("denied", "connection"), "a b!connection c", "b!connection*2", "a c!run_failed b!connection*2", 2, 0},
			{"all", retry(), "a b c", "b*3 c*2", "a b*3 c*2", 1, 0},
			{"nothing failed", retry(), "a b c", "", "a b*3 c*2", 3, 0},
		},
		"edited": {
			{"new", nil, "a b c", "a b c", "a b c", 0, 0},
			{"one", func(o *GenerationOptions) { o.Source = "s2" }, "a b=2 c d", "b=2 d", "a c d b=2", 2, 0},
			{"and back", nil, "a b c d", "b", "a c d b", 3, 0},
			{"failed and edited", func(o *GenerationOptions) { o.Source = "s3" }, "a b c d=5!connection", "d=5!connection", "a c b d=5!connection", 3, 0},
			{"again, and edited", retry(), "a b=3 c d=6", "b=3 d=6", "a c b=3 d=6", 2, 0},
		},
		"only": {
			{"new", nil, "a!x b!x", "a!x b!x", "a!x b!x", 0, 0},
			{"some", func(o *GenerationOptions) { only("b", "c", "z")(o); o.RetryFailed = true }, "a b c d", "b*2 c", "a!x c b*2", 1, 0},
			{"none", func(o *GenerationOptions) { o.Only = []string{} }, "a b c d", "", "a!x c b*2", 3, 0},
			{"all", func(o *GenerationOptions) { o.Source = "s2" }, "a b c d", "d", "a!x c b*2 d", 3, 0},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			o := nightly(t)
			id := ""
			for _, step := range steps {
				t.Log(step.what)
				o := o
				if step.change != nil {
					step.change(&o)
				}
				g, ran := invoke(t, o, step.rows)
				want(t, "ran", ran, step.ran)
				want(t, "lines", rowsIn(t, o.Path), step.lines)
				want(t, "stay", g.Before().Items, step.before)
				want(t, "gone", g.Gone(), step.gone)
				want(t, "notes", len(g.Notes), 0)
				if id == "" {
					id = g.ID
				}
				want(t, "generation", g.ID, id)
			}
			want(t, "names", namesIn(t, filepath.Dir(o.Path)), "r.jsonl r.jsonl.journal")
		})
	}
}

// What is run again counts its attempts and what they took on, and may be served
// by kept answers where no answer led to its end.
func TestWhatIsCarriedOver(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a!connection b!run_failed c d!connection")
	o.RetryFailed = true
	g := mustOpen(t, o)
	for name, carried := range map[string]struct {
		standing Standing
		kept     bool
	}{
		"a":   {Standing{Ended: true, Attempts: 1, Usage: &Usage{InputTokens: 1, USD: 0.1}}, true},
		"b":   {Standing{Ended: true, Attempts: 1, Usage: &Usage{InputTokens: 1, USD: 0.1}}, false},
		"c":   {Standing{Ended: true, Skip: true}, true},
		"d=2": {Standing{Ended: true, Edited: true}, true},
		"e":   {Standing{}, true},
	} {
		s := g.Of(row(name).item())
		if since := (time.Time{}); carried.kept {
			want(t, name+": answers since", s.AnswersSince, since)
		} else {
			want(t, name+": answers since its failure", s.AnswersSince, row(name).result(g, Standing{}).Line().FinishedAt)
		}
		s.AnswersSince = time.Time{}
		want(t, name, s, carried.standing)
	}
	want(t, "ran", runLeft(t, g, "a!connection b"), "a!connection*2 b*2")
	want(t, "close", g.Close(true), nil)
	g, ran := invoke(t, o, "a b c d")
	want(t, "ran", ran, "a*3 d*2")
	want(t, "tokens", g.Tally().InputTokens, int64(3+2+1+2))
	want(t, "usd", g.Tally().NanoUSD, int64(800_000_000))
	want(t, "retries", g.Tally().Retries, 4)
}

func TestOnlySomeIDs(t *testing.T) {
	o := nightly(t)
	o.Redactor = spec.NewRedactor([]string{"swordfish"})
	o.Only, o.Partial = []string{"b", "y", "swordfish", "x"}, true
	g := mustOpen(t, o)
	for name, standing := range map[string]Standing{"a": {Skip: true}, "b": {}, "swordfish": {}} {
		want(t, name, g.Of(row(name).item()), standing)
	}
	want(t, "missing", g.Missing(), []string{"x", "y"})
	want(t, "close", g.Close(false), nil)
}
