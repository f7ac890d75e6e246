package temporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
)

const (
	// A pass is looked at soon, as it may be a small one, and then every so often.
	firstLook = 100 * time.Millisecond
	lookEvery = time.Second

	// hearWithin is how long workers may take to hear of an end that nobody has told them.
	hearWithin = 4 * time.Second
)

// Follow gives the results of a pass, a shard as soon as it is seen to have ended, and
// returns when the pass has ended and all were given, those of shards that it broke off
// included. It may be ended at any time, and be done again by any process. A pass that
// the cluster does not know is begun: shards that have ended before do so at once.
//
// While the server is away it is waited for, as long as retry.max_elapsed says. Then the
// error is a *runner.ConnectionError, and the pass goes on.
func (b *Backend) Follow(ctx context.Context, h runner.Handle, results func(*runner.Result) error) (runner.PassEnd, error) {
	ctx, release := context.WithCancel(ctx)
	f := &follower{b: b, away: b.newAway(), workers: b.newWorkers(h.TaskID), troubles: b.newTroubles(h.TaskID), give: results}
	err := patiently(ctx, f.away, func() (err error) {
		f.passAt, err = b.pass(ctx, h)
		return err
	})
	if err != nil {
		release()
		return runner.PassEnd{}, err
	}
	if f.Pass == nil { // it was forgotten: what it had to give was given
		b.Say(fmt.Sprintf("nightshift: pass %s is neither known to the cluster nor in the store; what has no result of it is handed over again", h.TaskID))
		release()
		return runner.PassEnd{Left: true}, nil
	}
	f.joined = b.joinedOf(f.passAt)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer release()
	var end flow.BatchEnd
	closed := make(chan error, 1)
	waiting.Go(func() { closed <- f.close(ctx, &end) })
	for pause := firstLook; ; pause = min(2*pause, lookEvery) {
		select {
		case err := <-closed:
			early, ok := errors.AsType[*endError](err)
			if err != nil && !ok {
				return runner.PassEnd{}, err
			}
			if ok && early.cut { // workers then write what they have
				_ = runner.Sleep(ctx, hearWithin)
			}
			if err := f.joinAll(ctx, max(end.Sum.Items, f.known)); err != nil {
				return runner.PassEnd{}, err
			}
			return f.end(end, early)
		case <-time.After(pause):
			if err := f.look(ctx); err != nil {
				return runner.PassEnd{}, err
			}
		}
	}
}

// follower is a pass while it is followed.
type follower struct {
	passAt
	b        *Backend
	away     *away
	workers  *workers
	troubles *troubles
	give     func(*runner.Result) error

	*joined
	known  int  // results that there are, as the pass has told
	paused bool // as the user was told
}

// close waits for the end of the pass.
func (f *follower) close(ctx context.Context, end *flow.BatchEnd) error {
	return patiently(ctx, f.away, func() error {
		err := f.b.client.closing(ctx, f.id, end)
		if isMissing(err) {
			if err = f.b.beginPass(ctx, f.passAt); err == nil {
				err = f.b.client.closing(ctx, f.id, end)
			}
		}
		return err
	})
}

// look gives the results of the shards that have ended since the last look. An error
// ends the following.
func (f *follower) look(ctx context.Context) error {
	progress, err := f.b.Progress(ctx, runner.Handle{TaskID: f.id})
	if err != nil {
		return f.unseen(ctx)
	}
	_ = f.away.met(nil)
	f.known = max(f.known, progress.Sum.Items)
	_ = f.troubles.look(ctx) // a server that is away is met with the next look
	if progress.Paused != f.paused {
		if f.paused = progress.Paused; f.paused {
			f.b.Say("nightshift: the batch is paused: nightshift resume lets it go on")
		} else {
			f.b.Say("nightshift: the batch goes on")
		}
	}
	_, err = f.join(ctx, progress.Begun, progress.Ended, false) // what cannot be read is asked for again later
	return err
}

// unseen finds out why a look came to nothing: the server is away, no worker is there
// to answer, or the workflow is just not far enough.
func (f *follower) unseen(ctx context.Context) error {
	within, release := context.WithTimeout(ctx, lookWithin)
	defer release()
	_, err := f.b.describe(within, "look", f.id)
	if ctx.Err() != nil || isMissing(err) { // who waits for the end sees to that
		return nil
	}
	for _, look := range []func(context.Context) error{f.workers.look, f.late, f.troubles.look} {
		if err == nil {
			err = look(ctx)
		}
	}
	return f.away.met(err)
}

// Progress tells how far a pass is. A worker has to answer that: the error may say only
// that none did, within 5 s.
func (b *Backend) Progress(ctx context.Context, h runner.Handle) (flow.Progress, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var progress flow.Progress
	answer, err := b.client.sdk.QueryWorkflow(ctx, h.TaskID, "", flow.ProgressQuery)
	if err == nil {
		err = answer.Get(&progress)
	}
	return progress, b.client.failure(ctx, "query", err)
}

// end is the end of a pass whose results were all given; early is nil where it has
// ended by itself. Where items have no result there is a reason for it, or an error.
func (f *follower) end(end flow.BatchEnd, early *endError) (runner.PassEnd, error) {
	p := runner.PassEnd{Left: f.given < f.Items}
	switch {
	case !p.Left:
	case early != nil && early.late:
		p.Stopped = runner.AtDeadline
	case early != nil:
		p.Stopped = runner.Broken
		if early.state == runner.Cancelled {
			p.Stopped = runner.Interrupted
		}
		p.Cause = fmt.Errorf("pass %s: %s; run again goes on with what is left", f.id, early.words)
	case end.Stopped.Why == "":
		return runner.PassEnd{}, f.lacking(fmt.Sprintf("it has ended, and %d of its %d items have no result in %s, for no reason that it tells", f.Items-f.given, f.Items, f.store))
	default:
		p.Stopped, p.Reason = runner.StopReason(end.Stopped.Why), end.Stopped.Reason
		if cause := end.Stopped.Cause; cause != "" {
			p.Cause = errors.New(cause)
		}
	}
	return p, nil
}
