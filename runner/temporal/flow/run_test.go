package flow

import (
	"context"
	"errors"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

func TestASingleRun(t *testing.T) {
	in := Run{Store: "/s", Key: "runs/1"}
	for _, c := range []struct {
		name  string
		err   error
		times int // that err is met
		tries int
		end   RunEnd
		fails string
		kind  string
	}{
		{"ends", nil, 0, 1, RunEnd{State: "failed"}, "", ""},
		{"is tried again", errors.New("no such host"), 2, 3, RunEnd{State: "failed"}, "", ""},
		{"fails for good", errors.New("no such host"), 99, 20, RunEnd{}, "no such host", ""},
		{"is refused", temporal.NewNonRetryableApplicationError("worker a@b has no K", RefusedError, nil), 99, 1, RunEnd{}, "worker a@b has no K", RefusedError},
		{"its worker is gone each time", temporal.NewHeartbeatTimeoutError(), 99, 20, RunEnd{}, "its worker gave no sign of life for 20s, in the last of 20 tries", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, tries := newEnvironment(), 0
			env.RegisterActivityWithOptions(func(_ context.Context, told Run) (RunEnd, error) {
				want(t, "told", told, in)
				if tries++; tries <= c.times {
					return RunEnd{}, c.err
				}
				return RunEnd{State: "failed"}, nil
			}, activity.RegisterOptions{Name: RunActivity})
			env.ExecuteWorkflow(RunWorkflow, in)
			want(t, "tries", tries, c.tries)
			failure, failed := errors.AsType[*temporal.ApplicationError](env.GetWorkflowError())
			if failed || c.fails != "" {
				want(t, "failure", []any{failure.Message(), failure.Type(), failure.NonRetryable()}, []any{c.fails, c.kind, true})
				return
			}
			var end RunEnd
			want(t, "error", env.GetWorkflowResult(&end), nil)
			want(t, "end", end, c.end)
		})
	}
}

func TestASingleRunThatIsCancelled(t *testing.T) {
	env := newEnvironment()
	env.RegisterActivityWithOptions(func(context.Context, Run) (RunEnd, error) {
		env.CancelWorkflow()
		return RunEnd{}, activity.ErrResultPending
	}, activity.RegisterOptions{Name: RunActivity})
	env.ExecuteWorkflow(RunWorkflow, Run{})
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) {
		t.Errorf("a run that was cancelled ends with %v", err)
	}
}
