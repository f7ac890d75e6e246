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
	Waiting    func(pause time.Duration, cause error) // is told when the run is suspended; nil: nobody
}

// Stream runs a pipeline once, and gives what its nodes make to chunk while it
// runs. A run that is suspended is resumed when its time has come. The status is
// final: TimedOut and Cancelled runs have been terminated.
func Stream(ctx context.Context, one *Single, backend Backend, chunk func(Chunk)) (Handle, Status, error) {
	streamer, ok := backend.(Streamer)
	if !ok {
		return Handle{}, Status{}, errors.New("the backend cannot stream")
	}
	var clock clock
	working, release := clock.start(ctx, one.Timeout)
	handle, status, err := streamer.Stream(working, one.PipelineID, one.Inputs, one.Options, chunk)
	var met trouble
	for err == nil && status.Suspended != nil {
		release()
		if err = one.wait(ctx, backend, &status, &met); err != nil {
			break
		}
		if status.State == Failed {
			_ = terminate(ctx, backend, handle)
			return handle, status, nil
		}
		working, release = clock.start(ctx, one.Timeout)
		status, err = goOn(working, backend, handle)
	}
	timedOut := errors.Is(context.Cause(working), errTimeout)
	release()
	if err == nil || ctx.Err() == nil && !timedOut {
		return handle, status, err
	}
	_ = terminate(ctx, backend, handle)
	if ctx.Err() == nil {
		err := fmt.Errorf("%w of %v and was terminated", errTimeout, one.Timeout)
		return handle, Status{State: TimedOut, Err: err}, nil
	}
	return handle, Status{State: Cancelled}, nil
}

// wait waits until a suspended run may be resumed; the status becomes Failed
// where it may not be. The error is that of ctx.
func (one *Single) wait(ctx context.Context, backend Backend, status *Status, met *trouble) error {
	_, resumes := backend.(Resumer)
	_, waits := backend.(Waiter)
	s := status.Suspended
	pause, giveUp := time.Duration(0), errSuspended
	if resumes && waits {
		pause, giveUp = met.meet(s, &one.Retry, rand.Float64)
	}
	if giveUp != nil {
		*status = Status{State: Failed, Err: giveUp, Usage: status.Usage}
		return nil
	}
	if one.Waiting != nil {
		cause, _ := s.cause()
		one.Waiting(pause, cause)
	}
	timer := time.NewTimer(time.Until(s.At.Add(pause)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// goOn resumes a run, and sees it to where it ends or is suspended again.
func goOn(ctx context.Context, backend Backend, h Handle) (Status, error) {
	if err := backend.(Resumer).Resume(ctx, h); err != nil {
		return Status{State: Running}, err
	}
	return backend.(Waiter).Wait(ctx, h)
}

// terminate ends a run, if there is one, also when ctx is done. Errors that may
// pass are tried again for a while: a run that goes on costs money.
func terminate(ctx context.Context, backend Backend, h Handle) error {
	if h.TaskID == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), terminateWithin)
	defer cancel()
	for pause := terminatePause; ; pause *= 2 {
		err := backend.Terminate(ctx, h)
		if err == nil || !mayPass(err) {
			return err
		}
		if api, ok := errors.AsType[*APIError](err); ok {
			pause = max(pause, api.RetryAfter)
		}
		if sleep(ctx, pause) != nil {
			return err
		}
	}
}
