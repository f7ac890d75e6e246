package vectorshift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// Backend is the platform as a backend of batches. Its runs outlive this process.
type Backend struct {
	client *Client
	dir    string

	mu        sync.Mutex
	pipelines map[string]*Pipeline // that were saved, by id
}

var (
	_ runner.Backend    = (*Backend)(nil)
	_ runner.Detachable = (*Backend)(nil)
	_ runner.Streamer   = (*Backend)(nil)
)

// NewBackend makes a backend. Paths of files in inputs are relative to dir.
func NewBackend(client *Client, dir string) *Backend {
	return &Backend{client: client, dir: dir, pipelines: map[string]*Pipeline{}}
}

// Detachable does nothing.
func (b *Backend) Detachable() {}

// Save creates or updates the pipeline of that name, or leaves it unchanged. One
// without nodes is looked for only.
func (b *Backend) Save(ctx context.Context, p *spec.Pipeline, o runner.SaveOptions) (runner.Saved, error) {
	saved, action, changes, err := b.client.SavePipeline(ctx, p, SaveOptions{}, o.LookOnly)
	if err != nil {
		return runner.Saved{}, err
	}
	saved.dir = b.dir
	b.mu.Lock()
	b.pipelines[saved.ID] = saved
	b.mu.Unlock()
	return runner.Saved{PipelineID: saved.ID, Action: action, Changes: changes, Others: saved.Others, Notes: saved.Notes}, nil
}

// pipeline gives one that was saved, with its input types.
func (b *Backend) pipeline(id string) *Pipeline {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pipelines[id]; p != nil {
		return p
	}
	p := b.client.Pipeline(id)
	p.dir = b.dir
	return p
}

func runOptions(o runner.StartOptions) RunOptions {
	return RunOptions{SessionID: o.SessionID, NodeInputOverrides: o.NodeInputOverrides, Version: o.Version, TraceID: o.TraceID}
}

// Start starts a run in the background. An input that the pipeline does not have is a
// *runner.InputError: the platform would pass over it.
func (b *Backend) Start(ctx context.Context, pipelineID string, in runner.Inputs, o runner.StartOptions) (runner.Handle, error) {
	p := b.pipeline(pipelineID)
	if err := p.checkNames(in); err != nil {
		return runner.Handle{}, &runner.InputError{Err: err}
	}
	h, err := p.Start(ctx, in, runOptions(o))
	if err != nil {
		return runner.Handle{}, err
	}
	return runner.Handle{PipelineID: h.PipelineID, TaskID: h.TaskID, TraceID: h.TraceID}, nil
}

// checkNames finds inputs that the pipeline does not have, where its nodes are known.
func (p *Pipeline) checkNames(in runner.Inputs) error {
	if p.nodes == nil {
		return nil
	}
	types := p.inputTypes()
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if _, known := types[name]; !known {
			names := slices.Sorted(maps.Keys(types))
			return fmt.Errorf("the pipeline has no input %q%s", name, cmp.Or(schema.DidYouMean(name, names), "; it has "+strings.Join(names, ", ")))
		}
	}
	return nil
}

// Status is one look at a run.
func (b *Backend) Status(ctx context.Context, h runner.Handle) (runner.Status, error) {
	r, err := b.client.Handle(h.PipelineID, h.TaskID, h.TraceID).Status(ctx)
	if err != nil {
		return runner.Status{}, err
	}
	return r.status(), nil
}

// Terminate ends a run.
func (b *Backend) Terminate(ctx context.Context, h runner.Handle) error {
	return b.client.Handle(h.PipelineID, h.TaskID, h.TraceID).Terminate(ctx)
}

// Stream runs a pipeline inline, and gives what its nodes make to chunk. The
// handle is that of the run as far as the platform has told it.
func (b *Backend) Stream(ctx context.Context, pipelineID string, in runner.Inputs, o runner.StartOptions, chunk func(runner.Chunk)) (runner.Handle, runner.Status, error) {
	h := runner.Handle{PipelineID: pipelineID, TraceID: o.TraceID}
	for c, err := range b.pipeline(pipelineID).Stream(ctx, in, runOptions(o)) {
		if c.RunID != "" {
			h.TaskID = c.RunID
		}
		failed, ended := errors.AsType[*runner.RunFailedError](err)
		switch {
		case ended: // by an error in its stream
			return h, runner.Status{State: runner.Failed, Err: failed}, nil
		case err != nil:
			return h, runner.Status{State: runner.Running}, err
		case c.Type == typeResult:
			end := Result{TaskID: h.TaskID, Error: c.Error, Outputs: c.Outputs}
			end.end(c.Status)
			return h, end.status(), nil
		case c.OutputName != "":
			_, text := c.OutputValue.(string)
			chunk(runner.Chunk{RunID: c.RunID, Output: c.OutputName, Value: c.OutputValue, Piece: text})
		}
	}
	return h, runner.Status{State: runner.Running}, errors.New("the stream ended without a result")
}

// status is the result as a batch sees it.
func (r *Result) status() runner.Status {
	s := runner.Status{State: r.State}
	switch r.State {
	case runner.Succeeded:
		s.Outputs = r.Outputs
	case runner.Failed:
		s.Err = r.Err
	}
	return s
}
