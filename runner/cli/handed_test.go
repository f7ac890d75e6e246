package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// fakeCluster keeps what is handed over, and ends it when it is followed.
type fakeCluster struct {
	runner.Backend
	plans     map[string]*runner.Plan // by pass
	items     map[string][]spec.Item  // by pass
	begun     []string
	fails     map[string]bool // ids of items
	end       runner.PassEnd
	ends      map[string]runner.PassEnd // by pass: of those that end otherwise
	followErr error
}

func (f *fakeCluster) Hand(_ context.Context, plan *runner.Plan, items iter.Seq2[runner.HandedItem, error]) (runner.Handle, int, error) {
	h := runner.Handle{PipelineID: plan.PipelineID, TaskID: fmt.Sprintf("pass-%d", len(f.items)+1)}
	f.plans[h.TaskID] = plan
	for it, err := range items {
		if err != nil {
			return h, 0, err
		}
		f.items[h.TaskID] = append(f.items[h.TaskID], it.Item)
	}
	return h, len(f.items[h.TaskID]), nil
}

func (f *fakeCluster) Begin(_ context.Context, h runner.Handle) error {
	f.begun = append(f.begun, h.TaskID)
	return nil
}

func (f *fakeCluster) Follow(_ context.Context, h runner.Handle, results func(*runner.Result) error) (runner.PassEnd, error) {
	if f.followErr != nil {
		return runner.PassEnd{}, f.followErr
	}
	end, otherwise := f.ends[h.TaskID]
	if !otherwise {
		end = f.end
	}
	plan := f.plans[h.TaskID]
	for _, it := range f.items[h.TaskID] {
		r := &runner.Result{ID: it.ID, Batch: plan.Batch.Name, Index: it.Index, Generation: plan.Generation, Status: runner.Succeeded, Inputs: it.Inputs, Digest: it.Digest, Outputs: map[string]any{}, FinishedAt: time.Now()}
		if f.fails[it.ID] {
			r.Status, r.Outputs, r.Error = runner.Failed, nil, &runner.ErrorInfo{Class: "run_failed", Message: "boom"}
		}
		if end.Left {
			break
		}
		if err := results(r); err != nil {
			return runner.PassEnd{}, err
		}
	}
	return end, nil
}

func (f *fakeCluster) Drain(context.Context, runner.Handle) error  { return nil }
func (f *fakeCluster) Forget(context.Context, runner.Handle) error { return nil }

const handedBatch = `version: 1
pipeline:
  name: echo
  nodes:
    in: {type: input}
    out: {type: output, inputs: {value: "{{ in.text }}"}}
batches:
  facts: {inputs: [{in: space}, {in: sea}, {in: sky}], key: "{{ row.in }}"}
run: {backend: temporal}
`

// handing is a folder with a batch file whose batch is handed over.
type handing struct {
	*testing.T
	cluster *fakeCluster
	dir     string
	said    strings.Builder
}

func newHanding(t *testing.T) *handing {
	return newHandingOf(t, handedBatch)
}

