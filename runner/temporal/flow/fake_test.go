package flow

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"nightshift/runner/temporal/temporaltest"
)

// tester is a testing.T or a rapid.T.
type tester interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// want says how got differs from what is wanted.
func want(t tester, what string, got, wanted any) {
	t.Helper()
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// dusk is when the batches of the tests begin.
var dusk = time.Date(2026, 11, 1, 18, 0, 0, 0, time.UTC)

// night is a batch workflow in all its runs, on a clock that skips what nobody waits
// for, and the worker of its shards.
type night struct {
	lasts func(shard int) time.Duration                // nil: a minute each
	does  func(in Shard, try int) (ShardEnd, error)    // nil: one item, succeeded
	gives func(in Shard) (end ShardEnd, err error)     // what one that is recalled ends with at once; nil: it ends as it would have
	sends []sending                                    // by time
	ask   []time.Duration                              // when progress is asked for
	setUp func(env *testsuite.TestWorkflowEnvironment) // of each run of the workflow

	env *testsuite.TestWorkflowEnvironment

	mu       sync.Mutex
	tries    map[int][]time.Duration // since dusk, by shard
	begun    []Shard
	ids      []string          // of the activities of these, in any order where they are begun at once
	under    map[int]*underWay // shards
	running  int
	most     int // at once
	ended    Sum
	runs     []Batch // what each run of the workflow was started with
	answers  []Progress
	finished time.Duration // since dusk
}

// sending is a signal, or a cancellation ("": of the workflow), at a time.
type sending struct {
	at     time.Duration
	signal string
	sent   bool
}

func (n *night) now() time.Duration { return n.env.Now().Sub(dusk) }

// shard is the activity: it ends on the clock of the workflow.
func (n *night) shard(ctx context.Context, in Shard) (ShardEnd, error) {
	n.mu.Lock()
	n.tries[in.Number] = append(n.tries[in.Number], n.now())
	try := len(n.tries[in.Number])
	if id := activity.GetInfo(ctx).ActivityID; !slices.Contains(n.ids, id) {
		n.ids = append(n.ids, id)
		n.begun = append(n.begun, in)
		n.running++
		n.most = max(n.most, n.running)
	}
	n.mu.Unlock()
	end, err := ShardEnd{Sum: Sum{Items: 1, Succeeded: 1, NanoUSD: int64(in.Number)}}, error(nil)
	if n.does != nil {
		end, err = n.does(in, try)
	}
	if err != nil {
		return ShardEnd{}, err
	}
	lasts := time.Minute // see newEnvironment
	if n.lasts != nil {
		lasts = n.lasts(in.Number)
	}
	u := &underWay{in, activity.GetInfo(ctx).TaskToken}
	n.mu.Lock()
	n.under[in.Number] = u
	n.mu.Unlock()
	n.env.RegisterDelayedCallback(func() { n.complete(u, end, nil) }, lasts)
	return ShardEnd{}, activity.ErrResultPending
}

// underWay is a shard that was begun, and has not ended.
type underWay struct {
	Shard
	token []byte
}

// complete ends a shard, if that is still under way.
func (n *night) complete(u *underWay, end ShardEnd, err error) {
	n.mu.Lock()
	open := n.under[u.Number] == u
	if open {
		delete(n.under, u.Number)
		n.running--
		if err == nil && !end.Left {
			n.ended = n.ended.Add(end.Sum)
		}
	}
	n.mu.Unlock()
	if open {
		_ = n.env.CompleteActivity(u.token, end, err)
	}
}

// cancel tells a shard that it is cancelled: it asks what is meant, again and again, as
// workers do.
func (n *night) cancel(t tester, u *underWay) {
	n.mu.Lock()
	open := u != nil && n.under[u.Number] == u
	n.mu.Unlock()
	switch {
	case !open:
		return
	case n.progress(t).Cancelled:
		n.complete(u, ShardEnd{}, temporal.NewCanceledError())
		return
	case n.gives != nil:
		end, err := n.gives(u.Shard)
		n.complete(u, end, err)
		return
	}
	n.env.RegisterDelayedCallback(func() { n.cancel(t, u) }, 4*time.Second)
}

// run is the batch from its beginning to its end, over as many runs as it takes.
func (n *night) run(t tester, in Batch) (BatchEnd, error) {
	t.Helper()
	n.tries, n.under = map[int][]time.Duration{}, map[int]*underWay{}
	for {
		n.runs = append(n.runs, in)
		end, err := n.once(t, in)
		anew, ok := errors.AsType[*workflow.ContinueAsNewError](err)
		if !ok {
			return end, err
		}
		in = Batch{}
		if err := converter.GetDefaultDataConverter().FromPayloads(anew.Input, &in); err != nil {
			t.Fatal(err)
		}
	}
}

func (n *night) once(t tester, in Batch) (end BatchEnd, err error) {
	t.Helper()
	n.env = newEnvironment(&temporaltest.Waits{Cancelled: func(in any) {
		n.mu.Lock()
		u := n.under[in.(Shard).Number]
		n.mu.Unlock()
		n.env.RegisterDelayedCallback(func() { n.cancel(t, u) }, 0)
	}})
	n.env.SetStartTime(dusk.Add(n.finished))
	n.env.RegisterActivityWithOptions(n.shard, activity.RegisterOptions{Name: ShardActivity})
	if n.setUp != nil {
		n.setUp(n.env)
	}
	for i := range n.sends {
		if s := &n.sends[i]; !s.sent {
			n.env.RegisterDelayedCallback(func() { n.send(s) }, max(s.at-n.finished, 0))
		}
	}
	for _, at := range n.ask {
		if at >= n.finished {
			n.env.RegisterDelayedCallback(func() { n.answers = append(n.answers, n.progress(t)) }, at-n.finished)
		}
	}
	n.env.ExecuteWorkflow(BatchWorkflow, in)
	if !n.env.IsWorkflowCompleted() {
		t.Fatal("the workflow has not ended")
	}
	n.finished = n.now()
	if err := n.env.GetWorkflowError(); err != nil {
		return BatchEnd{}, errors.Unwrap(err)
	}
	return end, n.env.GetWorkflowResult(&end)
}

func (n *night) send(s *sending) {
	s.sent = true
	if s.signal == "" {
		n.env.CancelWorkflow()
		return
	}
	n.env.SignalWorkflow(s.signal, nil)
}

func (n *night) progress(t tester) (p Progress) {
	t.Helper()
	answer, err := n.env.QueryWorkflow(ProgressQuery)
	if err == nil {
		err = answer.Get(&p)
	}
	if err != nil {
		t.Error(err)
	}
	return p
}

// shards are the numbers of those that were begun, ascending.
func (n *night) shards() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	var numbers []int
	for _, s := range n.begun {
		numbers = append(numbers, s.Number)
	}
	slices.Sort(numbers) // as those begun at once reach the worker in any order
	return numbers
}

// count is 1 to n.
func count(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i + 1
	}
	return numbers
}

func newEnvironment(interceptors ...interceptor.WorkerInterceptor) *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	// Of real time, on a machine that has other things to do. It passes on the clock of
	// the workflow as well while a shard is being begun, so that times that are to come
	// in order lie apart by seconds.
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute, Interceptors: interceptors})
	Register(env)
	return env
}
