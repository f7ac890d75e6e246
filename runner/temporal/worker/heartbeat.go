package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"nightshift/runner/temporal/flow"
)

// beatWithin bounds one sign of life, so that the next is not late.
const beatWithin = 3 * time.Second

// askEvery is the time between two questions of a recalled shard whether its batch is
// cancelled meanwhile.
const askEvery = 2 * time.Second

// heart tells the server that an activity is alive, and hears whether it is to go on.
// The heartbeats of the SDK would end the activity where one call takes longer than a
// second: a server that is started again would cost all runs under way.
type heart struct {
	*work
	context.Context // of the work of the activity; its cause says why it is done
	cancel          context.CancelCauseFunc

	cancels  cancels // whether a cancellation is one; nil: it is
	activity context.Context
	info     activity.Info // hides work's
	drain    chan struct{} // closed: nothing more is to be started
	recalled atomic.Bool   // for the batch does not want it now
	end      context.CancelFunc
	ended    chan struct{}
	count

	// Of the goroutine that beats.
	heard time.Time // when the server answered last
	asked time.Time // when the batch was asked last why it cancels a shard
	home  bool      // drain is closed
}

// Causes of the end of the work of an activity, beside what the SDK gives.
var (
	errCancelled = errors.New("it was cancelled")
	errGone      = errors.New("its workflow has ended, or another worker has it")
	errStops     = errors.New("the worker stops")
)

// beats begins the signs of life of an activity. They are to be stopped.
func (w *work) beats(ctx context.Context, cancels cancels) *heart {
	h := &heart{
		work: w, cancels: cancels, activity: ctx, info: w.info(ctx),
		drain: make(chan struct{}), ended: make(chan struct{}), heard: time.Now(),
	}
	h.before = w.told(ctx)
	h.Context, h.cancel = context.WithCancelCause(ctx)
	beating, end := context.WithCancel(context.WithoutCancel(ctx))
	h.end = end
	go h.keepBeating(beating)
	return h
}

// stop ends the signs of life.
func (h *heart) stop() {
	h.rest()
	h.cancel(nil)
}

// rest ends the signs of life, and not the work.
func (h *heart) rest() {
	h.end()
	<-h.ended
}

// keepBeating gives signs of life until ctx is done.
func (h *heart) keepBeating(ctx context.Context) {
	defer close(h.ended)
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	draining, stops := h.draining, h.ctx.Done()
	if h.info.Attempt > 1 { // whatever this try comes to, the next one is to know of it
		h.once(ctx)
	}
	for {
		select {
		case <-ticker.C:
			h.once(ctx)
		case <-draining:
			draining = nil
			h.goHome()
		case <-stops:
			stops = nil
			h.cancel(errStops)
		case <-ctx.Done():
			return
		}
	}
}

// once gives one sign of life. Where the server does not answer for as long as it waits
// itself, nothing more is started: it may give the activity to another worker. What is
// under way is paid for, and goes on.
func (h *heart) once(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, beatWithin)
	defer cancel()
	err := h.beat(ctx, h.info.TaskToken, h.progress())
	switch {
	case err == nil:
		h.heard = time.Now()
	case temporal.IsCanceledError(err):
		h.heard = time.Now()
		h.whyCancelled(context.WithoutCancel(ctx))
	case isGone(err):
		h.cancel(errGone)
	case errors.Is(err, activity.ErrActivityPaused), errors.Is(err, activity.ErrActivityReset):
		h.goHome()
	case !h.home && h.info.HeartbeatTimeout > 0 && time.Since(h.heard) >= h.info.HeartbeatTimeout:
		h.Log.Warn("nothing more is started of what is under way, as the Temporal server does not answer", "workflow", h.info.WorkflowExecution.ID, "activity", h.info.ActivityID, "error", err)
		h.goHome()
	}
}

// whyCancelled finds out what is meant by a cancellation: that of a shard may be a
// recall. As long as nobody answers it is taken for one, since runs under way are paid
// for; it is asked again.
func (h *heart) whyCancelled(ctx context.Context) {
	if h.recalled.Load() && time.Since(h.asked) < askEvery {
		return
	}
	h.asked = time.Now()
	terminate, err := true, error(nil)
	if h.cancels != nil {
		ctx, release := context.WithTimeout(ctx, beatWithin)
		defer release()
		terminate, err = h.cancels(ctx, h.info.WorkflowExecution)
	}
	switch {
	case isGone(err):
		h.cancel(errGone)
	case err == nil && terminate:
		activity.RecordHeartbeat(h.activity) // so that the SDK, too, hears of it, and answers accordingly
		h.cancel(errCancelled)
	default:
		h.recalled.Store(true)
		h.goHome()
	}
}

// goHome lets nothing more be started.
func (h *heart) goHome() {
	if !h.home {
		h.home = true
		close(h.drain)
	}
}

// drains tells whether nothing more is to be started.
func (h *heart) drains() bool {
	select {
	case <-h.drain:
		return true
	default:
		return false
	}
}

// last tells the next try what this one came to: there is no other sign of life after it.
func (h *heart) last(p flow.ShardProgress) {
	h.rest()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h), beatWithin)
	defer cancel()
	if err := h.beat(ctx, h.info.TaskToken, p); err != nil {
		h.Log.Warn("the next try does not learn of this one", "workflow", h.info.WorkflowExecution.ID, "activity", h.info.ActivityID, "error", err)
	}
}

// isGone tells of the answer to a sign of life whether nobody waits for the activity.
func isGone(err error) bool {
	_, notFound := errors.AsType[*serviceerror.NotFound](err)
	return notFound || isNamespaceGone(err)
}
