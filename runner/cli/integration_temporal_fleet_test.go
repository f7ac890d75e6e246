//go:build integration

package cli

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"nightshift/runner"
	"nightshift/runner/temporal/temporaltest"
)

// fleetBatch asks a model about each of many rows, in shards of 20, of which 4 are
// under way at once with 4 runs each.
const fleetBatch = `version: 1
pipeline:
  name: fleet
  nodes:
    in: {type: input}
    llm: {type: llm, inputs: {provider: openai, model: gpt-5.1, prompt: "{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ llm.response }}"}}
run:
  backend: temporal
  concurrency: 16
  cache: false
  retry: {max_elapsed: 30s}
  temporal: {shard_size: 20}
batches:
  crowd: {from: rows.jsonl, map: {in: "{{ row.text }}"}, key: "{{ row.id }}"}
`

const (
	fleetConcurrency = 16
	fleetWindow      = 4
	fleetShard       = 20
)

// Where the test is killed and can end nothing, what it has started ends by itself:
// workers would poll for ever.
func init() {
	if os.Getenv(asCommand) == "" {
		return
	}
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(time.Second)
		}
		os.Exit(exitTerm)
	}()
}

// fleet is a batch on a cluster of its own: a server, workers, and a model for each of
// them, which counts what it is asked.
type fleet struct {
	t        *testing.T
	dir      string // has the batch file
	store    string
	rows     int
	rowsText string
	server   *temporaltest.Server

	connected client.Client // nil: to be connected yet
	each      int           // shards and single runs that a worker takes on at once

	mu       sync.Mutex
	takes    time.Duration // of a call
	gate     chan struct{} // nil: no call waits; else some do until it is closed
	heldFrom int
	refused  string // what is said to it with these words is wrong
	denied   bool   // no key is good
	asked    map[string]int
	open     int // calls
	held     int // of these
	hungUp   int // calls whose caller did not wait for the answer
}

// fleetWorker is a worker, and its model.
type fleetWorker struct {
	*process
	open int // calls, under the lock of the fleet
}

func newFleet(t *testing.T, rows int) *fleet {
	f := &fleet{
		t: t, dir: t.TempDir(), store: t.TempDir(), rows: rows, rowsText: fleetRows("crowd", rows), server: temporaltest.Own(t),
		each: 8, takes: 20 * time.Millisecond, asked: map[string]int{},
	}
	f.write("batch.yaml", fleetBatch)
	f.write("rows.jsonl", f.rowsText)
	return f
}

// fleetRows are rows of which each tenth is a poor one.
func fleetRows(name string, n int) string {
	var text strings.Builder
	for i := range n {
		kind := "good"
		if i%10 == 3 {
			kind = "poor"
		}
		fmt.Fprintf(&text, "{\"id\": \"%s-%d\", \"text\": \"a %s row: number %d of %s\"}\n", name, i, kind, i, name)
	}
	return text.String()
}

func (f *fleet) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) results() string { return filepath.Join(f.dir, "results", "crowd.jsonl") }

// command starts a process of the client's.
func (f *fleet) command(args ...string) *process {
	f.t.Helper()
	return startProcess(f.t, f.dir, "", f.env(), args...)
}

// env has no key of a model: only workers need one.
func (f *fleet) env() []string {
	return []string{"TEMPORAL_ADDRESS=" + f.server.Address, "NIGHTSHIFT_STORE=" + f.store, "OPENAI_API_KEY=", "HOME=" + f.store}
}

// run starts a process that runs the batch.
func (f *fleet) run(flags ...string) *process {
	f.t.Helper()
	return f.command(append([]string{"run", "batch.yaml"}, flags...)...)
}

// worker starts a worker, and returns when it works.
func (f *fleet) worker(env ...string) *fleetWorker {
	f.t.Helper()
	w := &fleetWorker{}
	model := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { f.answer(w, out, r) }))
	f.t.Cleanup(model.Close)
	env = append(append(f.env(), "OPENAI_API_KEY=a-key-that-opens-nothing", "OPENAI_BASE_URL="+model.URL+"/v1"), env...)
	w.process = startProcess(f.t, f.t.TempDir(), "", env, "worker", "--concurrency", strconv.Itoa(f.each))
	w.until("works off task queue")
	return w
}

