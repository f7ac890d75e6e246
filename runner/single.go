package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Single is one run outside of a batch.
type Single struct {
	PipelineID string
	Inputs     Inputs
	Options    StartOptions
	Timeout    time.Duration // of the run; 0: none
	Retry      Retry
}

// Stream runs a pipeline once, and gives what its nodes make to chunk while it
// runs. A run that is suspended is resumed when its time has come. The status is
// final: TimedOut and Cancelled runs have been terminated.
func Stream(ctx context.Context, one *Single, backend Backend, chunk func(Chunk)) (Handle, Status, error) {
	streamer, ok := backend.(Streamer)
	if !ok {
		return Handle{}, Status{}, errors.New("the backend cannot stream")
	}
	runCtx := ctx
	if one.Timeout > 0 {
		var cancel context.CancelFunc
		runCtx, cancel = context.WithDeadlineCause(ctx, time.Now().Add(one.Timeout), errTimeout)
		defer cancel()
	}
	handle, status, err := streamer.Stream(runCtx, one.PipelineID, one.Inputs, one.Options, chunk)
	var met trouble
	for err == nil && status.Suspended != nil {
		status, err = one.goOn(runCtx, backend, handle, status, &met)
	}
	if runCtx.Err() == nil || err == nil {
		return handle, status, err
	}
	terminate(ctx, backend, handle)
	if errors.Is(context.Cause(runCtx), errTimeout) {
		err := fmt.Errorf("%w of %v and was terminated", errTimeout, one.Timeout)
		return handle, Status{State: TimedOut, Err: err}, nil
	}
	return handle, Status{State: Cancelled}, nil
}

// goOn waits until a suspended run may be resumed, and sees it to where it ends
// or is suspended again.
func (one *Single) goOn(ctx context.Context, backend Backend, h Handle, status Status, met *trouble) (Status, error) {
	resumer, resumes := backend.(Resumer)
	waiter, waits := backend.(Waiter)
	pause, giveUp := time.Duration(0), errSuspended
	if resumes && waits {
		pause, giveUp = met.meet(status.Suspended.Err, &one.Retry, status.Suspended.At, rand.Float64)
	}
	if giveUp != nil {
		terminate(ctx, backend, h)
		return Status{State: Failed, Err: giveUp, Usage: status.Usage}, nil
	}
	timer := time.NewTimer(time.Until(status.Suspended.At.Add(pause)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return status, ctx.Err()
	}
	if err := resumer.Resume(ctx, h); err != nil {
		return status, err
	}
	return waiter.Wait(ctx, h)
}

// terminate ends a run, if there is one, also when ctx is done.
func terminate(ctx context.Context, backend Backend, h Handle) {
	if h.TaskID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), terminateWithin)
	defer cancel()
	_ = backend.Terminate(ctx, h) // best effort: the run's fate is decided already
}
