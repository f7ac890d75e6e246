package temporal

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/spec"
)

// TestPassIDs: the id of a pass says where it is, whatever its batch is called.
func TestPassIDs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		generation, batch := rapid.StringN(1, 20, 40).Draw(rt, "generation"), rapid.String().Draw(rt, "batch")
		id, key := newPass(generation, batch)
		if passKey(id) != key || passID(key) != id {
			rt.Errorf("key of %q: %q, not %q, whose id is %q", id, passKey(id), key, passID(key))
		}
		if err := checkPass(id); err != nil || strings.Contains(id, "/") || !isPass(id) {
			rt.Errorf("%q: %v", id, err)
		}
		if again, _ := newPass(generation, batch); again == id {
			rt.Error("two passes have one id")
		}
	})
}

func TestNoPassIDs(t *testing.T) {
	for _, id := range []string{"", "run-1", "batch-", "batch-a", "batch-a:b", "batch-a::c", "batch-a:b:c:d", "batch-a:b/c:d", "a:b:c"} {
		says(t, id, checkPass(id), "is no pass over a batch")
	}
}

// TestSave: what becomes of a save is told beforehand, and then nothing is written.
func TestSave(t *testing.T) {
	file := batchFileOf(t, "")
	b := (&Client{}).Backend(BackendOptions{File: file, Store: t.TempDir() + "/store"})
	defer b.Close()
	for _, step := range []struct {
		lookOnly bool
		action   runner.SaveAction
	}{{true, runner.Created}, {false, runner.Created}, {true, runner.Unchanged}, {false, runner.Unchanged}} {
		there := b.isThere()
		saved, err := b.Save(t.Context(), file.Pipeline, runner.SaveOptions{LookOnly: step.lookOnly})
		fine(t, err)
		want(t, "saved", saved, runner.Saved{PipelineID: spec.PipelineID("p"), Action: step.action})
		want(t, "the store is there", b.isThere(), there || !step.lookOnly)
	}
	_, err := b.Save(t.Context(), &spec.Pipeline{Name: "saved"}, runner.SaveOptions{})
	says(t, "a saved pipeline", err, "stand in the batch file")
	_, err = (&Client{}).Backend(BackendOptions{}).Start(t.Context(), "p", nil, runner.StartOptions{})
	says(t, "without a file", err, "without a batch file")
}

func TestWidths(t *testing.T) {
	for _, c := range []struct{ concurrency, shards, window, each int }{
		{1, 10, 1, 1}, {3, 500, 3, 1}, {4, 10, 4, 1}, {5, 10, 4, 1}, {8, 10, 4, 2}, {32, 10, 8, 4}, {64, 10, 10, 6}, {64, 1, 1, 64}, {1000, 500, 250, 4}, {100000, 500000, 500, 200},
	} {
		window, each := widths(c.concurrency, c.shards)
		want(t, "window, runs in each", [2]int{window, each}, [2]int{c.window, c.each})
	}
}
