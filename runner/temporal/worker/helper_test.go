package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func fine(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const passKey = "passes/g/facts/n"

// batchFile is a file whose items say what their runs do; see fake.
const batchFile = `version: 1
pipeline:
  name: talk
  nodes:
    do: {type: input, inputs: {input_type: string}}
    answer: {type: output, inputs: {output_type: string, value: "{{ do.text }}${SUFFIX:-}"}}
batches:
  facts: {inputs: [{do: ok}]}
`

// world is a store with one pass in it, and what workers have in common.
type world struct {
	t        *testing.T
	dir      string
	file     *spec.File
	pass     store.Pass
	size     int             // of shards
	ids      []string        // of items; nil: item1, item2, ...
	standing runner.Standing // of all items
	backend  *fake
	env      map[string]string
	say      []string

	mu   sync.Mutex
	told flow.ShardProgress // by the last sign of life
}

// newWorld makes a world; run is what stands under run: in the batch file.
func newWorld(t *testing.T, run string) *world {
	w := &world{t: t, dir: t.TempDir(), size: 200, backend: newFake(), env: map[string]string{}}
	w.load(batchFile + run)
	w.pass = store.Pass{Batch: "facts", Generation: "g", Rows: -1, Concurrency: 4, Window: 4}
	return w
}

func (w *world) load(text string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "batch.yaml")
	fine(w.t, os.WriteFile(path, []byte(text), 0o600))
	file, problems := spec.Load(path, spec.Options{Env: w.lookup})
	if wrong, _ := problems.Split(); len(wrong) > 0 {
		w.t.Fatal(wrong)
	}
	w.file = file
}

func (w *world) lookup(name string) (string, bool) {
	value, set := w.env[name]
	return value, set
}

func (w *world) store() *store.Store {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), w.dir)
	fine(w.t, err)
	return s
}

// hand puts the pass into the store, with an item for each script.
func (w *world) hand(scripts ...string) {
	w.t.Helper()
	s := w.store()
	bundle, err := w.file.Bundle()
	fine(w.t, err)
	w.pass.Bundle, err = s.PutBundle(w.t.Context(), bundle)
	fine(w.t, err)
	if w.pass.Pipeline == "" {
		w.pass.Pipeline = w.file.Digest(w.file.Batches[0], w.file.Redactor)
	}
	items := s.PassWriter(w.t.Context(), passKey, w.size)
	for i, it := range itemsOf(scripts) {
		if w.ids != nil {
			it.ID = w.ids[i]
		}
		fine(w.t, items.Add(w.t.Context(), store.ItemOf(it, w.standing)))
	}
	fine(w.t, items.Close(w.t.Context(), w.pass))
}

// itemsOf are items that do as scripts say.
func itemsOf(scripts []string) []spec.Item {
	var items []spec.Item
	for i, script := range scripts {
		items = append(items, spec.Item{ID: fmt.Sprint("item", i+1), Index: i, Inputs: map[string]any{"do": script}, Digest: fmt.Sprint("digest", i+1)})
	}
	return items
}

// times is a script for each of n items.
func times(n int, script string) []string { return slices.Repeat([]string{script}, n) }

// worker makes one of the workers of this world. It is to be closed.
func (w *world) worker() *work {
	made := newWorker(Options{
		Env: w.lookup, Concurrency: 4, TaskQueue: "q",
		Open: func(_ context.Context, _ *spec.File, files func(string) ([]byte, error)) (Opened, error) {
			return w.backend.make(files)
		},
		Say: func(line string) { w.say = append(w.say, line) },
	})
	made.identity = "7@here"
	made.cancels = func(context.Context, workflow.Execution) (bool, error) { return true, nil }
	made.info = func(ctx context.Context) activity.Info {
		info := activity.GetInfo(ctx)
		info.Attempt, info.HeartbeatTimeout = int32(ctx.Value(attemptKey{}).(int)), 20*time.Second
		return info
	}
	made.told = func(context.Context) flow.ShardProgress {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.told
	}
	made.beat = func(_ context.Context, _ []byte, p flow.ShardProgress) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = p
		return nil
	}
	return made
}

type attemptKey struct{}

// tries is how an activity is called here: in the environment of the SDK, as a try of
// that number.
func tries[In, Out any](t *testing.T, attempt int, fn func(context.Context, In) (Out, error), in In) (end Out, err error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(func(ctx context.Context, in In) (Out, error) {
		return fn(context.WithValue(ctx, attemptKey{}, attempt), in)
	}, activity.RegisterOptions{Name: "try"})
	value, err := env.ExecuteActivity("try", in)
	if err == nil {
		fine(t, value.Get(&end))
	}
	return end, err
}

// shard runs the first shard, in a try of that number.
func (w *world) shard(at *work, attempt int) (flow.ShardEnd, error) {
	w.t.Helper()
	return tries(w.t, attempt, at.shard, w.first())
}

// first is the first shard.
func (w *world) first() flow.Shard {
	return flow.Shard{Store: w.dir, Pass: passKey, Number: 1, Window: 4}
}

// kindOf is the type of an error of an activity, and whether it is tried again.
func kindOf(err error) (kind string, again bool) {
	if temporal.IsCanceledError(err) {
		return "cancelled", false
	}
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok {
		return fmt.Sprintf("%T", err), true
	}
	return app.Type(), !app.NonRetryable()
}

// lines are the result lines of the first shard by id, and whether it has ended.
func (w *world) lines() (lines map[string]*runner.Result, whole bool) {
	w.t.Helper()
	s := w.store()
	text, whole, err := s.Results(w.t.Context(), passKey, 1)
	fine(w.t, err)
	lines = map[string]*runner.Result{}
	for line := range strings.Lines(string(text)) {
		r, err := runner.ParseResult([]byte(strings.TrimSuffix(line, "\n")))
		fine(w.t, err)
		if lines[r.ID] != nil {
			w.t.Errorf("%s has two lines", r.ID)
		}
		lines[r.ID] = r
	}
	return lines, whole
}

var volatile = regexp.MustCompile(`"(task_id|started_at|finished_at|duration_ms)":("[^"]*"|\d+)`)

// plainLines are result lines in the order of their ids, without what differs each time.
func plainLines(results map[string]*runner.Result) []string {
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(results)) {
		lines = append(lines, volatile.ReplaceAllString(string(results[id].AppendJSON(nil)), `"$1":0`))
	}
	return lines
}

// has puts a result of the first items into the store, as an earlier try of a worker
// would have left it.
func (w *world) has(items int) {
	w.t.Helper()
	s := w.store()
	all, err := s.Items(w.t.Context(), passKey, 1)
	fine(w.t, err)
	sink, err := s.ShardSink(w.t.Context(), passKey, 1, 1)
	fine(w.t, err)
	for _, it := range all[:items] {
		sink.Record(&runner.Result{ID: it.ID, Status: runner.Succeeded, Digest: it.Digest, Attempts: 1, StartedAt: time.Now(), FinishedAt: time.Now()})
	}
	fine(w.t, sink.Flush(w.t.Context()))
}

// ends ends the runs of which nobody knows, after a panic.
func (w *world) ends() {
	w.backend.mu.Lock()
	for _, r := range w.backend.runs {
		r.cancel()
	}
	w.backend.mu.Unlock()
	synctest.Wait()
}
