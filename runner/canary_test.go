package runner

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/spec"
)

// TestJournalHidesSecrets: runs are found again by the process that comes next, and
// forgotten, although the keys of their items are written nowhere as they are. Keys
// that differ in what is hidden alone stay two.
func TestJournalHidesSecrets(t *testing.T) {
	const first, second = "hunter2-C4nary", "swordfish-C4nary"
	for name, end := range map[string]error{"left going": ErrDetach, "terminated": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				backend := newHosted(newFake(t))
				plan := newPlan(t, "user-"+first+" 60s", "user-"+second+" 60s", first+" 1s")
				plan.Concurrency, plan.Redactor = 3, spec.NewRedactor([]string{first, second})
				invoke := func(wait time.Duration) (begun map[string]Begun, o Outcome) {
					g, err := OpenGeneration(GenerationOptions{
						Path: filepath.Join(dir, "r.jsonl"), Batch: "b", Pipeline: "p1", Source: "s1", Outlive: true, Fsync: FsyncGroup, Redactor: plan.Redactor,
					})
					if err != nil {
						t.Fatal(err)
					}
					want(t, "begin", g.Begin(), nil)
					plan.Past, plan.Journal, plan.Generation = g, g, g.ID
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					after(wait, func() { cancel(end) })
					o, err = Run(ctx, plan, backend, g)
					want(t, "error of the run", err, nil)
					searchFor(t, dir, "C4nary") // before the journal is compacted
					if state, err := readJournal(filepath.Join(dir, "r.jsonl.journal")); err != nil {
						t.Error(err)
					} else {
						begun = state.Begun
					}
					want(t, "close", g.Close(!o.Left), nil)
					searchFor(t, dir, "C4nary")
					return begun, o
				}
				starts := map[string]int{"user-" + first: 1, "user-" + second: 1, first: 1}
				begun, o := invoke(30 * time.Second)
				want(t, "succeeded", o.Counts[Succeeded], 1)
				want(t, "runs that were begun", len(begun), 2)
				for id, b := range begun {
					want(t, id+" is hidden", strings.HasPrefix(id, "user-[hidden]-"), true)
					want(t, id+" is over", b.Over, o.Detached == 0)
				}
				if name == "terminated" {
					starts["user-"+first], starts["user-"+second] = 2, 2
				}
				want(t, "left going, terminated", o.Detached+o.Interrupted, 2)
				begun, o = invoke(time.Hour)
				want(t, "succeeded", o.Counts, map[State]int{Succeeded: 2})
				want(t, "runs that were begun", len(begun), 0)
				want(t, "starts", backend.more.starts, starts)
			})
		})
	}
}

// searchFor looks for a text in all files of a folder.
func searchFor(t *testing.T, dir, text string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(content), text) {
			t.Errorf("%s holds a secret:\n%s", entry.Name(), content)
		}
	}
}
