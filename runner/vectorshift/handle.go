package vectorshift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"nightshift/runner"
)

// RunHandle is a run in the background. Its ids are all that another process needs
// to make it anew, with [Client.Handle]: one that was decoded from JSON has no client.
type RunHandle struct {
	PipelineID string `json:"pipeline_id"`
	TaskID     string `json:"task_id"`
	TraceID    string `json:"trace_id"` // "": not known

	client *Client
}

// Handle makes a handle of its ids; the trace id may be "". Nothing is called.
func (c *Client) Handle(pipelineID, taskID, traceID string) *RunHandle {
	return &RunHandle{pipelineID, taskID, traceID, c}
}

// handle is that of the run that a result is of.
func (r *Result) handle(c *Client) *RunHandle {
	return c.Handle(r.PipelineID, r.TaskID, r.TraceID)
}

// Status is one look at the run. A run that failed is no error of the look. One
// whose outcome is larger than what is read has failed, as it will not get smaller.
func (h *RunHandle) Status(ctx context.Context) (*Result, error) {
	what := h.call(http.MethodGet, runPath(h.PipelineID, "run", "status", h.TaskID))
	what.looks = true
	answer, err := h.client.do(ctx, what)
	large, tooLarge := errors.AsType[*TooLargeError](err)
	if err != nil && !tooLarge {
		return nil, err
	}
	r := h.read(answer)
	if tooLarge {
		r.lose(large)
	}
	if r.State.Ended() {
		h.logEnd(ctx, r)
	}
	return r, nil
}

// ResultOptions say how long a run is waited for.
type ResultOptions struct {
	PollInterval time.Duration // between the first looks; it grows gently. 0: 2 s
	Timeout      time.Duration // of the whole wait; 0: as long as ctx lets it
	Failing      func(error)   // is told of every look that fails and is repeated; nil: nobody
}

const defaultPollInterval = 2 * time.Second

// The pause between two looks grows from the poll interval up to a multiple.
const (
	pollGrowth    = 1.25
	maxPollGrowth = 8
)

// maxRetryAfter is the longest that a Retry-After is obeyed.
const maxRetryAfter = 5 * time.Minute

// Result waits for the end of the run. One that failed or was cancelled gives its
// result and a *runner.RunFailedError. A look that is refused for now, or has no
// good answer, is repeated, however often: only a *runner.APIError that is not
// transient ends the wait. Where the time is over it is a *runner.PollTimeoutError,
// beside what the last good look has found (nil: there was none), and the run goes on.
func (h *RunHandle) Result(ctx context.Context, o ResultOptions) (*Result, error) {
	looking, cancel := ctx, func() {}
	if o.Timeout > 0 {
		looking, cancel = context.WithTimeout(ctx, o.Timeout)
	}
	defer cancel()
	interval := cmp.Or(max(o.PollInterval, 0), defaultPollInterval)
	var last *Result
	for pause := interval; ; pause = min(time.Duration(float64(pause)*pollGrowth), maxPollGrowth*interval) {
		r, err := h.Status(looking)
		if err == nil && r.State.Ended() {
			return r, r.Err
		}
		if err == nil {
			last = r
		} else if looking.Err() == nil {
			if !runner.MayPass(err) {
				return nil, err
			}
			if o.Failing != nil {
				o.Failing(err)
			}
		}
		api, _ := errors.AsType[*runner.APIError](err)
		rest := pause
		if api != nil {
			rest = max(pause, min(api.RetryAfter, maxRetryAfter))
		}
		select {
		case <-time.After(rest):
		case <-looking.Done():
		}
		if looking.Err() == nil {
			continue
		}
		err = &runner.PollTimeoutError{TaskID: h.TaskID, Timeout: o.Timeout}
		if ctx.Err() != nil {
			last, err = nil, fmt.Errorf("run %s is not waited for any more, and goes on: %w", h.TaskID, ctx.Err())
		}
		h.logError(ctx, "run not waited for any more", err)
		return last, err
	}
}

// Terminate ends the run. What the platform says of one that has ended already is
// not known.
func (h *RunHandle) Terminate(ctx context.Context) error {
	if h.TaskID == "" {
		return errors.New("a run without a task id cannot be terminated")
	}
	what := h.call(http.MethodPost, runPath(h.PipelineID, "terminate"))
	what.body, what.mutates = map[string]any{"run_id": h.TaskID}, true
	if _, err := h.client.do(ctx, what); err != nil {
		return err
	}
	h.log(ctx, slog.LevelInfo, "run terminated")
	return nil
}

// call is one about the run.
func (h *RunHandle) call(method, path string) call {
	return call{method: method, path: path, pipelineID: h.PipelineID, taskID: h.TaskID, traceID: h.TraceID}
}

func (h *RunHandle) logStart(ctx context.Context) { h.log(ctx, slog.LevelInfo, "run started") }

func (h *RunHandle) logEnd(ctx context.Context, r *Result) {
	if r.Err != nil {
		h.log(ctx, slog.LevelWarn, "run ended", slog.String("status", string(r.State)), slog.String("error", r.Error))
		return
	}
	h.log(ctx, slog.LevelInfo, "run ended", slog.String("status", string(r.State)))
}

func (h *RunHandle) logError(ctx context.Context, message string, err error) {
	h.log(ctx, slog.LevelWarn, message, slog.String("error", err.Error()))
}

// log writes a record with the ids that the platform's support asks for.
func (h *RunHandle) log(ctx context.Context, level slog.Level, message string, more ...slog.Attr) {
	if !h.client.made() {
		return
	}
	h.client.log.LogAttrs(context.WithoutCancel(ctx), level, message, append([]slog.Attr{
		slog.String("pipeline_id", h.PipelineID), slog.String("task_id", h.TaskID), slog.String("trace_id", h.TraceID),
	}, more...)...)
}
