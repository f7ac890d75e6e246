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
	Drain      <-chan struct{}                        // closed: a start that was refused is not made again; nil: never
	Waiting    func(pause time.Duration, cause error) // is told when the run is suspended, or its start refused; nil: nobody
}

// Start starts a run once and gives its handle. A start that is refused is made again,
// as Retry says. Where it has no good answer, or ctx ends before that, the error says
// that nobody knows whether a run came of it: it is never made again.
func Start(ctx context.Context, one *Single, backend Backend) (Handle, error) {
	var met trouble
	for {
		handle, err := backend.Start(ctx, one.PipelineID, one.Inputs, one.Options)
		if err == nil {
			return handle, nil
		}
		end := endOfStart(err)
		if end == startFailed && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			end = startLost
		}
		if end == startLost {
			return handle, &unknownStart{one.Options.TraceID, err}
		}
		if err = one.again(ctx, err, &met); err != nil {
			return handle, err
		}
	}
}

// Stream runs a pipeline once, and gives what its nodes make to chunk while it
// runs. A start that is refused is made again; a run that is suspended is resumed when
// its time has come. The status is final: TimedOut and Cancelled runs have been
// terminated, or Err says why they may go on.
func Stream(ctx context.Context, one *Single, backend Backend, chunk func(Chunk)) (handle Handle, status Status, err error) {
	streamer, ok := backend.(Streamer)
	if !ok {
		return Handle{}, Status{}, errors.New("the backend cannot stream")
	}
	var working context.Context
	var release func()
	var clock clock
	var met trouble
	for began := false; ; {
		clock.worked = 0 // of the start that counts
		working, release = clock.start(ctx, one.Timeout)
		handle, status, err = streamer.Stream(working, one.PipelineID, one.Inputs, one.Options, func(c Chunk) {
			began = true
			chunk(c)
		})
		if err == nil || began || handle.TaskID != "" || working.Err() != nil {
			break
		}
		release()
		if err = one.again(ctx, err, &met); err != nil {
			break
		}
	}
	met = trouble{}
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
	if err == nil {
		return handle, status, nil
	}
	_, outlives := backend.(Detachable)
	if ctx.Err() == nil && !timedOut {
		if outlives && endOfStart(err) == startLost {
			err = one.lost(handle, err)
		}
		return handle, status, err
	}
	how, gone := "may go on, as its id is not known: under trace id "+one.Options.TraceID, false
	switch {
	case handle.TaskID != "" || !outlives:
		err := terminate(ctx, backend, handle)
		how, gone = endedBy(err), isGone(err)
	case endOfStart(err) == startRefused: // and was to be made again
		how, gone = "was not started", true
	}
	if ctx.Err() == nil {
		return handle, Status{State: TimedOut, Err: fmt.Errorf("%w of %v and %s", errTimeout, one.Timeout, how)}, nil
	}
	if status = (Status{State: Cancelled}); !gone {
		status.Err = fmt.Errorf("the run %s", how)
	}
	return handle, status, nil
}

// lost says of a run whose stream broke off that it may go on, and how to find it.
func (one *Single) lost(h Handle, err error) error {
	if h.TaskID == "" {
		return &unknownStart{one.Options.TraceID, err}
	}
	return fmt.Errorf("%w; the run may go on: it is %s/%s", err, h.PipelineID, h.TaskID)
}

// again waits until a start that came to nothing may be made again. The error says why
// it should not be.
func (one *Single) again(ctx context.Context, failed error, met *trouble) error {
	if endOfStart(failed) != startRefused {
		return failed
	}
	s := metNow(failed)
	pause, giveUp := met.meet(&s, &one.Retry, rand.Float64)
	if giveUp != nil {
		return giveUp
	}
	if one.pause(ctx, &s, pause) != nil {
		return failed
	}
	return nil
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
	if giveUp == nil {
		return one.pause(ctx, s, pause)
	}
	*status = Status{State: Failed, Err: giveUp, Usage: status.Usage}
	return nil
}

// pause tells of a pause, and makes it. The error says that there is no going on.
func (one *Single) pause(ctx context.Context, s *Suspension, pause time.Duration) error {
	if one.Waiting != nil {
		cause, _ := s.cause()
		one.Waiting(pause, cause)
	}
	timer := time.NewTimer(time.Until(s.At.Add(pause)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-one.Drain:
		return errNotStarted
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
		if err == nil || !MayPass(err) {
			return err
		}
		if api, ok := errors.AsType[*APIError](err); ok {
			pause = max(pause, api.RetryAfter)
		}
		if Sleep(ctx, pause) != nil {
			return err
		}
	}
}
