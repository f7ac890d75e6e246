package temporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// A start that is repeated is the same run, also after that has ended.
const (
	useExisting     = enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	rejectDuplicate = enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
)

// Start starts a run. It is known by its trace id: with the same one the same run is
// given, whatever the inputs. Those that do not fit the pipeline make it fail.
func (b *Backend) Start(ctx context.Context, pipelineID string, in runner.Inputs, o runner.StartOptions) (runner.Handle, error) {
	s, bundle, err := b.saved(ctx)
	if err != nil {
		return runner.Handle{}, err
	}
	if o.TraceID == "" {
		o.TraceID = nonce(16)
	}
	h := runner.Handle{PipelineID: pipelineID, TaskID: runID(o.TraceID), TraceID: o.TraceID}
	key := store.RunKey(h.TaskID)
	files := newFiles(b.File, s, key)
	if err := files.ofPipeline(ctx); err != nil {
		return runner.Handle{}, err
	}
	if err := files.ofInputs(ctx, in); err != nil {
		return runner.Handle{}, err
	}
	if err := s.PutRun(ctx, key, &store.Run{
		Bundle: bundle, Pipeline: b.File.Digest(&spec.Batch{}, b.File.Redactor), PipelineID: pipelineID,
		Inputs: in, Options: o, Timeout: b.File.Run.Timeout, Files: len(files.put) > 0,
	}); err != nil {
		return runner.Handle{}, err
	}
	if err := b.begin(ctx, h.TaskID, flow.RunWorkflow, flow.Run{Store: b.Store, Key: key}, memo{b.Store, key, pipelineID}); err != nil {
		return runner.Handle{}, err
	}
	return h, nil
}

// Find gives the handle of the run with that trace id.
func (b *Backend) Find(ctx context.Context, traceID string) (runner.Handle, error) {
	id := runID(traceID)
	d, err := b.describe(ctx, "find", id)
	if isMissing(err) {
		return runner.Handle{}, nil
	}
	if err != nil {
		return runner.Handle{}, err
	}
	return runner.Handle{PipelineID: d.Pipeline, TaskID: id, TraceID: traceID}, nil
}

// Status is one look at a run, or a pass.
func (b *Backend) Status(ctx context.Context, h runner.Handle) (runner.Status, error) {
	d, err := b.describe(ctx, "status", h.TaskID)
	if err != nil {
		return runner.Status{State: runner.Running}, err
	}
	switch d.Status {
	case enums.WORKFLOW_EXECUTION_STATUS_RUNNING, enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enums.WORKFLOW_EXECUTION_STATUS_PAUSED:
		return runner.Status{State: runner.Running}, nil
	}
	return b.end(ctx, h.TaskID, d)
}

// Wait returns when a run, or a pass, has ended. It says when no worker is there, and
// waits for a server that is away for as long as retry.max_elapsed says.
func (b *Backend) Wait(ctx context.Context, h runner.Handle) (runner.Status, error) {
	running := runner.Status{State: runner.Running}
	ctx, release := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer release()
	away := b.newAway()
	closed := make(chan error, 1)
	waiting.Go(func() {
		closed <- patiently(ctx, away, func() error { return b.client.closing(ctx, h.TaskID, nil) })
	})
	workers, troubles := b.newWorkers(h.TaskID), b.newTroubles(h.TaskID)
	looks := time.NewTicker(time.Second)
	defer looks.Stop()
	for {
		select {
		case err := <-closed:
			if _, ended := errors.AsType[*endError](err); err != nil && !ended {
				return running, err
			}
			status := running
			err = patiently(ctx, away, func() (err error) {
				status, err = b.Status(ctx, h)
				return err
			})
			return status, err
		case <-looks.C:
			_ = workers.look(ctx) // who waits hears of a server that is away
			_ = troubles.look(ctx)
		}
	}
}

// end tells how a run, or a pass, has ended.
func (b *Backend) end(ctx context.Context, id string, d description) (runner.Status, error) {
	running := runner.Status{State: runner.Running} // as far as is known
	err := b.client.closing(ctx, id, nil)
	ended, early := errors.AsType[*endError](err)
	switch {
	case err != nil && !early:
		return running, err
	case early && (isPass(id) || ended.state == runner.Failed):
		return ended.status(), nil
	case isPass(id):
		return runner.Status{State: runner.Succeeded}, nil
	}
	s, err := b.open(ctx, d.Store)
	if err != nil {
		return running, err
	}
	end, err := s.RunEnd(ctx, store.RunKey(id))
	switch {
	case err != nil && early: // there was no time to write it
		return ended.status(), nil
	case err != nil:
		return running, fmt.Errorf("run %s has ended, but what it came to cannot be read: %w", id, err)
	}
	status := runner.Status{State: end.State, Outputs: end.Outputs, Usage: end.Usage}
	if end.Error != nil && end.State != runner.Cancelled {
		status.Err = &runError{end.Error, end.NodeType}
	}
	return status, nil
}

// runError is why a run did not succeed, as a worker has written it.
type runError struct {
	*runner.ErrorInfo
	nodeType string
}

func (e *runError) Error() string { return e.Message }

// Class is the class of the error in results.
func (e *runError) Class() string { return e.ErrorInfo.Class }

// Status is the HTTP status that was answered; 0: none was.
func (e *runError) Status() int { return e.StatusCode }

// Unwrap names the node that is to blame, if one is.
func (e *runError) Unwrap() error {
	if e.Node == "" {
		return nil
	}
	return &runner.RunError{Node: e.Node, Type: e.nodeType, Err: errors.New(e.Message)}
}
