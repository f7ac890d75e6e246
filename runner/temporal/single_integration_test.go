//go:build integration

package temporal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
)

// TestStart: a start that is repeated is one run, also by many at once and after it
// has ended. It is found by its trace id.
func TestStart(t *testing.T) {
	b := newBench(t, shared, 5)
	b.works()
	trace := nonce(16)
	none, err := b.Find(t.Context(), trace)
	fine(t, err)
	want(t, "none", none, runner.Handle{})
	start := func() runner.Handle {
		h, err := b.Start(t.Context(), b.plan.PipelineID, runner.Inputs{"in": "a"}, runner.StartOptions{TraceID: trace})
		if err != nil {
			t.Error(err)
		}
		return h
	}
	handle := runner.Handle{PipelineID: b.plan.PipelineID, TaskID: "run-" + trace, TraceID: trace}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { want(t, "handle", start(), handle) })
	}
	all.Wait()
	succeeded := runner.Status{State: runner.Succeeded, Outputs: map[string]any{"out": "a"}, Usage: &runner.Usage{InputTokens: 3}}
	status, err := b.Wait(t.Context(), handle)
	fine(t, err)
	want(t, "status", status, succeeded)
	want(t, "handle", start(), handle)
	want(t, "runs", b.ranMost(), int64(1))
	found, err := b.Find(t.Context(), trace)
	fine(t, err)
	want(t, "found", found, handle)

	other := b.another(new(heard), BackendOptions{}) // which knows no more than the id
	status, err = other.Status(t.Context(), runner.Handle{TaskID: handle.TaskID})
	fine(t, err)
	want(t, "status", status, succeeded)
	fine(t, other.Terminate(t.Context(), runner.Handle{TaskID: handle.TaskID}))
	status, err = other.Wait(t.Context(), runner.Handle{TaskID: handle.TaskID})
	fine(t, err)
	want(t, "status", status, succeeded)
}

// TestEndsOfRuns: what each end of a run is told as.
func TestEndsOfRuns(t *testing.T) {
	failure := &runner.ErrorInfo{Class: "rate_limited", Message: "node llm (llm): too many calls", StatusCode: 429, Node: "llm"}
	for _, c := range []struct {
		name  string
		run   func(ctx context.Context) (store.RunEnd, error)
		end   func(b *bench, h runner.Handle) error
		state runner.State
		says  string
	}{
		{"failed", func(context.Context) (store.RunEnd, error) {
			return store.RunEnd{State: runner.Failed, Error: failure, NodeType: "llm"}, nil
		}, nil, runner.Failed, "node llm (llm): too many calls"},
		{"terminated", func(ctx context.Context) (store.RunEnd, error) {
			<-ctx.Done()
			return store.RunEnd{State: runner.Cancelled}, nil
		}, func(b *bench, h runner.Handle) error { return b.Terminate(t.Context(), h) }, runner.Cancelled, ""},
		{"terminated from outside", func(ctx context.Context) (store.RunEnd, error) {
			<-ctx.Done()
			return store.RunEnd{}, ctx.Err()
		}, func(b *bench, h runner.Handle) error {
			return b.client.sdk.TerminateWorkflow(t.Context(), h.TaskID, "", "")
		}, runner.Cancelled, "terminated from outside"},
		{"deaf", func(context.Context) (store.RunEnd, error) {
			time.Sleep(7 * time.Second)
			return store.RunEnd{State: runner.Succeeded}, nil
		}, func(b *bench, h runner.Handle) error { return b.Terminate(t.Context(), h) }, runner.Cancelled, ""},
		{"refused", func(context.Context) (store.RunEnd, error) {
			return store.RunEnd{}, temporal.NewNonRetryableApplicationError("worker w: no variable KEY", flow.RefusedError, nil)
		}, nil, runner.Failed, "worker w: no variable KEY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, shared, 5)
			begun := make(chan struct{})
			b.run = func(ctx context.Context) (store.RunEnd, error) {
				close(begun)
				return c.run(ctx)
			}
			b.works()
			h, err := b.Start(t.Context(), b.plan.PipelineID, runner.Inputs{"in": "a"}, runner.StartOptions{TraceID: nonce(16)})
			fine(t, err)
			if c.end != nil {
				<-begun
				status, err := b.Status(t.Context(), h)
				fine(t, err)
				want(t, "status", status, runner.Status{State: runner.Running})
				began := time.Now()
				fine(t, c.end(b, h))
				if took := time.Since(began); took > runEndsWithin+time.Second {
					t.Errorf("it took %v", took)
				}
			}
			status, err := b.Wait(t.Context(), h)
			fine(t, err)
			want(t, "state", status.State, c.state)
			if c.says == "" {
				want(t, "error", status.Err, nil, equateErrors)
			} else {
				says(t, "error", status.Err, c.says)
			}
			if c.name == "failed" {
				node, _ := errors.AsType[*runner.RunError](status.Err)
				want(t, "node", node.Node, "llm")
				own, _ := errors.AsType[interface {
					error
					Class() string
					Status() int
				}](status.Err)
				want(t, "class", fmt.Sprint(own.Class(), own.Status()), "rate_limited429")
			}
			fine(t, b.Terminate(t.Context(), h))
		})
	}
}

