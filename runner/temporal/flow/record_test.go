//go:build integration

package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"nightshift/runner/temporal/temporaltest"
)

var updateHistories = flag.Bool("update-histories", false, "write what a real server recorded to testdata/temporal")

// TestIntegrationHistories lets a real server run the workflows, with workers that do
// what the name of a pass says, and holds them to the same as the other tests do. With
// -update-histories its histories become those that are replayed ever after.
func TestIntegrationHistories(t *testing.T) {
	s := startServer(t)
	all := Sum{Items: 6, Succeeded: 6}

	t.Run("retries", func(t *testing.T) {
		t.Parallel() // it waits for a heartbeat that does not come
		run := s.start(t, "retries", BatchWorkflow, Batch{Pass: "retries", Shards: 6, Window: 3})
		want(t, "end", s.end(t, run), BatchEnd{Sum: all, Ended: 6})
		s.record(t, "batch-retries", run, run.GetRunID())
	})
	t.Run("anew", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "anew", BatchWorkflow, Batch{Pass: "quick", Shards: 6, Window: 2, RunShards: 2})
		first := run.GetRunID()
		want(t, "end", s.end(t, run), BatchEnd{Sum: all, Ended: 6})
		s.record(t, "batch-anew-first", run, first)
		last, err := s.DescribeWorkflowExecution(t.Context(), run.GetID(), "")
		want(t, "error", err, nil)
		s.record(t, "batch-anew-last", run, last.GetWorkflowExecutionInfo().GetExecution().GetRunId())
	})
	t.Run("paused", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "paused", BatchWorkflow, Batch{Pass: "paused", Shards: 6, Window: 2})
		s.awaitBegun("paused")
		s.signal(t, run, PauseSignal)
		p := s.await(t, run, func(p Progress) bool { return p.Paused && p.Running == 0 })
		want(t, "progress", p, Progress{Shards: 6, Begun: 2, Open: []int{1, 2}, Sum: Sum{Items: 2, Succeeded: 2}, Paused: true})
		s.signal(t, run, ResumeSignal)
		want(t, "end", s.end(t, run), BatchEnd{Sum: all, Ended: 6})
		s.record(t, "batch-paused", run, run.GetRunID())
	})
	t.Run("drained", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "drained", BatchWorkflow, Batch{Pass: "drained", Shards: 6, Window: 2})
		s.awaitBegun("drained")
		s.signal(t, run, DrainSignal)
		want(t, "end", s.end(t, run), BatchEnd{Sum: Sum{Items: 2, Succeeded: 2}, Stopped: Stop{Why: StoppedInterrupted}})
		s.record(t, "batch-drained", run, run.GetRunID())
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "stopped", BatchWorkflow, Batch{Pass: "stopped", Shards: 6, Window: 1})
		want(t, "end", s.end(t, run), BatchEnd{Sum: Sum{Items: 2, Succeeded: 2}, Ended: 2, Stopped: Stop{Why: "budget", Reason: "$2.00"}})
		s.record(t, "batch-stopped", run, run.GetRunID())
	})
	t.Run("again", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "again", BatchWorkflow, Batch{Pass: "again", Shards: 6, Window: 2, RunShards: 4})
		first := run.GetRunID()
		want(t, "end", s.end(t, run), BatchEnd{Sum: all, Ended: 6})
		s.record(t, "batch-again", run, first)
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "deadline", BatchWorkflow, Batch{Pass: "brief", Shards: 100, Window: 1, Deadline: time.Now().Add(2 * time.Second)})
		s.await(t, run, func(p Progress) bool { return p.Running == 1 })
		s.signal(t, run, PauseSignal)
		end := s.end(t, run)
		want(t, "stopped", end.Stopped, Stop{Why: StoppedDeadline})
		s.record(t, "batch-deadline", run, run.GetRunID())
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "refused", BatchWorkflow, Batch{Pass: "refused", Shards: 6, Window: 1})
		want(t, "end", s.end(t, run), BatchEnd{Sum: Sum{Items: 1, Succeeded: 1}, Ended: 1, Stopped: Stop{Why: StoppedBroken, Cause: "shard 2 of 6: no variable KEY"}})
		s.record(t, "batch-refused", run, run.GetRunID())
	})
	for name, cancel := range map[string]func(*testing.T, client.WorkflowRun){
		"cancelled": func(t *testing.T, run client.WorkflowRun) {
			want(t, "error", s.CancelWorkflow(t.Context(), run.GetID(), ""), nil)
		},
		"cancelled-by-signal": func(t *testing.T, run client.WorkflowRun) { s.signal(t, run, CancelSignal) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := s.start(t, name, BatchWorkflow, Batch{Pass: name, Shards: 6, Window: 2})
			s.awaitBegun(name)
			cancel(t, run)
			if err := run.Get(t.Context(), nil); !temporal.IsCanceledError(err) {
				t.Errorf("it ends with %v", err)
			}
			// Not before its shards, which took their time to clean up.
			want(t, "cleaned up", s.hands.cleaned[name].Load(), int64(2))
			s.record(t, "batch-"+name, run, run.GetRunID())
		})
	}
	t.Run("no worker", func(t *testing.T) {
		t.Parallel()
		run := s.startOn(t, "later", "no-worker", BatchWorkflow, Batch{Pass: "quick", Shards: 6, Window: 2})
		for _, signal := range []string{PauseSignal, ResumeSignal, PauseSignal} {
			s.signal(t, run, signal)
		}
		s.work(t, "later")
		want(t, "progress", s.await(t, run, func(Progress) bool { return true }), Progress{Shards: 6, Paused: true})
		s.signal(t, run, ResumeSignal)
		want(t, "end", s.end(t, run), BatchEnd{Sum: all, Ended: 6})
		s.record(t, "batch-no-worker", run, run.GetRunID())
	})
	t.Run("single", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "single", RunWorkflow, Run{Key: "runs/single"})
		var end RunEnd
		want(t, "error", run.Get(t.Context(), &end), nil)
		want(t, "end", end, RunEnd{State: "succeeded"})
		s.record(t, "run", run, run.GetRunID())
	})
	t.Run("single refused", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "single-refused", RunWorkflow, Run{Key: "runs/refused"})
		failure, ok := errors.AsType[*temporal.ApplicationError](run.Get(t.Context(), nil))
		want(t, "failed", ok, true)
		want(t, "failure", []any{failure.Message(), failure.Type()}, []any{"no variable KEY", RefusedError})
		s.record(t, "run-refused", run, run.GetRunID())
	})
	t.Run("single cancelled", func(t *testing.T) {
		t.Parallel()
		run := s.start(t, "single-cancelled", RunWorkflow, Run{Key: "runs/cancelled"})
		<-s.hands.runBegun
		want(t, "error", s.CancelWorkflow(t.Context(), run.GetID(), ""), nil)
		var end RunEnd
		want(t, "error", run.Get(t.Context(), &end), nil)
		want(t, "end", end, RunEnd{State: "cancelled"})
		s.record(t, "run-cancelled", run, run.GetRunID())
	})
}

