package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"nightshift/spec"
)

const batchHead = `version: 1
pipeline:
  name: fake
  nodes:
    id: {type: input}
    do: {type: input}
    out: {type: output, inputs: {value: "{{ id.text }} {{ do.text }}"}}
batches:
  b:
    key: "{{ row.id }}"
`

// newPlan plans a batch of items, each written as its id and the script of its
// run (see fake): "a 5s fail".
func newPlan(t testing.TB, items ...string) *Plan {
	rows := []any{}
	for _, item := range items {
		id, do, _ := strings.Cut(item, " ")
		rows = append(rows, map[string]any{"id": id, "do": do})
	}
	inline, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	return planOf(t, batchHead+"    inputs: "+string(inline)+"\n")
}

// traceOf is the trace id of an attempt at an item of a plan.
func traceOf(t testing.TB, plan *Plan, id string, attempt int) string {
	digest := ""
	err := plan.Batch.Items(nil, func(it spec.Item) bool {
		if it.ID == id {
			digest = it.Digest
		}
		return digest == ""
	})
	if err != nil || digest == "" {
		t.Fatalf("item %s: %v", id, err)
	}
	return traceID(plan.Generation, plan.Batch.Name, id, digest, attempt)
}

// stdinPlan plans a batch whose items are read from r, as the JSON that jsonl gives.
func stdinPlan(t testing.TB, r io.Reader) *Plan {
	plan := planOf(t, batchHead+"    from: \"-\"\n")
	plan.Stdin = r
	return plan
}

func planOf(t testing.TB, batchFile string) *Plan {
	file, problems := spec.Parse("batch.yaml", []byte(batchFile), spec.Options{Env: func(string) (string, bool) { return "", false }})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return &Plan{Batch: file.Batches[0], PipelineID: "p", Generation: "g", Total: -1, Concurrency: 2, PollInterval: time.Second, Retry: file.Run.Retry, Redactor: file.Redactor}
}

// jsonl is the line of an item that is written as in newPlan.
func jsonl(item string) string {
	id, do, _ := strings.Cut(item, " ")
	return fmt.Sprintf("{\"id\": %q, \"do\": %q}\n", id, do)
}

// memory is a Recorder that keeps results, and a Sink that keeps events.
type memory struct {
	mu      sync.Mutex
	pending []*Result
	results []*Result
	commits []int
	events  []Event
	block   chan struct{} // where set, Commit waits for a token
}

func (m *memory) Record(r *Result) { m.pending = append(m.pending, r) }

func (m *memory) Commit() (int, error) {
	if m.block != nil {
		<-m.block
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.pending)
	m.results = append(m.results, m.pending...)
	m.commits = append(m.commits, n)
	m.pending = nil
	return n, nil
}

func (m *memory) Handle(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}

// night is how a batch went.
type night struct {
	Outcome
	err     error
	took    time.Duration
	results map[string]*Result // by id
	events  []Event
}

// play runs a plan, and checks what is true of every night.
func play(t testing.TB, ctx context.Context, plan *Plan, backend Backend) night {
	t.Helper()
	began := time.Now()
	m := &memory{}
	sinks := []Sink{m}
	if l, ok := plan.Journal.(*ledger); ok {
		sinks = append(sinks, l)
	}
	outcome, err := Run(ctx, plan, backend, m, sinks...)
	n := night{Outcome: outcome, err: err, took: time.Since(began), results: map[string]*Result{}, events: m.events}
	counts := map[State]int{}
	for _, r := range m.results {
		counts[r.Status]++
		if r.Error != nil && r.Error.Class == spec.DuplicateKey {
			continue // it has the id of another
		}
		if n.results[r.ID] != nil {
			t.Errorf("item %s has two results", r.ID)
		}
		n.results[r.ID] = r
	}
	if !maps.Equal(counts, outcome.Counts) || outcome.Total() != len(m.results) {
		t.Errorf("results by status are %v, the outcome says %v", counts, outcome.Counts)
	}
	if err := properOrder(m.events); err != nil {
		t.Error(err)
	}
	return n
}

