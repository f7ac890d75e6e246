package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
)

// objectsOf gives the endings of the objects that hold the results of the first shard.
func objectsOf(t *testing.T, s *Store) []string {
	t.Helper()
	entries, err := s.list(t.Context(), resultsFolder(passKey, 1))
	fine(t, err)
	var endings []string
	for _, e := range entries {
		_, ending, _ := strings.Cut(e.name, ".")
		endings = append(endings, ending)
	}
	return endings
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	fine(t, err)
	return string(text)
}

func TestTrivialResultsWait(t *testing.T) {
	s := open(t)
	k := sinkOf(t, s, 1)
	record(t, k, result("i1", 0), result("i2", time.Millisecond-1))
	want(t, "objects", objectsOf(t, s), []string(nil))
	sum := finish(t, k)
	want(t, "sum", sum.Items, 2)
	want(t, "objects", objectsOf(t, s), []string{"whole.jsonl"})
	ids, whole := resultsOf(t, s)
	want(t, "ids", ids, []string{"i1", "i2"})
	want(t, "whole", whole, true)
	text, _, err := s.Results(t.Context(), passKey, 1)
	fine(t, err)
	want(t, "text", string(text), string(result("i2", 0).AppendJSON(result("i1", 0).AppendJSON(nil))))
}

// TestResultsThatCount are written when Commit returns.
func TestResultsThatCount(t *testing.T) {
	paid, failed := result("i1", 0), result("i1", 0)
	paid.Usage = &runner.Usage{}
	failed.Status, failed.Outputs, failed.Error = runner.Failed, nil, &runner.ErrorInfo{Class: "run_failed"}
	for what, r := range map[string]*runner.Result{
		"long": result("i1", time.Millisecond), "paid": paid, "failed": failed,
	} {
		s := open(t)
		k := sinkOf(t, s, 1)
		record(t, k, result("i2", 0), r)
		want(t, what, objectsOf(t, s), []string{"part.jsonl"})
		record(t, k, result("i3", 0))
		want(t, what, objectsOf(t, s), []string{"part.jsonl"})
		fine(t, k.Flush(t.Context()))
		fine(t, k.Flush(t.Context()))
		want(t, what, objectsOf(t, s), []string{"part.jsonl", "part.jsonl"})
		ids, whole := resultsOf(t, s)
		want(t, what, ids, []string{"i2", "i1", "i3"})
		want(t, what, whole, false)
	}
}

// TestManyTrivialResults do not stay in memory.
func TestManyTrivialResults(t *testing.T) {
	s := open(t)
	k := sinkOf(t, s, 1)
	big := result("i1", 0)
	big.Outputs = map[string]any{"text": strings.Repeat("x", mostPending)}
	record(t, k, big)
	want(t, "objects", objectsOf(t, s), []string{"part.jsonl"})
	want(t, "pending", len(k.pending), 0)
}

func TestNextAttempt(t *testing.T) {
	s := open(t)
	putItems(t, s, 3)
	record(t, sinkOf(t, s, 1), result("i1", 1e9))
	k := sinkOf(t, s, 2)
	want(t, "finished", k.Finished(), false)
	want(t, "i1", k.Done("i1"), true)
	want(t, "i2", k.Done("i2"), false)
	record(t, k, result("i2", 1e9), result("i3", 0), result("i1", 1e9))
	sum := finish(t, k)
	want(t, "sum", sum.Items, 3)
	want(t, "statuses", sum.Statuses, map[runner.State]int{runner.Succeeded: 3})
	want(t, "objects", objectsOf(t, s), []string{"whole.jsonl"})

	for attempt := 3; attempt < 5; attempt++ {
		k = sinkOf(t, s, attempt)
		want(t, "finished", k.Finished(), true)
		want(t, "i3", k.Done("i3"), true)
		want(t, "sum of earlier ones", asJSON(t, k.Tally()), asJSON(t, sum))
		want(t, "sum again", asJSON(t, finish(t, k)), asJSON(t, sum))
		want(t, "sum once more", asJSON(t, finish(t, k)), asJSON(t, sum))
		want(t, "objects", objectsOf(t, s), []string{"whole.jsonl"})
	}
	ids, whole := resultsOf(t, s)
	want(t, "ids", ids, []string{"i1", "i2", "i3"})
	want(t, "whole", whole, true)
}