// server is a real one, with a worker, on loopback.
type server struct {
	client.Client
	hands *hands
}

func startServer(t *testing.T) *server {
	t.Helper()
	// A history must not name this machine, as the queues of cached workflows do. And so
	// each task is a replay.
	worker.SetStickyWorkflowCacheSize(0)
	c, err := temporaltest.Own(t).Dial(t.Context(), client.Options{Identity: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := &server{Client: c, hands: &hands{
		begun: map[string]chan int{
			"paused": make(chan int, 2), "drained": make(chan int, 2),
			"cancelled": make(chan int, 2), "cancelled-by-signal": make(chan int, 2),
		},
		cleaned:  map[string]*atomic.Int64{"cancelled": {}, "cancelled-by-signal": {}},
		runBegun: make(chan struct{}),
	}}
	s.hands.Client = s.Client
	s.work(t, "now")
	return s
}

// awaitBegun waits until two shards of a pass are under way: one that no worker has taken
// yet would have nothing to clean up, or to give back.
func (s *server) awaitBegun(pass string) {
	for range 2 {
		<-s.hands.begun[pass]
	}
}

// work puts a worker to a queue.
func (s *server) work(t *testing.T, queue string) {
	t.Helper()
	w := worker.New(s.Client, queue, worker.Options{
		Identity: "test", MaxHeartbeatThrottleInterval: 50 * time.Millisecond, WorkerStopTimeout: 10 * time.Second,
	})
	Register(w)
	w.RegisterActivityWithOptions(s.hands.shard, activity.RegisterOptions{Name: ShardActivity})
	w.RegisterActivityWithOptions(s.hands.run, activity.RegisterOptions{Name: RunActivity})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
}

func (s *server) start(t *testing.T, id, workflow string, in any) client.WorkflowRun {
	t.Helper()
	return s.startOn(t, "now", id, workflow, in)
}

func (s *server) startOn(t *testing.T, queue, id, workflow string, in any) client.WorkflowRun {
	t.Helper()
	run, err := s.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue}, workflow, in)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func (s *server) end(t *testing.T, run client.WorkflowRun) (end BatchEnd) {
	t.Helper()
	want(t, "error", run.Get(t.Context(), &end), nil)
	return end
}

func (s *server) signal(t *testing.T, run client.WorkflowRun, signal string) {
	t.Helper()
	want(t, "error", s.SignalWorkflow(t.Context(), run.GetID(), "", signal, nil), nil)
}

// await asks for progress until it is as is waited for.
func (s *server) await(t *testing.T, run client.WorkflowRun, is func(Progress) bool) (p Progress) {
	t.Helper()
	for {
		answer, err := s.QueryWorkflow(t.Context(), run.GetID(), "", ProgressQuery)
		if err != nil {
			t.Fatal(err)
		}
		p = Progress{}
		if err := answer.Get(&p); err != nil {
			t.Fatal(err)
		}
		if is(p) {
			return p
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("it has only come to %+v", p)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) record(t *testing.T, name string, run client.WorkflowRun, runID string) {
	t.Helper()
	if !*updateHistories || t.Failed() {
		return
	}
	recorded := &history.History{}
	events := s.GetWorkflowHistory(t.Context(), run.GetID(), runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		recorded.Events = append(recorded.Events, event)
	}
	text, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(recorded)
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer // the other's indentation differs from time to time, on purpose
	if err := json.Indent(&lines, text, "", " "); err != nil {
		t.Fatal(err)
	}
	lines.WriteByte('\n')
	if err := os.MkdirAll(histories, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(histories, name+".json"), lines.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
