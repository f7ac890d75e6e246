package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nightshift/runner"
)

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func fine(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says looks for texts in an error.
func says(t *testing.T, what string, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s: no error", what)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q is not in %q", what, text, err)
		}
	}
}

// open opens a store in a new folder.
func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), t.TempDir())
	fine(t, err)
	t.Cleanup(func() { fine(t, s.Close()) })
	return s
}

const passKey = "passes/g/b/n"

// sinkOf begins an attempt of the first shard.
func sinkOf(t *testing.T, s *Store, attempt int) *ShardSink {
	t.Helper()
	k, err := s.ShardSink(t.Context(), passKey, 1, attempt)
	fine(t, err)
	return k
}

// result is a trivial one; a longer run than a millisecond counts.
func result(id string, took time.Duration) *runner.Result {
	return &runner.Result{
		ID: id, Batch: "b", Generation: "g", Status: runner.Succeeded, Digest: "d", Attempts: 1, Duration: took,
		Inputs: map[string]any{"topic": id}, Outputs: map[string]any{"text": "of " + id},
		StartedAt: time.Unix(1, 0), FinishedAt: time.Unix(2, 0),
	}
}

// record records and commits results.
func record(t *testing.T, k *ShardSink, results ...*runner.Result) {
	t.Helper()
	for _, r := range results {
		k.Record(r)
	}
	n, err := k.Commit()
	fine(t, err)
	want(t, "committed", n, len(results))
}

func finish(t *testing.T, k *ShardSink) *runner.Tally {
	t.Helper()
	sum, err := k.Finish(t.Context())
	fine(t, err)
	return sum
}

// idsOf gives the ids of lines, in their order.
func idsOf(t *testing.T, text []byte) []string {
	t.Helper()
	var ids []string
	fine(t, runner.ScanLines(strings.NewReader(string(text)), func(l *runner.ScannedLine) bool {
		fine(t, l.Err)
		if l.Torn {
			t.Errorf("line %d has no end", l.Number)
		}
		ids = append(ids, l.Line.ID)
		return true
	}))
	return ids
}

func resultsOf(t *testing.T, s *Store) (ids []string, whole bool) {
	t.Helper()
	text, whole, err := s.Results(t.Context(), passKey, 1)
	fine(t, err)
	return idsOf(t, text), whole
}

// putItems hands over a shard of n items, i1 to in.
func putItems(t *testing.T, s *Store, n int) {
	t.Helper()
	w := s.PassWriter(t.Context(), passKey, n)
	for i := range n {
		fine(t, w.Add(t.Context(), Item{ID: fmt.Sprint("i", i+1), Index: i}))
	}
	fine(t, w.Close(t.Context(), Pass{Batch: "b"}))
}