// TestCutOffAttempt ends with items left, before the next one begins: these are to be
// run all the same.
func TestCutOffAttempt(t *testing.T) {
	s := open(t)
	putItems(t, s, 2)
	k := sinkOf(t, s, 1)
	record(t, k, result("i1", 1e9))
	finish(t, k)
	k = sinkOf(t, s, 2)
	want(t, "finished", k.Finished(), false)
	want(t, "i1", k.Done("i1"), true)
	record(t, k, result("i2", 0))
	want(t, "sum", finish(t, k).Items, 2)
	want(t, "finished", sinkOf(t, s, 3).Finished(), true)
}

// TestFinishOfNothing is that of a shard that was stopped before its first item.
func TestFinishOfNothing(t *testing.T) {
	s := open(t)
	putItems(t, s, 1)
	want(t, "sum", finish(t, sinkOf(t, s, 1)).Items, 0)
	text, whole, err := s.Results(t.Context(), passKey, 1)
	fine(t, err)
	want(t, "text", string(text), "")
	want(t, "whole", whole, true)
	want(t, "finished", sinkOf(t, s, 2).Finished(), false)
}

func TestNoResults(t *testing.T) {
	text, whole, err := open(t).Results(t.Context(), passKey, 1)
	fine(t, err)
	if text != nil || whole {
		t.Errorf("%q, %v", text, whole)
	}
}

// TestCommitOutlastsContext writes what counts although the activity was cancelled.
func TestCommitOutlastsContext(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	k, err := s.ShardSink(ctx, passKey, 1, 1)
	fine(t, err)
	cancel()
	record(t, k, result("i1", 1e9))
	want(t, "objects", objectsOf(t, s), []string{"part.jsonl"})
	if _, err = k.Finish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	want(t, "objects", objectsOf(t, s), []string{"part.jsonl"})
}

// TestCommitFails keeps what could not be written for another try.
func TestCommitFails(t *testing.T) {
	s := open(t)
	k := sinkOf(t, s, 1)
	wall := filepath.Join(s.String(), "passes")
	fine(t, os.WriteFile(wall, nil, 0o600))
	k.Record(result("i1", 1e9))
	n, err := k.Commit()
	want(t, "committed", n, 0)
	if e, ok := errors.AsType[*runner.ResultsError](err); !ok {
		t.Errorf("it is no *runner.ResultsError: %v", err)
	} else {
		says(t, "commit", e, "cannot write results to passes/g/b/n/results/000001/: store "+s.String()+": cannot write passes/g/b/n/results/000001/0001-", "not a directory")
	}
	_, err = k.Finish(t.Context())
	says(t, "finish", err, "cannot list passes/g/b/n/results/000001/")
	fine(t, os.Remove(wall))
	want(t, "sum", finish(t, k).Items, 1)
	ids, _ := resultsOf(t, s)
	want(t, "ids", ids, []string{"i1"})
}

// TestIDsAsWritten compares ids as lines have them.
func TestIDsAsWritten(t *testing.T) {
	s := open(t)
	k := sinkOf(t, s, 1)
	record(t, k, result("a\xff", 1e9), result("a\ufffd", 1e9), result("b\u2028\n", 1e9))
	ids, _ := resultsOf(t, s)
	want(t, "ids", ids, []string{"a\ufffd", "b\u2028\n"})
	k = sinkOf(t, s, 2)
	want(t, "done", []bool{k.Done("a\ufffd"), k.Done("b\u2028\n"), k.Done("b")}, []bool{true, true, false})
}