// identity names a worker in histories.
func (w *fleetWorker) identity() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%d@%s", w.cmd.Process.Pid, host)
}

// until waits until something is so; it is asked with the lock held.
func (f *fleet) until(what string, p *process, so func() bool) {
	f.t.Helper()
	var ended <-chan struct{}
	if p != nil {
		ended = p.ended
	}
	late := time.After(40 * time.Second)
	for {
		f.mu.Lock()
		is := so()
		f.mu.Unlock()
		if is {
			return
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ended:
			f.t.Fatalf("it ended before %s:\n%s", what, p.err.String())
		case <-late:
			f.t.Fatalf("it takes too long until %s", what)
		}
	}
}

// settled waits until the store has all results that there are while calls are held.
func (f *fleet) settled() {
	f.t.Helper()
	f.until("the store has all results", nil, func() bool { return len(f.stored()) == f.calls()-f.open })
}

// stored are the ids of the items whose results are in the store.
func (f *fleet) stored() map[string]bool {
	ids := map[string]bool{}
	_ = filepath.WalkDir(filepath.Join(f.store, "passes"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".jsonl") || !strings.Contains(path, "/parts/") && !strings.Contains(path, "/results/") {
			return nil // what goes away while it is looked at is looked at once more
		}
		if file, err := os.Open(path); err == nil {
			defer file.Close()
			_ = runner.ScanLines(file, func(s *runner.ScannedLine) bool {
				ids[s.Line.ID] = true
				return true
			})
		}
		return nil
	})
	return ids
}

// kept is all that results, store and server keep of the batch.
func (f *fleet) kept() string {
	f.t.Helper()
	var text strings.Builder
	for _, dir := range []string{filepath.Join(f.dir, "results"), f.store, f.server.Home} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			text.Write(content)
			return err
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	return text.String()
}

// whole checks that each item has one line, and has succeeded, all of one generation.
func (f *fleet) whole() {
	f.t.Helper()
	lines, tally := resultLines(f.t, f.results())
	if len(lines) != f.rows || tally.NotSucceeded() > 0 {
		f.t.Errorf("%d items have a line, want %d; %d did not succeed", len(lines), f.rows, tally.NotSucceeded())
	}
	generations := map[string]bool{}
	for i := range f.rows {
		line, there := lines[fmt.Sprintf("crowd-%d", i)]
		if !there {
			f.t.Errorf("item crowd-%d has no line", i)
		}
		generations[line.Generation] = true
	}
	if len(generations) > 1 {
		f.t.Errorf("lines are of generations %v", slices.Sorted(maps.Keys(generations)))
	}
}

// passes are the ids of all workflows that ever were.
func (f *fleet) passes() []string { return f.workflows("") }

// pass is the id of the only one.
func (f *fleet) pass() string {
	f.t.Helper()
	var ids []string
	f.until("the workflow is listed", nil, func() bool {
		ids = f.passes()
		return len(ids) > 0
	})
	if len(ids) > 1 {
		f.t.Fatalf("there are several workflows: %v", ids)
	}
	return ids[0]
}

// client is connected to the server, also to the one that is started in its place.
func (f *fleet) client() client.Client {
	f.t.Helper()
	if f.connected == nil {
		c, err := f.server.Dial(f.t.Context(), client.Options{})
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(c.Close)
		f.connected = c
	}
	return f.connected
}

// workflows are the ids of those that a query finds.
func (f *fleet) workflows(query string) []string {
	f.t.Helper()
	found, err := f.client().ListWorkflow(f.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
	if err != nil {
		f.t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, e := range found.GetExecutions() {
		ids[e.GetExecution().GetWorkflowId()] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// idle checks that nothing is under way any more: neither calls nor workflows. What
// there is of workflows is known a little later than that it is so.
func (f *fleet) idle() {
	f.t.Helper()
	f.until("no call is open", nil, func() bool { return f.open == 0 })
	f.until("no workflow is running", nil, func() bool {
		return len(f.workflows("ExecutionStatus = '"+enums.WORKFLOW_EXECUTION_STATUS_RUNNING.String()+"'")) == 0
	})
}