func newHandingOf(t *testing.T, text string) *handing {
	h := &handing{T: t, cluster: &fakeCluster{items: map[string][]spec.Item{}, plans: map[string]*runner.Plan{}}, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(h.dir, "batch.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// night does what run or attach do once the cluster is reached, and gives the exit code.
func (h *handing) night(o runOptions) int {
	h.Helper()
	h.said.Reset()
	std := streams{strings.NewReader(""), &h.said, &console{w: &h.said}}
	file, err := o.load(filepath.Join(h.dir, "batch.yaml"), std, std.err.warn)
	if err != nil {
		h.Fatal(err)
	}
	var jobs []*job
	defer func() { closeJobs(jobs) }()
	began := time.Now()
	if o.following {
		for _, batch := range file.Batches {
			j, passes, err := o.underWay(file, batch, began)
			if err != nil || len(passes) == 0 {
				h.Fatalf("%d passes are under way: %v", len(passes), err)
			}
			if err := o.takeUp(file, j, jobs, began, std); err != nil {
				h.Fatal(err)
			}
			jobs = append(jobs, j)
		}
	} else if jobs, err = o.jobs(file, file.Batches, began, std); err != nil {
		h.Fatal(err)
	}
	signals := watchSignals(h.Context(), onInterruptDetach, func(string) {})
	defer signals.stop()
	night := night{runOptions: &o, file: file, backend: h.cluster, signals: signals, std: std, began: began}
	err = night.run(jobs, "pipeline")
	if err == nil {
		return exitOK
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		if exit.err != nil {
			fmt.Fprintln(&h.said, exit.err)
		}
		return exit.code
	}
	h.Fatal(err)
	return 0
}

func (h *handing) saidAll(words ...string) {
	h.Helper()
	for _, w := range words {
		if !strings.Contains(h.said.String(), w) {
			h.Errorf("it did not say %q, but:\n%s", w, h.said.String())
		}
	}
}

// lines counts those of the results.
func (h *handing) lines() int {
	h.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "results", "facts.jsonl"))
	if err != nil {
		h.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func (h *handing) summary() string {
	h.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "results", "summary.json"))
	if err != nil {
		h.Fatal(err)
	}
	return string(text)
}

// TestDetachAndAttach: what is handed over is left going; handed over again nothing is,
// and whoever attaches writes its results.
func TestDetachAndAttach(t *testing.T) {
	h := newHanding(t)
	h.cluster.fails = map[string]bool{"sea": true}
	if code := h.night(runOptions{detach: true}); code != exitOK {
		t.Fatalf("detach: exit code %d", code)
	}
	h.saidAll("facts: handed over as pass-1, and left going; nightshift attach ", "batch.yaml --batch facts follows it, and writes ")
	if n := h.lines(); n != 0 {
		t.Errorf("%d results of what nobody has followed", n)
	}
	if summary := h.summary(); !strings.Contains(summary, `"exit_reason": "handed over, and left going"`) || strings.Contains(summary, `"complete": true`) {
		t.Errorf("%s", summary)
	}
	if code := h.night(runOptions{detach: true}); code != exitOK || len(h.cluster.items) != 1 {
		t.Fatalf("detach again: exit code %d, %d passes", code, len(h.cluster.items))
	}
	h.saidAll("facts: nothing is handed over, as a batch is under way: pass-1; nightshift attach")
	if code := h.night(runOptions{following: true}); code != exitItems || h.lines() != 3 {
		t.Fatalf("attach: exit code %d, %d results", code, h.lines())
	}
	h.saidAll("facts: takes up what was handed over; 0 already done, 3 in it, or to do", "item sea failed: boom")
	if summary := h.summary(); !strings.Contains(summary, `"complete": true`) {
		t.Errorf("%s", summary)
	}
	if code := h.night(runOptions{}); code != exitItems || len(h.cluster.items) != 1 {
		t.Errorf("run: exit code %d, %d passes", code, len(h.cluster.items))
	}
	h.saidAll("facts: 3 already done, nothing to do, 1 of which did not succeed")
}

// TestRunFollowsWhatWasHandedOver, and hands over the rest.
func TestRunFollowsWhatWasHandedOver(t *testing.T) {
	h := newHanding(t)
	if code := h.night(runOptions{detach: true, limit: 2}); code != exitOK {
		t.Fatalf("detach: exit code %d", code)
	}
	if code := h.night(runOptions{}); code != exitOK || h.lines() != 3 {
		t.Fatalf("exit code %d, %d results\n%s", code, h.lines(), h.said.String())
	}
	if n := len(h.cluster.items["pass-1"]); n != 2 {
		t.Errorf("%d items were handed over first", n)
	}
	if n := len(h.cluster.items["pass-2"]); n != 1 {
		t.Errorf("%d items were handed over then", n)
	}
}

// TestDetachIsNotJudged: the exit code says that a batch was handed over, whatever
// results are there already.
func TestDetachIsNotJudged(t *testing.T) {
	h := newHanding(t)
	h.cluster.fails = map[string]bool{"sea": true}
	if code := h.night(runOptions{limit: 2}); code != exitItems {
		t.Fatalf("run: exit code %d", code)
	}
	if code := h.night(runOptions{detach: true}); code != exitOK {
		t.Errorf("detach: exit code %d", code)
	}
	h.saidAll("facts: handed over as pass-2")
}

// TestPassOfWhichAllIsWritten: who was killed before the journal was told of its end
// leaves a pass, although nothing is left to do; run sees to that.
func TestPassOfWhichAllIsWritten(t *testing.T) {
	h := newHanding(t)
	if code := h.night(runOptions{detach: true}); code != exitOK {
		t.Fatalf("detach: exit code %d", code)
	}
	path := filepath.Join(h.dir, "results", "facts.jsonl.journal")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if code := h.night(runOptions{following: true}); code != exitOK {
		t.Fatalf("attach: exit code %d", code)
	}
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := h.night(runOptions{}); code != exitOK || h.lines() != 3 {
		t.Fatalf("run: exit code %d, %d results", code, h.lines())
	}
	if after, err := os.ReadFile(path); err != nil || strings.Contains(string(after), "pass-1") || len(h.cluster.items) != 1 {
		t.Errorf("%d passes were handed over, %v, and the journal is\n%s", len(h.cluster.items), err, after)
	}
}

// TestAttachLeavesATrialOne: of what --limit has handed over, attach does not make an
// unfinished night.
func TestAttachLeavesATrialOne(t *testing.T) {
	h := newHanding(t)
	if code := h.night(runOptions{detach: true, limit: 2}); code != exitOK {
		t.Fatalf("detach: exit code %d", code)
	}
	if code := h.night(runOptions{following: true}); !strings.Contains(h.said.String(), "0 already done, what was asked for is in it") || code != exitOK || h.lines() != 2 {
		t.Fatalf("attach: exit code %d, %d results", code, h.lines())
	}
	if unfinished, err := runner.Unfinished(filepath.Join(h.dir, "results", "facts.jsonl")); unfinished || err != nil {
		t.Errorf("unfinished: %v, %v", unfinished, err)
	}
}

// TestPassEnds: how a pass ended says what is said, and the exit code.
func TestPassEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  runner.PassEnd
		err  error
		code int
		said string
	}{
		"a limit":     {runner.PassEnd{Left: true, Stopped: runner.AtBudget, Reason: "5 USD are spent"}, nil, exitStopped, "stopped, as 5 USD are spent"},
		"cancelled":   {runner.PassEnd{Left: true, Stopped: runner.Interrupted, Cause: errors.New("it was cancelled")}, nil, exitStopped, "batch facts: it was cancelled\n"},
		"broken":      {runner.PassEnd{Left: true, Stopped: runner.Broken, Cause: errors.New("no worker has KEY")}, nil, exitStopped, "batch facts: no worker has KEY\n"},
		"denied":      {runner.PassEnd{Left: true, Stopped: runner.Denied, Cause: errors.New("401")}, nil, exitBackend, "batch facts: all runs failed alike, so no more are started: 401; check the key, and what it may do\n"},
		"unreachable": {runner.PassEnd{}, &runner.ConnectionError{Method: "query", Endpoint: "host", Err: errors.New("away")}, exitBackend, "query host: away"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHanding(t)
			h.cluster.end, h.cluster.followErr = test.end, test.err
			if code := h.night(runOptions{}); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			h.saidAll(test.said)
		})
	}
}

