package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
)

// background is a single run that goes on without us, wherever it is.
type background interface {
	// handle names the run.
	handle() runner.Handle
	// look is one look, without waiting.
	look(ctx context.Context) (*runLook, error)
	// await waits for the end. A run that did not succeed gives its look and an error;
	// where the time is over that is a *runner.PollTimeoutError, beside the last good
	// look (nil: there was none).
	await(ctx context.Context, o awaitOptions) (*runLook, error)
	// end ends it early.
	end(ctx context.Context) error
}

// runLook is how a run stands.
type runLook struct {
	runner.Handle
	backend string // "": vectorshift, whose looks do not say so
	state   runner.State
	word    string // the backend's own for the state
	outputs map[string]any
	reason  string // why it failed or was cancelled
}

// awaitOptions say how long a run is waited for.
type awaitOptions struct {
	interval time.Duration // between two looks
	timeout  time.Duration // 0: none
	failing  func(error)   // is told of looks that fail, and are repeated
}

// unknownLook is that of a run of which no look has an answer.
func unknownLook(b background) *runLook {
	look := &runLook{Handle: b.handle(), state: stateUnknown}
	if _, ours := b.(*clusterRun); ours {
		look.backend = "temporal"
	}
	return look
}

// hostedRun is a run on the hosted platform.
type hostedRun struct{ *vectorshift.RunHandle }

func (h hostedRun) handle() runner.Handle {
	return runner.Handle{PipelineID: h.PipelineID, TaskID: h.TaskID, TraceID: h.TraceID}
}

func (h hostedRun) look(ctx context.Context) (*runLook, error) {
	result, err := h.Status(ctx)
	return hostedLook(result), err
}

func (h hostedRun) await(ctx context.Context, o awaitOptions) (*runLook, error) {
	result, err := h.Result(ctx, vectorshift.ResultOptions{PollInterval: o.interval, Timeout: o.timeout, Failing: o.failing})
	return hostedLook(result), err
}

func (h hostedRun) end(ctx context.Context) error { return h.Terminate(ctx) }

func hostedLook(r *vectorshift.Result) *runLook {
	if r == nil {
		return nil
	}
	return &runLook{
		Handle: runner.Handle{PipelineID: r.PipelineID, TaskID: r.TaskID, TraceID: r.TraceID},
		state:  r.State, word: r.Word, outputs: r.Outputs, reason: r.Error,
	}
}

// clusterRun is a run on a Temporal cluster.
type clusterRun struct {
	backend interface {
		runner.Backend
		runner.Waiter
	}
	run runner.Handle
}

func (c *clusterRun) handle() runner.Handle { return c.run }

func (c *clusterRun) look(ctx context.Context) (*runLook, error) {
	status, err := c.backend.Status(ctx, c.run)
	if err != nil {
		return nil, err
	}
	return c.seen(status), nil
}

// seen is what a status comes to.
func (c *clusterRun) seen(status runner.Status) *runLook {
	look := &runLook{Handle: c.run, backend: "temporal", state: status.State, outputs: status.Outputs}
	if status.Err != nil {
		look.reason = status.Err.Error()
	} else if status.State == runner.Cancelled {
		look.reason = "it was cancelled"
	}
	return look
}

func (c *clusterRun) await(ctx context.Context, o awaitOptions) (*runLook, error) {
	waiting, cancel := ctx, func() {}
	if o.timeout > 0 {
		waiting, cancel = context.WithTimeout(ctx, o.timeout)
	}
	defer cancel()
	for {
		status, err := c.backend.Wait(waiting, c.run)
		switch {
		case err == nil && !status.State.Ended():
		case err == nil:
			look := c.seen(status)
			if look.state == runner.Succeeded {
				return look, nil
			}
			return look, &runner.RunFailedError{TaskID: c.run.TaskID, RunError: look.reason}
		case waiting.Err() == nil && !runner.MayPass(err):
			return nil, err
		case waiting.Err() == nil:
			o.failing(err)
		}
		if runner.Sleep(waiting, o.interval) == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("run %s is not waited for any more, and goes on: %w", c.run.TaskID, ctx.Err())
		}
		late := &runner.PollTimeoutError{TaskID: c.run.TaskID, Timeout: o.timeout}
		if err != nil && !errors.Is(err, waiting.Err()) {
			return nil, late
		}
		return &runLook{Handle: c.run, backend: "temporal", state: runner.Running}, late
	}
}

func (c *clusterRun) end(ctx context.Context) error { return c.backend.Terminate(ctx, c.run) }
