package worker

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// begin puts what a single run is started with into the store.
func (w *world) begin(id string, edit func(*store.Run)) flow.Run {
	w.t.Helper()
	s := w.store()
	bundle, err := w.file.Bundle()
	fine(w.t, err)
	key, err := s.PutBundle(w.t.Context(), bundle)
	fine(w.t, err)
	start := &store.Run{
		Bundle: key, Pipeline: w.file.Digest(&spec.Batch{}, w.file.Redactor), PipelineID: "p",
		Inputs: runner.Inputs{"do": "ok"}, Options: runner.StartOptions{TraceID: "trace " + id},
	}
	edit(start)
	fine(w.t, s.PutRun(w.t.Context(), store.RunKey(id), start))
	return flow.Run{Store: w.dir, Key: store.RunKey(id)}
}

func does(script string) func(*store.Run) {
	return func(r *store.Run) { r.Inputs = runner.Inputs{"do": script} }
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		edit    func(*store.Run)
		beat    func(age time.Duration) error
		at      func(*work) // is called after 1.5 s
		state   runner.State
		end     *store.RunEnd // nil: there is none
		kind    string
		again   bool
		seconds int
	}{
		"succeeds": {
			edit: does("2s pay=3"), state: runner.Succeeded, seconds: 2,
			end: &store.RunEnd{State: runner.Succeeded, Outputs: map[string]any{"answer": "2s pay=3"}, Usage: &runner.Usage{InputTokens: 3, USD: 0.003}},
		},
		"fails": {
			edit: does("1s fail"), state: runner.Failed, seconds: 1,
			end: &store.RunEnd{State: runner.Failed, Error: &runner.ErrorInfo{Class: "run_failed", Message: "node answer (output): it failed", Node: "answer"}, NodeType: "output"},
		},
		"tells no secret": {
			edit: does("leak"), state: runner.Failed,
			end: &store.RunEnd{State: runner.Failed, Error: &runner.ErrorInfo{Class: "run_failed", Message: "the key [hidden] is wrong"}},
		},
		"is denied": {
			edit: does("denied"), state: runner.Failed,
			end: &store.RunEnd{State: runner.Failed, Error: &runner.ErrorInfo{Class: "denied", StatusCode: 401, Message: "POST models.test/v1 answered 401 Unauthorized: no such key"}},
		},
		"takes too long": {
			edit: func(r *store.Run) { r.Inputs, r.Timeout = runner.Inputs{"do": "hang"}, 3*time.Second }, state: runner.TimedOut, seconds: 3,
			end: &store.RunEnd{State: runner.TimedOut, Error: &runner.ErrorInfo{Class: "timed_out", Message: "the run took longer than its timeout of 3s and was terminated"}},
		},
		"is cancelled": {
			edit: does("hang"), beat: after(1500*time.Millisecond, temporal.NewCanceledError()), state: runner.Cancelled, seconds: 2,
			end: &store.RunEnd{State: runner.Cancelled, Error: &runner.ErrorInfo{Class: "cancelled", Message: "the run was cancelled"}},
		},
		"is gone":       {edit: does("hang"), beat: after(1500*time.Millisecond, serviceerror.NewNotFound("gone")), kind: "cancelled", seconds: 2},
		"worker drains": {edit: does("2s"), at: func(w *work) { close(w.draining) }, state: runner.Succeeded, end: &store.RunEnd{State: runner.Succeeded, Outputs: map[string]any{"answer": "2s"}}, seconds: 2},
		"goes on": {
			edit: does("1s park=5s pay=3 1s"), state: runner.Succeeded, seconds: 7,
			end: &store.RunEnd{State: runner.Succeeded, Outputs: map[string]any{"answer": "1s park=5s pay=3 1s"}, Usage: &runner.Usage{InputTokens: 3, USD: 0.003}},
		},
		"worker drains while it waits": {edit: does("1s park=50s 1s"), at: func(w *work) { close(w.draining) }, kind: givenBackError, again: true, seconds: 1},
		"worker ends":                  {edit: does("hang"), at: func(w *work) { w.end() }, kind: givenBackError, again: true, seconds: 1},
		"panics":                       {edit: does("panic"), kind: panicError, again: true},
		"digest":                       {edit: func(r *store.Run) { r.Pipeline = "other" }, kind: flow.RefusedError, again: true},
		"bundle":                       {edit: func(r *store.Run) { r.Bundle = "specs/other.json" }, kind: storeError, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				w.env["KEY"] = "sesame-open"
				w.load(strings.Replace(batchFile, "version: 1", "version: 1\nsecrets: [KEY]", 1))
				worker := w.worker()
				began := time.Now()
				if c.beat != nil {
					worker.beat = func(context.Context, []byte, flow.ShardProgress) error { return c.beat(time.Since(began)) }
				}
				if c.at != nil {
					time.AfterFunc(1500*time.Millisecond, func() { c.at(worker) })
				}
				in := w.begin("a", c.edit)
				end, err := tries(t, 1, worker.run, in)
				kind, again := "", false
				if err != nil {
					kind, again = kindOf(err)
				}
				want(t, "error", kind, c.kind)
				want(t, "is tried again", again, c.again)
				want(t, "state", runner.State(end.State), c.state)
				want(t, "seconds", int(time.Since(began).Seconds()), c.seconds)
				stored, err := w.store().RunEnd(t.Context(), in.Key)
				if c.end == nil {
					want(t, "is not there", errors.Is(err, fs.ErrNotExist), true)
				}
				want(t, "end", stored, c.end)
				for _, r := range w.backend.runs {
					r.cancel() // of that which panicked, nobody knows
				}
				synctest.Wait()
				worker.close()
				w.backend.idle(t)
			})
		})
	}
}

// TestRunAgain: where the server was not told of an end, it is told the next time, and
// nothing is run.
func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		worker := w.worker()
		in := w.begin("a", does("1s fail"))
		for attempt := 1; attempt <= 2; attempt++ {
			end, err := tries(t, attempt, worker.run, in)
			fine(t, err)
			want(t, "end", end, flow.RunEnd{State: "failed"})
			want(t, "runs", w.backend.started, 1)
		}
		want(t, "trace", w.backend.starts, map[string]int{"trace a": 1})
		worker.close()
	})
}

// TestRunsShare: runs of one file share an engine, but for those that bring files.
func TestRunsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		worker := w.worker()
		for _, id := range []string{"a", "b"} {
			_, err := tries(t, 1, worker.run, w.begin(id, does("ok")))
			fine(t, err)
		}
		want(t, "engines of two runs", w.backend.opened, 1)
		if _, err := w.backend.files("data/a.txt"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		for _, id := range []string{"c", "d"} {
			in := w.begin(id, func(r *store.Run) {
				r.Files = true
			})
			fine(t, w.store().PutFile(t.Context(), in.Key, "data/a.txt", strings.NewReader("text of "+id)))
			_, err := tries(t, 1, worker.run, in)
			fine(t, err)
			text, err := w.backend.files("data/a.txt")
			fine(t, err)
			want(t, "file", string(text), "text of "+id)
		}
		want(t, "engines of four runs", w.backend.opened, 3)
		worker.close()
		w.backend.idle(t)
	})
}

// TestShardFiles: what items name is read from the pass.
func TestShardFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("ok")
		fine(t, w.store().PutFile(t.Context(), passKey, "data/a.txt", strings.NewReader("text")))
		worker := w.worker()
		_, err := w.shard(worker, 1)
		fine(t, err)
		text, err := w.backend.files("data/a.txt")
		fine(t, err)
		want(t, "file", string(text), "text")
		worker.close()
	})
}
