package temporal

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"nightshift/runner"
)

// TestFailure: what the cluster says is an error that the runner understands.
func TestFailure(t *testing.T) {
	refused := `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:7233: connect: connection refused"`
	for name, c := range map[string]struct {
		err    error
		is     string // of package runner
		reason runner.StopReason
		passes bool
		says   string
	}{
		"away":        {serviceerror.NewUnavailable(refused), "connection", runner.Unreachable, true, "do 1.2.3.4:5: dial tcp 127.0.0.1:7233: connect: connection refused"},
		"wrapped":     {fmt.Errorf("failed reaching server: %w", serviceerror.NewUnavailable(refused)), "connection", runner.Unreachable, true, "connection refused"},
		"late":        {serviceerror.NewDeadlineExceeded("x"), "timeout", runner.Unreachable, true, "no answer in time"},
		"late here":   {context.DeadlineExceeded, "timeout", runner.Unreachable, true, "no answer in time"},
		"not found":   {serviceerror.NewNotFound("workflow not found for ID: x"), "404", runner.AllAlike, false, "do 1.2.3.4:5 answered 404 Not Found: workflow not found for ID: x"},
		"namespace":   {serviceerror.NewNamespaceNotFound("night"), "400", runner.AllAlike, false, "temporal operator namespace create --namespace night"},
		"denied":      {serviceerror.NewPermissionDenied("Request unauthorized.", ""), "403", runner.Denied, false, "Request unauthorized."},
		"no key":      {status.Error(codes.Unauthenticated, "no key"), "401", runner.Denied, false, "no key"},
		"too much":    {serviceerror.NewResourceExhausted(enums.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, "rate limit exceeded"), "429 rate", runner.NotStopped, true, "rate limit exceeded"},
		"at once":     {serviceerror.NewResourceExhausted(enums.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT, "x"), "429 concurrency", runner.NotStopped, true, "x"},
		"too large":   {status.Error(codes.ResourceExhausted, "grpc: received message larger than max"), "413", runner.NotStopped, false, "larger than max"},
		"bad":         {serviceerror.NewInvalidArgument("WorkflowId is not set"), "400", runner.AllAlike, false, "WorkflowId is not set"},
		"query":       {serviceerror.NewQueryFailed("no such query"), "400", runner.AllAlike, false, "no such query"},
		"broken":      {serviceerror.NewInternal("x"), "500", runner.NotStopped, true, "x"},
		"old server":  {serviceerror.NewUnimplemented("x"), "400", runner.AllAlike, false, "x"},
		"not theirs":  {errors.New("cannot be encoded"), "", runner.NotStopped, false, "do 1.2.3.4:5: cannot be encoded"},
		"not started": {serviceerror.NewWorkflowNotReady("x"), "400", runner.AllAlike, false, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := &Client{address: "1.2.3.4:5"}
			err := c2.failure(t.Context(), "do", c.err)
			says(t, "error", err, c.says)
			is := ""
			if api, ok := errors.AsType[*runner.APIError](err); ok {
				if is = fmt.Sprint(api.StatusCode); api.Limits != "" {
					is += " " + string(api.Limits)
				}
			} else if _, ok := errors.AsType[*runner.TimeoutError](err); ok {
				is = "timeout"
			} else if _, ok := errors.AsType[*runner.ConnectionError](err); ok {
				is = "connection"
			}
			want(t, "kind", is, c.is)
			want(t, "what a batch stops with", runner.ReasonOf(err), c.reason)
			want(t, "may pass", runner.MayPass(err), c.passes)
		})
	}
	want(t, "no error", (&Client{}).failure(t.Context(), "do", nil), nil, equateErrors)
}

// TestFailureWhenDone: what was broken off says so, whatever the SDK makes of it.
func TestFailureWhenDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := (&Client{address: "1.2.3.4:5"}).failure(ctx, "do", serviceerror.NewCanceled("x"))
	want(t, "error", err, context.Canceled, equateErrors)
	_, connection := errors.AsType[*runner.ConnectionError](err)
	want(t, "nobody knows what came of it", connection, true)
}
