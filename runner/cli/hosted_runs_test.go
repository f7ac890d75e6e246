package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

const runsBatch = `version: 1
pipeline:
  name: kept
  nodes:
    in: {type: input}
    out: {type: output, inputs: {value: "{{ in.text }}"}}
batches:
  rows: {from: rows.jsonl, map: {in: "{{ row.in }}"}, key: "{{ row.id }}"}
run: {backend: vectorshift, poll_interval: 5ms, retry: {failed_runs: true, backoff: {initial: 5ms}}}
`

// begunRuns is a batch whose runs were left going.
type begunRuns struct {
	*testing.T
	dir    string
	server *vectorshifttest.Server

	mu    sync.Mutex
	ended bool                                // what the platform says of runs that were not terminated
	looks map[string]*vectorshifttest.Failure // what looks at the first run of an input come to
	met   map[string]bool                     // inputs of runs that were looked at
}

// newBegunRuns runs rows, and detaches when each was looked at.
func newBegunRuns(t *testing.T, rows string) *begunRuns {
	b := &begunRuns{T: t, dir: t.TempDir(), server: vectorshifttest.New(), looks: map[string]*vectorshifttest.Failure{}, met: map[string]bool{}}
	t.Cleanup(b.server.Close)
	t.Setenv("VECTORSHIFT_API_KEY", b.server.Key)
	t.Setenv("VECTORSHIFT_BASE_URL", b.server.URL)
	t.Setenv("NIGHTSHIFT_STATE", "")
	b.server.Set(vectorshifttest.Settings{Before: b.before})
	b.write("batch.yaml", runsBatch)
	b.rows(rows)
	p := startProcess(t, b.dir, "", nil, "run", "batch.yaml", "--on-interrupt", "detach")
	b.until(p, func() bool { return len(b.met) == len(strings.Fields(rows)) })
	p.signal(syscall.SIGINT)
	p.ends(exitInterrupt, "left going")
	b.forget()
	return b
}

// before lets runs go on until they are said to have ended.
func (b *begunRuns) before(c vectorshifttest.Call) *vectorshifttest.Failure {
	if c.Op != vectorshifttest.Status {
		return nil
	}
	earlier := map[string]bool{}
	for _, r := range b.server.Runs() {
		in := r.Inputs["in"].(string)
		first := !earlier[in]
		earlier[in] = true
		if r.TaskID != c.TaskID || !r.Terminated.IsZero() {
			continue
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.met[in] = true
		if f := b.looks[in]; f != nil && first {
			return f
		}
		if !b.ended {
			return &vectorshifttest.Failure{Status: http.StatusOK, Body: `{"task_id":"` + c.TaskID + `","status":"in_progress"}`}
		}
	}
	return nil
}

func (b *begunRuns) until(p *process, true func() bool) {
	b.Helper()
	for {
		b.mu.Lock()
		done := true()
		b.mu.Unlock()
		if done {
			return
		}
		select {
		case <-p.ended:
			b.Fatalf("it ended:\n%s", p.err.String())
		case <-time.After(time.Millisecond):
		}
	}
}

func (b *begunRuns) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.met)
}

func (b *begunRuns) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

func (b *begunRuns) fails(in string, status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks[in] = &vectorshifttest.Failure{Status: status}
}

// rows writes the source: "a b=x" are a row a with the input a, and b with x.
func (b *begunRuns) rows(names string) {
	b.Helper()
	var text strings.Builder
	for name := range strings.FieldsSeq(names) {
		id, in, edited := strings.Cut(name, "=")
		if !edited {
			in = id
		}
		text.WriteString(`{"id": "` + id + `", "in": "` + in + `"}` + "\n")
	}
	b.write("rows.jsonl", text.String())
}

func (b *begunRuns) write(name, text string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

func (b *begunRuns) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(b.dir, name))
	return string(text)
}

// shown is a line of runs.
type shownRun struct {
	ID, Status string
	TaskID     string `json:"task_id"`
	Orphan     *bool
}

// runs runs the command, and gives "id status" of each line, with a "!" for orphans
// and a "?" where that is not known.
func (b *begunRuns) runs(code int, flags ...string) (list, said string) {
	b.Helper()
	var out, errs bytes.Buffer
	args := append([]string{"runs", filepath.Join(b.dir, "batch.yaml")}, flags...)
	if got := execute(b.Context(), args, streams{strings.NewReader(""), &out, &console{w: &errs}}); got != code {
		b.Fatalf("%v: exit code %d, want %d; it said:\n%s", args, got, code, errs.String())
	}
	var all []string
	for line := range bytes.Lines(out.Bytes()) {
		if !runLine.Match(line) {
			b.Errorf("not the line of a run: %s", line)
		}
		var r shownRun
		if err := json.Unmarshal(line, &r); err != nil {
			b.Fatal(err)
		}
		mark := ""
		if r.Orphan == nil {
			mark = "?"
		} else if *r.Orphan {
			mark = "!"
		}
		all = append(all, r.ID+mark+" "+r.Status)
	}
	slices.Sort(all)
	return strings.Join(all, ", "), errs.String()
}

