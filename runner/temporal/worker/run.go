package worker

import (
	"context"
	"errors"
	"io/fs"

	"go.temporal.io/sdk/temporal"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// run is the activity of one run outside of a batch. What it comes to is in the store
// when it ends, also where it was cancelled.
func (w *work) run(ctx context.Context, in flow.Run) (flow.RunEnd, error) {
	if w.stops() {
		return flow.RunEnd{}, w.givenBack()
	}
	h := w.beats(ctx, nil)
	defer h.stop()
	s, release, err := w.store(h, in.Store)
	if err != nil {
		return flow.RunEnd{}, h.failed(nil, err)
	}
	defer release()
	if h.info.Attempt > 1 {
		end, err := s.RunEnd(h, in.Key)
		if err == nil { // and the server was not told
			return flow.RunEnd{State: string(end.State)}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return flow.RunEnd{}, h.failed(nil, err)
		}
	}
	start, err := s.Run(h, in.Key)
	if err != nil {
		return flow.RunEnd{}, h.failed(nil, err)
	}
	f, release, err := w.runFile(h, s, in, start)
	if err != nil {
		return flow.RunEnd{}, h.failed(nil, err)
	}
	defer release()
	end, err := w.runOne(h, f, start)
	if err == nil {
		within, cancel := context.WithTimeout(context.WithoutCancel(h), writeWithin)
		defer cancel()
		err = s.PutRunEnd(within, in.Key, end)
		if err == nil {
			return flow.RunEnd{State: string(end.State)}, nil
		}
	}
	return flow.RunEnd{}, h.failed(f.file, err)
}

// runFile gives the batch file of a run. Runs of one file share it, but for those that
// bring files along.
func (w *work) runFile(ctx context.Context, s *store.Store, in flow.Run, start *store.Run) (*openFile, func(), error) {
	key, files := s.String()+" "+start.Bundle, func(path string) ([]byte, error) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if start.Files {
		key = s.String() + " " + in.Key
		files = func(path string) ([]byte, error) { return w.fileOf(s, in.Key, path) }
	}
	return w.openFile(ctx, key, in.Store, func(ctx context.Context, s *store.Store) (*openFile, error) {
		f, err := w.open(ctx, s, start.Bundle, files)
		if err != nil {
			return f, err
		}
		return f, w.check(f, &spec.Batch{}, start.Pipeline)
	})
}

// runOne runs a pipeline once. An error says that the run is to be tried again.
func (w *work) runOne(h *heart, f *openFile, start *store.Run) (*store.RunEnd, error) {
	backend, err := h.guarded(f)
	if err != nil {
		return nil, err
	}
	one := &runner.Single{
		PipelineID: f.pipelineID, Inputs: start.Inputs, Options: start.Options,
		Timeout: start.Timeout, Retry: f.file.Run.Retry, Drain: h.drain,
	}
	handle, status, err := runner.Stream(h, one, backend, func(runner.Chunk) {})
	switch cause := context.Cause(h); {
	case cause != nil && !errors.Is(cause, errCancelled) && !temporal.IsCanceledError(cause):
		return nil, cause
	case cause != nil && !status.State.Ended():
		status = runner.Status{State: runner.Cancelled, Usage: status.Usage}
	case err != nil && h.drains() && !status.State.Ended():
		_ = backend.Terminate(context.WithoutCancel(h), handle) // it waits for its time, which is another worker's now
		return nil, errGivenBack
	case err != nil:
		status = runner.Status{State: runner.Failed, Err: err, Usage: status.Usage}
	}
	redact := f.file.Redactor
	end := &store.RunEnd{State: status.State, Outputs: redact.Map(status.Outputs), Usage: status.Usage}
	if status.State != runner.Succeeded {
		end.Error, end.NodeType = describe(&status)
		end.Error.Message = redact.Message(end.Error.Message)
	}
	return end, nil
}

// describe says why a run did not succeed, and the type of the node that is to blame.
func describe(s *runner.Status) (info *runner.ErrorInfo, nodeType string) {
	class := "run_failed"
	switch s.State {
	case runner.Cancelled:
		class = "cancelled"
	case runner.TimedOut:
		class = "timed_out"
	}
	info = runner.Describe(s.Err, class)
	if s.Err == nil && s.State == runner.Cancelled {
		info.Message = "the run was cancelled"
	}
	if node, ok := errors.AsType[*runner.RunError](s.Err); ok {
		nodeType = node.Type
	}
	return info, nodeType
}
