package temporal

import (
	"context"
	"fmt"
	"time"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
)

// Time that what is cancelled has to end by itself. Activities hear of it by their next
// heartbeat, and a shard then writes what it has.
const (
	runEndsWithin  = 5 * time.Second
	passEndsWithin = 10 * time.Second
)

// Pause lets a pass start no run until Unpause; those under way end. The error is a
// *runner.NotFoundError where there is no such pass, or it has ended.
func (b *Backend) Pause(ctx context.Context, h runner.Handle) error {
	return b.signal(ctx, h, flow.PauseSignal)
}

// Unpause lets a pass go on that was paused. (This backend is no [runner.Resumer]: its
// runs are suspended, and gone on with, by their worker only.)
func (b *Backend) Unpause(ctx context.Context, h runner.Handle) error {
	return b.signal(ctx, h, flow.ResumeSignal)
}

// Drain lets a pass start no run any more; it ends with those under way. One that has
// ended stays as it is.
func (b *Backend) Drain(ctx context.Context, h runner.Handle) error {
	return b.ifOpen(ctx, h, b.signal(ctx, h, flow.DrainSignal))
}

// cancel asks a run, or a pass, to end now, and does not wait for that: runs under way
// are terminated. One that has ended stays as it is.
func (b *Backend) cancel(ctx context.Context, h runner.Handle) error {
	err := b.client.sdk.CancelWorkflow(ctx, h.TaskID, "")
	return b.ifOpen(ctx, h, b.client.failure(ctx, "cancel", err))
}

// Terminate ends a run, or a pass, now. It is asked to end, and has 5 s for that, a pass
// 10 s; then, as where no worker is there, it is ended without being asked. The error
// is a *runner.NotFoundError where there is no such thing.
func (b *Backend) Terminate(ctx context.Context, h runner.Handle) error {
	if err := b.cancel(ctx, h); err != nil {
		return err
	}
	within := runEndsWithin
	if isPass(h.TaskID) {
		within = passEndsWithin
	}
	waiting, release := context.WithTimeout(ctx, within)
	defer release()
	err := b.client.closing(waiting, h.TaskID, nil)
	if err != nil && isAway(err) && ctx.Err() == nil {
		err = b.client.sdk.TerminateWorkflow(ctx, h.TaskID, "", endReason)
		return b.ifOpen(ctx, h, b.client.failure(ctx, "terminate", err))
	}
	if isAway(err) {
		return err
	}
	return nil // it has ended, however
}

// Forget removes what is stored of a pass that has ended.
func (b *Backend) Forget(ctx context.Context, h runner.Handle) error {
	if err := checkPass(h.TaskID); err != nil {
		return err
	}
	url := b.Store
	if url == "" {
		d, err := b.describe(ctx, "look", h.TaskID)
		if err != nil {
			return err
		}
		url = d.Store
	}
	s, err := b.open(ctx, url)
	if err != nil {
		return err
	}
	return s.Forget(ctx, passKey(h.TaskID))
}

func (b *Backend) signal(ctx context.Context, h runner.Handle, name string) error {
	if err := checkPass(h.TaskID); err != nil {
		return fmt.Errorf("%w: only those can be told to %s", err, name)
	}
	err := b.client.failure(ctx, name, b.client.sdk.SignalWorkflow(ctx, h.TaskID, "", name, nil))
	if isMissing(err) { // or it has ended
		if _, known := b.describe(ctx, "look", h.TaskID); known != nil {
			return known
		}
	}
	return err
}

// ifOpen is an error of a call about a workflow, but none where that is there and has
// ended: the server says of one as of the other that it is not found.
func (b *Backend) ifOpen(ctx context.Context, h runner.Handle, err error) error {
	if !isMissing(err) {
		return err
	}
	_, err = b.describe(ctx, "look", h.TaskID)
	return err
}
