package runner

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// rehearsedLine is one line of a results file.
func rehearsedLine(id string, rehearsal bool) string {
	r := Result{ID: id, Batch: "b", Generation: "g", Status: Succeeded, StartedAt: time.Unix(7, 0), FinishedAt: time.Unix(8, 0), Attempts: 1, Rehearsal: rehearsal}
	return string(r.AppendJSON(nil))
}

func TestRehearsalFile(t *testing.T) {
	made, real := rehearsedLine("a", true), rehearsedLine("a", false)
	for _, c := range []struct {
		name, there string
		beside      string // another file that is there
		err         string // how the error ends; "": it may be written
	}{
		{"nothing", "", "", ""},
		{"an earlier rehearsal", made + rehearsedLine("b", true), "", ""},
		{"one that was cut off", made + made[:30], "", ""},
		{"real results", real, "", ":1: is no result of a rehearsal, so nothing is written over it; choose another path with --output"},
		{"some real results", made + real, "", ":2: is no result of a rehearsal, so nothing is written over it; choose another path with --output"},
		{"another file", "my notes\n", "", ":1: is no result of a rehearsal, so nothing is written over it; choose another path with --output"},
		{"half a line", real[:30], "", ":1: is no result of a rehearsal, so nothing is written over it; choose another path with --output"},
		{"the journal of a real run", "", ".journal", "choose another path for the rehearsal's"},
		{"what a real run tries again", "", ".retry", "choose another path for the rehearsal's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "b.jsonl")
			if c.there != "" {
				writeText(t, path, c.there)
			}
			if c.beside != "" {
				writeText(t, path+c.beside, "{}\n")
			}
			f, err := OpenRehearsal(path)
			if c.err != "" {
				if err == nil || !strings.HasSuffix(err.Error(), c.err) {
					t.Errorf("%v", err)
				}
				if text, _ := os.ReadFile(path); string(text) != c.there {
					t.Errorf("it was changed to %q", text)
				}
				if _, err := os.Stat(path + ".lock"); err == nil {
					t.Error("the lock is left")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := OpenRehearsal(path); !isLocked(err) {
				t.Errorf("a second one: %v", err)
			}
			if text, _ := os.ReadFile(path); string(text) != c.there {
				t.Errorf("before it began it was changed to %q", text)
			}
			if err := f.Begin(); err != nil {
				t.Fatal(err)
			}
			r := Result{ID: "new", Batch: "b", Status: Succeeded, Rehearsal: true}
			f.Record(&r)
			if _, err := f.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			text, _ := os.ReadFile(path)
			if want := string(r.AppendJSON(nil)); string(text) != want {
				t.Errorf("%q, not %q", text, want)
			}
			files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
			if !slices.Equal(files, []string{path}) {
				t.Errorf("there is %v", files)
			}
		})
	}
}

// TestRehearsalThatDidNotBegin leaves nothing, and what was there.
func TestRehearsalThatDidNotBegin(t *testing.T) {
	dir := t.TempDir()
	f, err := OpenRehearsal(filepath.Join(dir, "deep", "er", "b.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("there is %v", files)
	}
}

// TestRehearsalIsNoResult: a real run does not go on with the results of a rehearsal.
func TestRehearsalIsNoResult(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.jsonl")
	writeText(t, path, rehearsedLine("a", true))
	_, err := OpenGeneration(GenerationOptions{Path: path, Batch: "b"})
	if err == nil || !strings.HasSuffix(err.Error(), "b.jsonl:1: is a result of a rehearsal; choose another results path, or --fresh to move it aside") {
		t.Errorf("%v", err)
	}
}

// TestResultsSayThatTheyAreRehearsed, also those that failed.
func TestResultsSayThatTheyAreRehearsed(t *testing.T) {
	for _, rehearsal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			plan := newPlan(t, "a 1s", "b fail")
			plan.Rehearsal = rehearsal
			n := play(t, t.Context(), plan, waiting{newFake(t)})
			want(t, "results", n.Total(), 2)
			for _, e := range n.events {
				if e.Kind == Finished && e.Result.Rehearsal != rehearsal {
					t.Errorf("item %s: rehearsal is %v", e.ID, e.Result.Rehearsal)
				}
			}
		})
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