var runLine = regexp.MustCompile(`^\{"batch":"rows","id":"\w+","pipeline_id":"[0-9a-f]{24}","task_id":(null|"[0-9a-f]{24}"),"trace_id":"[0-9a-f]{32}","attempt":1,"started_at":"[-0-9]{10}T[:0-9]{8}Z","possible_duplicate":false,"orphan":(true|false|null),"status":"\w+","word":(null|"\w+")\}` + "\n$")

func (b *begunRuns) shows(what, wanted string, code int, flags ...string) string {
	b.Helper()
	list, said := b.runs(code, flags...)
	if list != wanted {
		b.Errorf("%s: %s\nwant %s\nit said: %s", what, list, wanted, said)
	}
	return said
}

// states are those of the runs on the platform, by their inputs.
func (b *begunRuns) states() string {
	states := map[string]runner.State{}
	for _, r := range b.server.Runs() {
		states[r.Inputs["in"].(string)] = r.State
	}
	var all []string
	for _, in := range slices.Sorted(maps.Keys(states)) {
		all = append(all, in+" "+string(states[in]))
	}
	return strings.Join(all, ", ")
}

// TestHostedRunsShows: runs that were left going are shown, and nothing is changed.
func TestHostedRunsShows(t *testing.T) {
	b := newBegunRuns(t, "a b c d")
	journal := b.read("results/rows.jsonl.journal")
	b.shows("all", "a running, b running, c running, d running", exitOK)
	b.rows("a c=edited d e")
	b.shows("orphans", "a running, b! running, c! running, d running", exitOK)
	b.shows("orphans alone", "b! running, c! running", exitOK, "--orphans")
	b.fails("d", http.StatusNotFound)
	b.shows("one is not known", "a running, b! running, c! running, d unknown", exitOK)
	b.fails("d", http.StatusInternalServerError)
	said := b.shows("one look fails", "a running, b! running, c! running, d unknown", exitBackend)
	if !strings.Contains(said, "how some runs stand is not known: GET ") || !strings.Contains(said, "500") {
		t.Errorf("it said %s", said)
	}
	b.shows("rows that can be read once only", "a? running, b? running, c? running, d? unknown", exitBackend, "--set", "batches.rows.from=-")
	b.write("rows.jsonl", "garbage\n")
	b.shows("rows that cannot be read", "a? running, b? running, c? running, d? unknown", exitBackend)
	b.rows("a")
	b.shows("another batch file's results", "", exitOK, "--output", "nowhere.jsonl")

	held, err := runner.HoldJournal(filepath.Join(b.dir, "results/rows.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	b.shows("while another writes", "a running, b! running, c! running, d! unknown", exitBackend)
	for _, flag := range []string{"--terminate", "--adopt"} {
		b.fails("d", http.StatusNotFound)
		if _, said := b.runs(exitLocked, flag); !strings.Contains(said, "another nightshift writes these results") {
			t.Errorf("%s said %s", flag, said)
		}
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if now := b.read("results/rows.jsonl.journal"); now != journal {
		t.Errorf("the journal was changed:\n%s\nto\n%s", journal, now)
	}
	if n := len(b.server.Calls(vectorshifttest.Terminate)); n > 0 || len(b.server.Runs()) != 4 {
		t.Errorf("%d terminated, %d runs", n, len(b.server.Runs()))
	}
}

// TestHostedRunsTerminate: runs are ended, and the next run starts what is left of
// them, none as a possible duplicate.
func TestHostedRunsTerminate(t *testing.T) {
	b := newBegunRuns(t, "a b c d")
	b.rows("a c=edited d")
	b.shows("orphans", "b! cancelled, c! cancelled", exitOK, "--orphans", "--terminate")
	b.shows("left", "a running, d running", exitOK)
	b.fails("d", http.StatusNotFound)
	b.server.Fail(vectorshifttest.Terminate, 1, vectorshifttest.Failure{Status: http.StatusForbidden})
	said := b.shows("a call fails", "a running, d unknown", exitBackend, "--terminate")
	if !strings.Contains(said, "of item a may go on: POST ") {
		t.Errorf("it said %s", said)
	}
	b.server.Fail(vectorshifttest.Terminate, 1, vectorshifttest.Failure{Status: http.StatusServiceUnavailable}) // which passes
	b.shows("all that run", "a cancelled, d unknown", exitOK, "--terminate")
	b.shows("one that the platform does not know is left to run", "d unknown", exitOK)

	b.end()
	p := startProcess(t, b.dir, "", nil, "run", "batch.yaml")
	p.ends(exitOK)
	results := b.read("results/rows.jsonl")
	for line, attempts := range map[string]string{"a": `"attempts":2`, "c": `"attempts":1`, "d": `"attempts":2`} {
		i := strings.Index(results, `{"id":"`+line+`"`)
		of, _, _ := strings.Cut(results[max(i, 0):], "\n")
		if i < 0 || !strings.Contains(of, attempts) || strings.Contains(of, `"possible_duplicate":true`) != (line == "d") {
			t.Errorf("%s: %s", line, of)
		}
	}
	said = b.shows("nothing", "", exitOK)
	if !strings.Contains(said, "no runs are begun whose end is not known") {
		t.Errorf("it said %s", said)
	}
}

// TestHostedRunsAdopt: the runs whose items are there are waited for; nothing is
// started, saved or terminated.
func TestHostedRunsAdopt(t *testing.T) {
	b := newBegunRuns(t, "a b c d f")
	b.rows("a c=edited d e f")
	b.fails("f", http.StatusNotFound)
	calls := func() int {
		return len(b.server.Calls(vectorshifttest.Start, vectorshifttest.Save, vectorshifttest.Create, vectorshifttest.Terminate))
	}
	before := calls()
	b.forget()
	p := startProcess(t, b.dir, "", nil, "runs", "batch.yaml", "--adopt")
	p.until("re-attached")
	b.forget()
	b.until(p, func() bool { return b.met["a"] && b.met["d"] })
	p.signal(syscall.SIGINT)
	p.ends(exitInterrupt, "left going")
	b.shows("still", "a running, b! running, c! running, d running, f unknown", exitOK)

	b.end()
	b.mu.Lock()
	b.looks["d"] = &vectorshifttest.Failure{Status: http.StatusOK, Body: `{"status":"failed","error":"it went wrong"}`}
	b.mu.Unlock()
	p = startProcess(t, b.dir, "", nil, "runs", "batch.yaml", "--adopt")
	p.ends(exitItems, "3 runs are not adopted: 2 are orphans, which run or --terminate ends; 1 is not known to the platform, and run starts it again", "0 already done, 2 re-attached, 0 to do")
	if n := calls() - before; n != 0 {
		t.Errorf("%d calls change something", n)
	}
	results := b.read("results/rows.jsonl")
	if strings.Count(results, "\n") != 2 || !strings.Contains(results, `"outputs":{"out":"a"}`) || !strings.Contains(results, "it went wrong") {
		t.Errorf("results:\n%s", results)
	}
	b.shows("left", "b! succeeded, c! succeeded, f unknown", exitOK)
	if wanted := "a succeeded, b succeeded, c succeeded, d succeeded, f succeeded"; b.states() != wanted {
		t.Errorf("runs: %s, want %s", b.states(), wanted)
	}

	b.write("batch.yaml", strings.Replace(runsBatch, "{{ in.text }}", "{{ in.text }}!", 1))
	b.mu.Lock()
	clear(b.looks)
	b.mu.Unlock()
	if _, said := b.runs(exitUsage, "--adopt"); !strings.Contains(said, "the pipeline has changed since these runs were begun; --accept-changed-pipeline") || strings.Contains(said, "--fresh") {
		t.Errorf("with another pipeline it said %s", said)
	}
	b.runs(exitItems, "--adopt", "--accept-changed-pipeline")
	b.shows("adopted", "b! succeeded, c! succeeded", exitOK)
}

// TestHostedRunsInDoubt: a start of which no run is known is told, and nothing else is
// said to be done about it.
func TestHostedRunsInDoubt(t *testing.T) {
	b := &begunRuns{T: t, dir: t.TempDir(), server: vectorshifttest.New()}
	t.Cleanup(b.server.Close)
	t.Setenv("VECTORSHIFT_API_KEY", b.server.Key)
	t.Setenv("VECTORSHIFT_BASE_URL", b.server.URL)
	t.Setenv("NIGHTSHIFT_STATE", "")
	b.write("batch.yaml", runsBatch)
	b.rows("a")
	met, release := holdStarts(b.server)
	p := startProcess(t, b.dir, "", nil, "run", "batch.yaml")
	<-met
	p.kill()
	close(release)
	const doubt = "1 start has no known run"
	for flags, wanted := range map[string]string{
		"":            doubt + ": run looks for it, or starts it again",
		"--adopt":     doubt + ": run looks for it, or starts it again",
		"--terminate": doubt + ", so what came of it cannot be ended; the trace ids are ",
	} {
		said := b.shows(flags, "a unknown", exitOK, strings.Fields(flags)...)
		if !strings.Contains(said, wanted) || strings.Contains(said, "not adopted") {
			t.Errorf("%s said %s", flags, said)
		}
	}
}

// TestAdoptingStartsNothing: where another nightshift has terminated a run since it was
// shown, its item is not begun again.
func TestAdoptingStartsNothing(t *testing.T) {
	g, err := runner.OpenGeneration(runner.GenerationOptions{Path: filepath.Join(t.TempDir(), "r.jsonl"), Batch: "b", Outlive: true, LookOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if s := (adopting{g}).Of(&spec.Item{ID: "a", Digest: "d"}); !s.Skip {
		t.Errorf("an item without a run: %+v", s)
	}
}
