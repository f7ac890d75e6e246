package worker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/temporaltest"
)

// batch runs the whole pass with the workflow, on one worker, and tells how often a
// shard was begun.
func (w *world) batch(shards int) (end flow.BatchEnd, begun int) {
	w.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	var cancelled atomic.Bool
	env.SetWorkerOptions(sdkworker.Options{DeadlockDetectionTimeout: time.Minute, Interceptors: []interceptor.WorkerInterceptor{
		&temporaltest.Waits{Cancelled: func(any) { cancelled.Store(true) }},
	}})
	flow.Register(env)
	worker := w.worker()
	defer worker.close()
	worker.told = func(context.Context) flow.ShardProgress { return flow.ShardProgress{} }
	worker.beat = func(context.Context, []byte, flow.ShardProgress) error {
		if cancelled.Load() {
			return temporal.NewCanceledError()
		}
		return nil
	}
	worker.cancels = func(context.Context, workflow.Execution) (bool, error) { return false, nil }
	var mu sync.Mutex
	env.RegisterActivityWithOptions(func(ctx context.Context, in flow.Shard) (flow.ShardEnd, error) {
		mu.Lock()
		begun++
		mu.Unlock()
		return worker.shard(context.WithValue(ctx, attemptKey{}, 1), in)
	}, activity.RegisterOptions{Name: flow.ShardActivity})
	env.ExecuteWorkflow(flow.BatchWorkflow, flow.Batch{Store: w.dir, Pass: passKey, Shards: shards, Window: w.pass.Window})
	fine(w.t, env.GetWorkflowError())
	fine(w.t, env.GetWorkflowResult(&end))
	return end, begun
}

// TestLimitsOfAllShards: what all shards take together stays within the limits of the
// batch, but for the runs in flight, as where a batch runs here. Each begin of a shard
// comes further, and limits that are not reached cost none.
func TestLimitsOfAllShards(t *testing.T) {
	const window, each = 4, 2
	for name, c := range map[string]struct {
		run     string
		shards  int
		size    int
		script  func(i int) string
		before  *runner.Tally
		least   int64 // of tokens; of failures where none are taken
		most    int64
		reason  string
		extra   int // begins at the most
		stopped string
	}{
		"tokens": {
			run: "run: {stop: {budget: {tokens: 900}}}", shards: 4, size: 200, script: func(int) string { return "1ms pay=15" },
			least: 900, most: 900 + window*each*15, stopped: "budget", extra: 8,
		},
		"many shards": {
			run: "run: {stop: {budget: {tokens: 3000}}}", shards: 100, size: 8, script: func(int) string { return "1ms pay=15" },
			least: 3000, most: 3000 + window*each*15, stopped: "budget", extra: 20,
		},
		"dollars, of runs that differ": {
			run: "run: {stop: {budget: {usd: 0.9}}}", shards: 4, size: 200, script: func(i int) string { return fmt.Sprintf("%dms pay=%d", 1+i%3, 5+i*7%20) },
			least: 900, most: 900 + window*each*25, stopped: "budget", extra: 16,
		},
		"a slow shard": {
			run: "run: {stop: {budget: {tokens: 900}}}", shards: 8, size: 100,
			script: func(i int) string {
				if i < 100 {
					return "20ms pay=15"
				}
				return "1ms pay=15"
			},
			least: 900, most: 900 + window*each*15, stopped: "budget", extra: 30,
		},
		"tokens of before": {
			run: "run: {stop: {budget: {tokens: 900}}}", shards: 4, size: 50, script: func(int) string { return "1ms pay=15" },
			before: &runner.Tally{Items: 9, Statuses: map[runner.State]int{runner.Succeeded: 9}, InputTokens: 600},
			least:  300, most: 300 + window*each*15, stopped: "budget", extra: 8,
		},
		"failures": {
			run: "run: {stop: {failures: 6}}", shards: 8, size: 20, script: func(i int) string {
				if i%3 == 0 {
					return "1ms fail"
				}
				return "1ms"
			},
			least: 6, most: 6 + window*each, stopped: "failures", extra: 16,
		},
		"a share of failures": {
			run: `run: {stop: {failures: "5%"}}`, shards: 8, size: 20, script: func(i int) string {
				if i%3 == 0 {
					return "1ms fail"
				}
				return "1ms"
			},
			least: 9, most: 9 + window*each, stopped: "failures", extra: 20,
		},
		"never reached": {
			run: "run: {stop: {failures: 1, budget: {tokens: 2000}}}", shards: 50, size: 4, script: func(int) string { return "1ms pay=5" },
			least: 1000, most: 1000,
		},
		"just not reached": {
			run: "run: {stop: {budget: {tokens: 1001}}}", shards: 50, size: 4, script: func(int) string { return "1ms pay=5" },
			least: 1000, most: 1000, extra: 30,
		},
		"unpriced": {
			run: "run: {stop: {budget: {usd: 2}}}", shards: 4, size: 4, script: func(int) string { return "1ms unpriced" },
			least: 0, most: window * each, stopped: "budget", extra: 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.run+"\n")
			w.size, w.pass.Concurrency, w.pass.Window, w.pass.Before = c.size, each, window, c.before
			w.pass.Rows = c.shards * c.size
			scripts := make([]string, w.pass.Rows)
			for i := range scripts {
				scripts[i] = c.script(i)
			}
			w.hand(scripts...)
			end, begun := w.batch(c.shards)
			took := end.Sum.InputTokens
			if took == 0 {
				took = int64(end.Sum.Items - end.Sum.Succeeded)
			}
			t.Logf("%d taken, %d begins, %+v", took, begun, end.Stopped)
			if took < c.least || took > c.most {
				t.Errorf("%d taken, not from %d to %d: %+v", took, c.least, c.most, end)
			}
			want(t, "stopped", end.Stopped.Why, c.stopped)
			if begun > c.shards+c.extra {
				t.Errorf("%d begins of %d shards", begun, c.shards)
			}
			if c.stopped == "" {
				want(t, "ended", end.Ended, c.shards)
				want(t, "runs", w.backend.started, len(scripts))
			}
			w.backend.idle(t)
		})
	}
}

// TestShardsThatFailAlike: what is wrong with some items only does not end a batch, the
// shard of which began at the same time as one that succeeds.
func TestShardsThatFailAlike(t *testing.T) {
	w := newWorld(t, "")
	w.size, w.pass.Window, w.pass.Concurrency = 50, 2, 2
	w.hand(slices.Concat(times(50, "2ms"), times(50, "1ms alike"))...)
	end, begun := w.batch(2)
	want(t, "end", end, flow.BatchEnd{Sum: flow.Sum{Items: 100, Succeeded: 50}, Ended: 2})
	want(t, "begun", begun, 3)

	w = newWorld(t, "")
	w.size, w.pass.Window, w.pass.Concurrency = 50, 2, 2
	w.hand(times(100, "denied")...)
	end, begun = w.batch(2)
	want(t, "stopped", end.Stopped.Why, "denied")
	want(t, "begun", begun, 2)
}

// TestWordsOfTheWorkflow are those of package runner.
func TestWordsOfTheWorkflow(t *testing.T) {
	want(t, "deadline", flow.StoppedDeadline, string(runner.AtDeadline))
	want(t, "interrupted", flow.StoppedInterrupted, string(runner.Interrupted))
	want(t, "broken", flow.StoppedBroken, string(runner.Broken))
}
