package report

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"nightshift/runner"
)

// want compares two values of any kind.
func want(t testing.TB, what string, got, wanted any) {
	t.Helper()
	if diff := gocmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantError(t testing.TB, what string, err error, message string) {
	t.Helper()
	want(t, what, fmt.Sprint(err), message)
}

var began = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

// succeeded is the result of the item of that index, which took as many seconds
// and one more.
func succeeded(index int, id string) runner.Result {
	return runner.Result{
		ID: id, Batch: "facts", Index: index, Generation: "tonight", Status: runner.Succeeded,
		Inputs: map[string]any{"in": "say " + id}, Digest: "00112233445566778899aabbccddeeff",
		Outputs:  map[string]any{"out": "said " + id},
		Handle:   runner.Handle{PipelineID: "p", TaskID: "task-" + id, TraceID: "trace-" + id},
		Attempts: 1, StartedAt: began, FinishedAt: began.Add(time.Duration(index+1) * time.Second),
		Duration: time.Duration(index+1) * time.Second,
	}
}

func failed(index int, id, class, message string) runner.Result {
	r := succeeded(index, id)
	r.Status, r.Outputs = runner.Failed, nil
	r.Error = &runner.ErrorInfo{Class: class, Message: message}
	return r
}

// many are results in the order in which they would end, eight at once.
func many(n int) []runner.Result {
	var all []runner.Result
	for i := range n {
		all = append(all, succeeded(i^5, fmt.Sprintf("item-%06d", i^5)))
	}
	return all
}

func lines(results ...runner.Result) []byte {
	var b []byte
	for _, r := range results {
		b = r.AppendJSON(b)
	}
	return b
}

// write makes a results file.
func write(t testing.TB, results ...runner.Result) (path string) {
	t.Helper()
	return writeText(t, string(lines(results...)))
}

func writeText(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "facts.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// rerun makes the file of results that take the place of others.
func rerun(t testing.TB, path string, results ...runner.Result) {
	t.Helper()
	if err := os.WriteFile(path+".retry", lines(results...), 0o666); err != nil {
		t.Fatal(err)
	}
}

// open opens results, and keeps what is warned of.
func open(t testing.TB, path string) (r *Results, warned *[]string) {
	t.Helper()
	warned = &[]string{}
	r, err := Open(path, func(message string) { *warned = append(*warned, message) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, warned
}
