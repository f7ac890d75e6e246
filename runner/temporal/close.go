package temporal

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"nightshift/runner"
)

// What the cluster shows of workflows that are terminated here.
const (
	endReason  = "terminated by nightshift"
	lateReason = "ended by nightshift: the deadline is over, and no worker is there"
)

// endError says that a workflow has ended, and that early.
type endError struct {
	state runner.State // Cancelled or Failed
	words string
	ours  bool // it was asked for with nightshift
	late  bool // as its deadline was over
	cut   bool // what was under way was not waited for: it hears of it by its next heartbeat
}

func (e *endError) Error() string { return e.words }

// status is the end of a run of which no more is known.
func (e *endError) status() runner.Status {
	if e.ours {
		return runner.Status{State: e.state}
	}
	return runner.Status{State: e.state, Err: e}
}

// closing waits for the end of a workflow, over all that it is continued as, and gives
// its result. One that has ended early is an *endError.
func (c *Client) closing(ctx context.Context, id string, result any) error {
	err := c.sdk.GetWorkflow(ctx, id, "").Get(ctx, result)
	ended, ok := errors.AsType[*temporal.WorkflowExecutionError](err)
	if !ok {
		return c.failure(ctx, "wait", err)
	}
	cause := ended.Unwrap()
	if _, ok := errors.AsType[*temporal.TerminatedError](cause); ok {
		return c.terminated(ctx, id)
	}
	if temporal.IsCanceledError(cause) {
		return &endError{state: runner.Cancelled, words: "it was cancelled", ours: true}
	}
	if _, ok := errors.AsType[*temporal.TimeoutError](cause); ok {
		return &endError{state: runner.Failed, words: "its workflow has timed out", cut: true}
	}
	if failed, ok := errors.AsType[*temporal.ApplicationError](cause); ok {
		return &endError{state: runner.Failed, words: failed.Message(), cut: true}
	}
	return &endError{state: runner.Failed, words: cause.Error(), cut: true}
}

// terminated says who has terminated a workflow, and why, as far as that is told.
func (c *Client) terminated(ctx context.Context, id string) error {
	e := &endError{state: runner.Cancelled, words: "its workflow was terminated from outside", cut: true}
	history := c.sdk.GetWorkflowHistory(ctx, id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	if !history.HasNext() {
		return e
	}
	last, err := history.Next()
	if err != nil {
		return c.failure(ctx, "wait", err)
	}
	switch reason := last.GetWorkflowExecutionTerminatedEventAttributes().GetReason(); reason {
	case "":
	case endReason:
		e.words, e.ours = "it was terminated", true
	case lateReason:
		e.words, e.ours, e.late = "its deadline was over, and no worker was there", true, true
	default:
		e.words = fmt.Sprintf("%s (%s)", e.words, runner.Quote(reason))
	}
	return e
}