// TestUnknown: what is not there is not found, and what is another's is left alone.
func TestUnknown(t *testing.T) {
	b := newBench(t, shared, 5)
	for _, id := range []string{runID(nonce(16)), "batch-g:b:n"} {
		h := runner.Handle{TaskID: id}
		_, err := b.Status(t.Context(), h)
		want(t, "status is missing", isMissing(err), true)
		_, err = b.Wait(t.Context(), h)
		want(t, "wait is missing", isMissing(err), true)
		want(t, "terminate is missing", isMissing(b.Terminate(t.Context(), h)), true)
	}
}

// TestNoSuchNamespace: Dial says which, and what to do.
func TestNoSuchNamespace(t *testing.T) {
	_, err := Dial(t.Context(), Options{Address: shared.Address, Namespace: "night", Env: noVariables})
	says(t, "dial", err, `namespace "night"`, "temporal operator namespace create --namespace night", "--namespace")
	api, _ := errors.AsType[*runner.APIError](err)
	want(t, "status", api.StatusCode, 400)
}

// TestDialSilent: who says nothing is not waited for long.
func TestDialSilent(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	fine(t, err)
	defer silent.Close()
	began := time.Now()
	_, err = Dial(t.Context(), Options{Address: silent.Addr().String(), Env: noVariables})
	says(t, "dial", err, "no answer within 5s", "--address")
	_, unreached := errors.AsType[*runner.ConnectionError](err)
	want(t, "a connection error", unreached, true)
	if took := time.Since(began); took > dialWithin+2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestDialInClear: a server that does not speak TLS is asked to.
func TestDialInClear(t *testing.T) {
	_, err := Dial(t.Context(), Options{Address: shared.Address, TLS: true, Env: noVariables})
	says(t, "dial", err, "TLS", "--tls")
}

// lossy is a client whose starts come to something, but are not answered.
type lossy struct{ client.Client }

func (c lossy) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	if _, err := c.Client.ExecuteWorkflow(ctx, o, workflow, args...); err != nil {
		return nil, err
	}
	return nil, serviceerror.NewUnavailable("the connection was lost")
}

// TestStartAnswerLost: the run that came of it is found, and there is no other.
func TestStartAnswerLost(t *testing.T) {
	b := newBench(t, shared, 5)
	b.works()
	b.client.sdk = lossy{b.client.sdk}
	b.plan.Retry.MaxAttempts = 3
	b.plan.Timeout = time.Minute
	results := recorder{}
	o, err := runner.Run(t.Context(), b.plan, b.Backend, &results)
	fine(t, err)
	want(t, "outcome", o.Counts, map[runner.State]int{runner.Succeeded: 1})
	want(t, "runs", b.ranMost(), int64(1))
	want(t, "attempts", results[0].Attempts, 1)
	want(t, "a second run", results[0].PossibleDuplicate, false)
}

// recorder keeps results.
type recorder []*runner.Result

func (r *recorder) Record(one *runner.Result) { *r = append(*r, one) }
func (r *recorder) Commit() (int, error)      { return len(*r), nil }
