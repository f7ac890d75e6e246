package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The pause between two looks at a run grows gently from the poll interval.
const (
	pollGrowth    = 1.25
	maxPollGrowth = 8
	maxPollErrors = 10 // looks that fail in a row before the run is given up

	maxFailedPause = 30 * time.Second // after one that fails
)

// A run is not looked at before it has gone on for nine tenths of the time that
// the shortest of the last runs took, but for a look every 8 poll intervals, or half
// way if that is later. From then on pauses are a twentieth of that time at least:
// where calls are few, those that come too early delay the starts of others.
const (
	paceRuns  = 16
	paceShare = 0.9
	tailShare = 0.05
)

// pace is how long runs of a batch take that are polled.
type pace struct {
	mu    sync.Mutex
	last  [paceRuns]time.Duration // a ring
	count int
}

// add takes the time from a run's start to the look that saw its end.
func (p *pace) add(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[p.count%paceRuns] = took
	p.count++
}

// early is how long no end is to be expected; 0 where nothing is known.
func (p *pace) early() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count == 0 {
		return 0
	}
	return time.Duration(paceShare * float64(slices.Min(p.last[:min(p.count, paceRuns)])))
}

// first is the pause before the first look at a run. Where nothing is known, the
// run may be one that ends at once.
func (p *pace) first(interval time.Duration) time.Duration {
	early := p.early()
	if early == 0 {
		return 0
	}
	return min(max(early, interval), rarely(interval, early))
}

// pauses are those between the looks at one run.
type pauses struct {
	interval time.Duration
	pause    time.Duration // before the next look
	tender   time.Duration // age of the run until which it is looked at rarely
}

// after is the pause after a look at a run of that age.
func (p *pauses) after(age time.Duration) time.Duration {
	longest := rarely(p.interval, p.tender)
	if early := p.tender - age; early > p.pause {
		return min(early, longest)
	}
	pause := max(p.pause, time.Duration(tailShare*float64(p.tender)))
	p.pause = min(time.Duration(float64(pause)*pollGrowth), longest)
	return pause
}

// rarely is the longest pause between two looks at a run that will not end early.
func rarely(interval, early time.Duration) time.Duration {
	return max(maxPollGrowth*interval, early/2)
}

// wait returns when the run of a task has ended or was suspended, or ctx is
// done; then the status is Running.
func (r *run) wait(ctx context.Context, t *task) (Status, error) {
	if r.waiter != nil {
		return r.waiter.Wait(ctx, t.handle)
	}
	looks := pauses{interval: r.PollInterval, pause: r.PollInterval}
	if t.fresh {
		looks.tender = r.pace.early()
	}
	for pause := t.first; ; pause = looks.after(time.Since(t.started)) {
		if err := Sleep(ctx, pause); err != nil {
			return Status{State: Running}, err
		}
		status, err := r.look(ctx, t, &looks)
		if err != nil {
			return Status{State: Running}, err
		}
		if status.State.Ended() && t.fresh {
			r.pace.add(time.Since(t.started))
		}
		if status.State.Ended() || status.Suspended != nil {
			return status, nil
		}
	}
}

// look tells how the run of a task stands. A look that fails is repeated: it never
// means that the run is to be started again. Where it may pass, it is given up
// after nothing else for retry.max_elapsed. The first look at a run that was begun
// before may say that there is no such run, which is a 404 or 410.
func (r *run) look(ctx context.Context, t *task, looks *pauses) (Status, error) {
	began := time.Now()
	for failures, lasting := 1, 0; ; failures++ {
		if err := r.budget.wait(ctx); err != nil {
			return Status{State: Running}, err
		}
		status, err := r.backend.Status(ctx, t.handle)
		if err == nil {
			return status, nil
		}
		api, _ := errors.AsType[*APIError](err)
		if t.step == toAttach && api != nil && api.noSuchRun() {
			return Status{State: Running}, err
		}
		if lasting++; MayPass(err) {
			lasting = 0
		}
		elapsed := time.Since(began)
		if lasting >= maxPollErrors || failures >= maxPollErrors && r.Retry.MaxElapsed > 0 && elapsed >= r.Retry.MaxElapsed {
			return Status{State: Running}, fmt.Errorf("the status could not be had %d times in a row; last: %w", failures, err)
		}
		pause := min(looks.after(time.Since(t.started)), maxFailedPause)
		if api != nil && api.RetryAfter > 0 {
			pause = max(pause, retryAfter(api, r.chance))
		}
		if err := Sleep(ctx, pause); err != nil {
			return Status{State: Running}, err
		}
	}
}