func TestDamagedResults(t *testing.T) {
	line := string(result("i1", 0).AppendJSON(nil))
	bare := strings.TrimSuffix(line, "\n")
	for _, test := range []struct {
		text string
		ids  []string
		says string
	}{
		{line + `{"id":"i2","ba`, []string{"i1"}, ""},
		{bare, []string{"i1"}, ""},
		{"", nil, ""},
		{line + "x\n" + line, nil, "0001-x-000001.part.jsonl, line 2 is damaged"},
		{"\n", nil, "0001-x-000001.part.jsonl, line 1 is damaged"},
	} {
		s := open(t)
		fine(t, s.put(t.Context(), resultsFolder(passKey, 1)+"0001-x-000001.part.jsonl", []byte(test.text)))
		text, _, err := s.Results(t.Context(), passKey, 1)
		if test.says != "" {
			says(t, test.text, err, test.says)
			_, err = s.ShardSink(t.Context(), passKey, 1, 1)
			says(t, test.text, err, test.says)
			continue
		}
		fine(t, err)
		want(t, test.text, idsOf(t, text), test.ids)
		sum := finish(t, sinkOf(t, s, 2))
		want(t, test.text, sum.Items, len(test.ids))
		ids, _ := resultsOf(t, s)
		want(t, test.text, ids, test.ids)
	}
}

func FuzzResults(f *testing.F) {
	line := result("i1", 0).AppendJSON(nil)
	f.Add(line, line)
	f.Add(line[:len(line)-1], []byte("{}\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s := inMemory()
		fine(t, s.put(t.Context(), resultsFolder(passKey, 1)+"a.whole.jsonl", a))
		fine(t, s.put(t.Context(), resultsFolder(passKey, 1)+"b.part.jsonl", b))
		text, whole, err := s.Results(t.Context(), passKey, 1)
		if err != nil {
			says(t, "error", err, "passes/g/b/n/results/000001/")
			return
		}
		want(t, "whole", whole, true)
		ids := idsOf(t, text)
		seen := map[string]bool{}
		for _, id := range ids {
			if seen[id] {
				t.Errorf("%q is there twice", id)
			}
			seen[id] = true
		}
		putItems(t, s, 1)
		want(t, "sum", finish(t, sinkOf(t, s, 1)).Items, len(ids))
		again, _, err := s.Results(t.Context(), passKey, 1)
		fine(t, err)
		want(t, "again", string(again), string(text))
	})
}

// TestListResults tells the size of no results, of parts, and of a whole.
func TestListResults(t *testing.T) {
	s := open(t)
	check := func(what string, wantWhole bool) {
		t.Helper()
		text, _, err := s.Results(t.Context(), passKey, 1)
		fine(t, err)
		found, err := s.ListResults(t.Context(), passKey, 1)
		fine(t, err)
		want(t, what, found.Size, int64(len(text)))
		want(t, what, found.Whole, wantWhole)
	}
	check("none", false)
	k := sinkOf(t, s, 1)
	record(t, k, result("i1", 1e9))
	check("one part", false)
	record(t, k, result("i2", 1e9), result("i3", 1e9))
	check("two parts", false)
	finish(t, k)
	check("whole", true)
}

// TestResultsInMemory reads large results without holding them twice.
func TestResultsInMemory(t *testing.T) {
	s := open(t)
	k := sinkOf(t, s, 1)
	const size, results = 1 << 20, 16
	for i := range results {
		r := result(fmt.Sprint("i", i), 1e9)
		r.Outputs = map[string]any{"text": strings.Repeat("x", size)}
		record(t, k, r)
	}
	finish(t, k)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	text, _, err := s.Results(t.Context(), passKey, 1)
	fine(t, err)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(len(text))+4*size {
		t.Errorf("%d MB of results took %d MB", len(text)>>20, used>>20)
	}
	want(t, "ids", len(idsOf(t, text)), results)
}