// TestAttachFollowsAllBatches: those that were handed over go on, whatever became of the
// ones before them; but nothing can be followed on a cluster that is away.
func TestAttachFollowsAllBatches(t *testing.T) {
	stopped := func(why runner.StopReason, words string) runner.PassEnd {
		return runner.PassEnd{Left: true, Stopped: why, Cause: errors.New(words)}
	}
	away := &runner.ConnectionError{Method: "query", Endpoint: "host", Err: errors.New("away")}
	for name, test := range map[string]struct {
		end      runner.PassEnd
		away     error
		code     int
		followed bool
		said     string
	}{
		"at a limit": {runner.PassEnd{Left: true, Stopped: runner.AtBudget, Reason: "5 USD are spent"}, nil, exitStopped, true, "as 5 USD are spent"},
		"cancelled":  {stopped(runner.Interrupted, "it was cancelled"), nil, exitStopped, true, "batch facts: it was cancelled\n"},
		"denied":     {stopped(runner.Denied, "401"), nil, exitBackend, true, "check the key"},
		"away":       {runner.PassEnd{}, away, exitBackend, false, "batch more is not followed\nquery host: away"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandingOf(t, strings.Replace(handedBatch, "run:", "  more: {inputs: [{in: sun}]}\nrun:", 1))
			if code := h.night(runOptions{detach: true}); code != exitOK || len(h.cluster.items) != 2 {
				t.Fatalf("detach: exit code %d, %d passes", code, len(h.cluster.items))
			}
			h.cluster.ends, h.cluster.followErr = map[string]runner.PassEnd{"pass-1": test.end}, test.away
			if code := h.night(runOptions{following: true}); code != test.code {
				t.Errorf("attach: exit code %d, want %d", code, test.code)
			}
			h.saidAll(test.said)
			text, err := os.ReadFile(filepath.Join(h.dir, "results", "more.jsonl"))
			if followed := strings.Contains(string(text), "sun"); followed != test.followed {
				t.Errorf("the results of the second are %q, %v, and it said\n%s", text, err, h.said.String())
			}
		})
	}
}

// TestElsewhere: what another backend may be running is its own.
func TestElsewhere(t *testing.T) {
	run, pass := runner.Begun{ID: "a"}, runner.Begun{ID: "b", Pass: true}
	for backend, refused := range map[string]struct{ run, pass string }{
		"local":       {"go on with backend vectorshift", "go on with backend temporal"},
		"vectorshift": {"", "go on with backend temporal"},
		"temporal":    {"go on with backend vectorshift", ""},
	} {
		for what, test := range map[string]struct {
			begun []runner.Begun
			words string
		}{"nothing": {nil, ""}, "a run": {[]runner.Begun{run}, refused.run}, "a pass": {[]runner.Begun{pass}, refused.pass}} {
			err := elsewhere(backend, "facts", test.begun)
			if (err == nil) != (test.words == "") || err != nil && !strings.Contains(err.Error(), test.words) {
				t.Errorf("%s meets %s: %v", backend, what, err)
			}
		}
	}
}