// properOrder says what is wrong with the events of a batch.
func properOrder(events []Event) error {
	if len(events) < 2 || events[0].Kind != Planned || events[len(events)-1].Kind != Ended {
		return errors.New("the first event must be Planned and the last one Ended")
	}
	at, attempts := map[string]EventKind{}, map[string]int{}
	stopped := false
	for i, e := range events {
		if e.Batch != "b" || e.Time.IsZero() {
			return fmt.Errorf("event %d has no batch or no time", i)
		}
		if e.Kind == Finished && e.Result.Error != nil && e.Result.Error.Class == spec.DuplicateKey {
			continue
		}
		before, known := at[e.ID]
		ok := true
		switch e.Kind {
		case Planned, Ended:
			ok = i == 0 || i == len(events)-1
		case Stopped:
			ok, stopped = !stopped && e.Reason != "", true
		case Started:
			ok = (!known || before == Parked || before == Attached) && e.Attempt > attempts[e.ID] && e.Handle.TaskID != ""
		case Attached:
			ok = (!known || before == Parked) && e.Attempt > 0 && e.Handle.TaskID != ""
		case Parked:
			ok = (!known || before == Started || before == Resumed || before == Parked || before == Attached) && !e.Until.IsZero()
		case Resumed:
			ok = before == Parked
		case Finished:
			ok = before != Finished && e.Result.ID == e.ID && (known || e.Result.Handle.TaskID == "")
		case Limited:
			continue
		}
		if !ok {
			return fmt.Errorf("event %d of item %q, of kind %d, comes after kind %d", i, e.ID, e.Kind, before)
		}
		at[e.ID], attempts[e.ID] = e.Kind, e.Attempt
	}
	return nil
}

// ids lists the results with this status.
func (n night) ids(status State) []string {
	var ids []string
	for id, r := range n.results {
		if r.Status == status {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// want compares two values of any kind.
func want(t testing.TB, what string, got, wanted any) {
	t.Helper()
	if diff := gocmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// after calls f when that much time has passed.
func after(d time.Duration, f func()) { time.AfterFunc(d, f) }

func TestStartIsGivenWhatTheBatchSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "a 1s")
		plan.Batch.Version = "7"
		plan.Batch.NodeInputOverrides = map[string]any{"llm.model": "small"}
		backend := newFake(t)
		n := play(t, t.Context(), plan, waiting{backend})
		trace := traceOf(t, plan, "a", 1)
		want(t, "options", backend.options, []StartOptions{{TraceID: trace, NodeInputOverrides: plan.Batch.NodeInputOverrides, Version: "7"}})
		want(t, "handle", n.results["a"].Handle, Handle{PipelineID: "p", TaskID: "run-0", TraceID: trace})
	})
}

func TestResultTellsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		n := play(t, t.Context(), newPlan(t, "a 90s", "b 10s"), waiting{newFake(t)})
		r := n.results["b"]
		want(t, "result", *r, Result{
			ID: "b", Batch: "b", Index: 1, Generation: "g", Status: Succeeded,
			Inputs: map[string]any{"id": "b", "do": "10s"}, Digest: r.Digest, Outputs: map[string]any{"out": "b"},
			Handle: r.Handle, Attempts: 1, StartedAt: began, FinishedAt: began.Add(10 * time.Second), Duration: 10 * time.Second,
		})
		if len(r.Digest) != 32 {
			t.Errorf("digest %q", r.Digest)
		}
		want(t, "took", n.took, 90*time.Second)
	})
}

func TestEmptySource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := newFake(t)
		n := play(t, t.Context(), stdinPlan(t, strings.NewReader("\n\n")), waiting{backend})
		want(t, "outcome", n.Outcome, Outcome{Counts: map[State]int{}})
		want(t, "calls", backend.log("start"), []string{})
		want(t, "events", len(n.events), 2)
		if n.err != nil {
			t.Error(n.err)
		}
	})
}
