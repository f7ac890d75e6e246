//go:build integration

package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/api/enums/v1"

	"nightshift/runner"
	"nightshift/spec"
)

// TestIntegrationTemporalTickets runs the example over two workers: its results are
// those of backend local.
func TestIntegrationTemporalTickets(t *testing.T) {
	dir := t.TempDir()
	if err := copyWithoutResults(dir, "../../examples/tickets"); err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, 0)
	f.dir = dir
	first, second := f.worker(), f.worker()
	f.command("run", "batch.yaml", "--output", "local.jsonl").ends(exitOK)
	f.command("run", "batch.yaml", "--output", "far.jsonl", "--backend", "temporal", "--set", "run.temporal.shard_size=20", "--concurrency", "16").ends(exitOK, "1000 succeeded")

	here, there := comparable(t, filepath.Join(dir, "local.jsonl")), comparable(t, filepath.Join(dir, "far.jsonl"))
	if diff := cmp.Diff(here, there); diff != "" || len(here) != 1000 {
		t.Errorf("%d results; they differ (-local +temporal):\n%.3000s", len(there), diff)
	}
	took := f.shardsOf(f.pass())
	t.Logf("shards by worker: %v", took)
	if took[first.identity()] == 0 || took[second.identity()] == 0 {
		t.Errorf("shards by worker: %v; want some by each of %s and %s", took, first.identity(), second.identity())
	}
	f.idle()
}

// comparable reads results, by id, without what differs from one pass over a batch to
// the next.
func comparable(t *testing.T, path string) map[string]any {
	t.Helper()
	resultLines(t, path) // checks them
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	results := map[string]any{}
	err = runner.ScanLines(file, func(s *runner.ScannedLine) bool {
		v, err := spec.ParseJSON(s.Raw)
		if err != nil {
			t.Fatal(err)
		}
		result := v.(map[string]any)
		for _, changes := range []string{"generation", "task_id", "trace_id", "started_at", "finished_at", "duration_ms"} {
			if _, there := result[changes]; !there {
				t.Fatalf("%s: a result has no %s", path, changes)
			}
			delete(result, changes)
		}
		results[s.Line.ID] = result
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// shardsOf tells how many tries of shards of a pass there were, by the identity of
// their worker.
func (f *fleet) shardsOf(pass string) map[string]int {
	f.t.Helper()
	took := map[string]int{}
	events := f.client().GetWorkflowHistory(f.t.Context(), pass, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			f.t.Fatal(err)
		}
		if started := e.GetActivityTaskStartedEventAttributes(); started != nil {
			took[started.GetIdentity()]++
		}
	}
	return took
}

// TestIntegrationTemporalBatches runs a file of two batches, then the same with a row
// edited, and then what failed once more.
func TestIntegrationTemporalBatches(t *testing.T) {
	f := newFleet(t, 100)
	f.write("batch.yaml", fleetBatch+"  more: {from: more.jsonl, map: {in: \"{{ row.text }}\"}, key: \"{{ row.id }}\"}\n")
	f.write("more.jsonl", fleetRows("more", 30))
	f.refuse("a poor row")
	f.worker()

	f.run().ends(exitItems, "crowd: 100 items in ", "10 failed", "more: 30 items in ", "3 failed")
	if n := f.count(); n != 130 {
		t.Errorf("the model was asked %d times for 130 items", n)
	}
	f.run().ends(exitItems, "crowd: 100 already done, nothing to do")
	if n := f.count(); n != 0 {
		t.Errorf("the model was asked %d times for what was done", n)
	}

	edited := f.rowsText[:len(f.rowsText)-len("}\n")-1] + " edited\"}\n"
	f.write("rows.jsonl", edited)
	f.run().ends(exitItems)
	lines, _ := resultLines(t, f.results())
	last := lines[fmt.Sprintf("crowd-%d", 99)]
	if n := f.count(); n != 1 || len(lines) != 100 || last.Status != runner.Succeeded {
		t.Errorf("with one row edited, the model was asked %d times, and %d items have a line; that one %s", n, len(lines), last.Status)
	}

	f.refuse("")
	f.run("--retry-failed", "--batch", "crowd").ends(exitOK, "10 to do (10 again)")
	lines, tally := resultLines(t, f.results())
	if n := f.count(); n != 10 || len(lines) != 100 || tally.NotSucceeded() != 0 {
		t.Errorf("for 10 items that had failed, the model was asked %d times; %d items have a line, %d did not succeed", n, len(lines), tally.NotSucceeded())
	}
	f.idle()
	if kept := f.stored(); len(kept) > 0 {
		t.Errorf("of results that are joined, the store still has %d: %v", len(kept), slices.Sorted(maps.Keys(kept)))
	}
}

// TestIntegrationTemporalFresh begins anew while the earlier pass is under way: that is
// ended first.
func TestIntegrationTemporalFresh(t *testing.T) {
	f := newFleet(t, 80)
	f.worker()
	f.hold(0)
	f.run("--detach").ends(exitOK, "handed over as batch-")
	f.underWay(fleetConcurrency)
	before := f.pass()
	p := f.run("--fresh", "--set", "run.concurrency=4")
	f.until("the calls of the earlier pass have hung up", p, func() bool { return f.hungUp >= fleetConcurrency })
	f.release()
	p.ends(exitOK, "--fresh cancels", "80 succeeded")
	f.whole()
	if after := f.passes(); len(after) != 2 || !slices.Contains(after, before) {
		t.Errorf("passes: %v, then %v", before, after)
	}
	f.idle()
}
