package vectorshift

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"nightshift/runner"
)

// RunOptions are what a run is started with, beside its inputs.
type RunOptions struct {
	SessionID               string
	NodeInputOverrides      map[string]any // "node.input" to value
	Version                 string         // of the pipeline; "": the published one
	TraceID                 string         // that the run is to be known by; "": the platform makes one
	WebhookURL              string         // is called when a background run has ended
	SendIntermediateResults bool
	StreamAllOutputs        bool
}

// mode is how a run is made: the key of the wire that asks for it.
type mode string

const (
	inline     mode = "" // the answer is the result
	streamed   mode = "stream"
	background mode = "background"
)

// Run runs the pipeline and waits for its end, as long as ctx lets it. A run that
// failed gives its result and a *runner.RunFailedError. Where the answer was lost,
// the run may go on.
func (p *Pipeline) Run(ctx context.Context, in runner.Inputs, o RunOptions) (*Result, error) {
	what, err := p.call(ctx, in, o, inline)
	if err != nil {
		return nil, err
	}
	what.patient = true
	h := p.client.Handle(p.ID, "", o.TraceID)
	h.logStart(ctx)
	answer, err := p.client.do(ctx, what)
	if err != nil {
		return nil, err
	}
	r, err := p.conclude(ctx, what, answer, h)
	if err != nil {
		return r, err
	}
	return r, r.Err
}

// conclude reads the end of a run off an answer that is all that there will be, and
// logs it. One that does not say how the run ended is an error, beside what it does
// say.
func (p *Pipeline) conclude(ctx context.Context, what call, answer map[string]any, known *RunHandle) (*Result, error) {
	r := known.read(answer)
	if r.Word == "" {
		switch {
		case r.Error != "":
			r.end(runner.Failed)
		case answer["outputs"] != nil || answer["result"] != nil || answer["type"] == typeResult:
			r.end(runner.Succeeded)
		}
	}
	if !r.State.Ended() {
		err := p.client.foreign(what, fmt.Errorf("the answer does not say how the run ended; its status is %q", runner.Quote(r.Word)))
		r.handle(p.client).logError(ctx, "run lost from sight", err)
		return r, err
	}
	r.handle(p.client).logEnd(ctx, r)
	return r, nil
}

// Start starts a run in the background and returns at once. A refusal is a
// *runner.APIError. A *runner.ConnectionError that was not Unsent leaves open
// whether there is a run.
func (p *Pipeline) Start(ctx context.Context, in runner.Inputs, o RunOptions) (*RunHandle, error) {
	what, err := p.call(ctx, in, o, background)
	if err != nil {
		return nil, err
	}
	what.starts = true
	answer, err := p.client.do(ctx, what)
	if err != nil {
		return nil, err
	}
	r := p.client.Handle(p.ID, "", o.TraceID).read(answer)
	h := r.handle(p.client)
	if h.TaskID == "" { // with an id it is a run, which may have failed by now
		if err = p.client.failed(what, answer); err == nil {
			err = p.client.foreign(what, fmt.Errorf("the answer to a start has no task id; its status is %q", runner.Quote(r.Word)))
		}
		h.logError(ctx, "run not started", err)
		return nil, err
	}
	h.logStart(ctx)
	return h, nil
}

// Terminate ends a run of the pipeline. What the platform says of one that has
// ended already is not known.
func (p *Pipeline) Terminate(ctx context.Context, taskID string) error {
	if p == nil {
		return errNoClient
	}
	return p.client.Handle(p.ID, taskID, "").Terminate(ctx)
}

// call makes the call that runs the pipeline. Inputs that cannot be sent are a
// *runner.InputError.
func (p *Pipeline) call(ctx context.Context, in runner.Inputs, o RunOptions, how mode) (call, error) {
	if p == nil || !p.client.made() {
		return call{}, errNoClient
	}
	inputs, err := encodeInputs(in, p.inputTypes(), p.dir)
	if err != nil {
		p.client.Handle(p.ID, "", o.TraceID).logError(ctx, "run not started", err)
		return call{}, err
	}
	body := map[string]any{"inputs": inputs}
	if how != inline {
		body[string(how)] = true
	}
	if err = writable(o.NodeInputOverrides); err != nil {
		return call{}, &runner.InputError{Err: fmt.Errorf("the overrides of node inputs: %w", err)}
	}
	if len(o.NodeInputOverrides) > 0 {
		body["node_input_overrides"] = p.rewriteOverrides(o.NodeInputOverrides)
	}
	for key, word := range map[string]string{
		"session_id": o.SessionID, "version": o.Version, "trace_id": o.TraceID, "webhook_url": o.WebhookURL,
	} {
		if word != "" {
			body[key] = word
		}
	}
	for key, on := range map[string]bool{
		"send_intermediate_results": o.SendIntermediateResults, "stream_all_outputs": o.StreamAllOutputs,
	} {
		if on {
			body[key] = true
		}
	}
	return call{method: http.MethodPost, path: runPath(p.ID, "run"), body: body, pipelineID: p.ID, traceID: o.TraceID}, nil
}

// runPath is the path of a call about runs of a pipeline.
func runPath(pipelineID string, parts ...string) string {
	path := []string{"", "pipeline", url.PathEscape(pipelineID)}
	for _, part := range parts {
		path = append(path, url.PathEscape(part))
	}
	return strings.Join(path, "/")
}
