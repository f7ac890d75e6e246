// Package worker is the worker part of the Temporal backend: the process that polls a
// task queue, and the activities that run a shard of a batch, or a single run, with
// package runner on a backend of this process.
package worker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// Options are what a worker works with.
type Options struct {
	Client      client.Client
	TaskQueue   string
	Concurrency int     // shards and single runs under way at once, at least 1
	Rate        float64 // of these begun per second by all workers of the task queue; 0: any number
	Store       string  // URL of the store; "": as what is begun says

	Env spec.Environment // has the secrets of batch files
	// Open makes a backend for the pipelines of a file; it must be a runner.Waiter. It
	// may add to what the file's Redactor hides. files reads those that items name. An
	// error says what this worker lacks, and ends the batch.
	Open func(ctx context.Context, file *spec.File, files func(path string) ([]byte, error)) (Opened, error)

	Identity string // what histories and refusals call this worker

	Log *slog.Logger // nil: nobody
	Say func(string) // told a line for the user; nil: nobody
}

// Opened is a backend that runs the pipelines of a file.
type Opened struct {
	Backend  runner.Backend
	Release  func()             // gives back what it holds; nil: nothing
	SetShare func(num, den int) // takes num/den of run.rate from now on; nil: it has no rate
}

// How a worker polls. A shard of trivial items takes some 20 ms, so that a few pollers
// are enough for what two cores can do.
const (
	pollers       = 5
	workflowTasks = 100 // at once
	stickyFlows   = 500 // workflows that are kept in memory between two of their tasks
)

// endsWithin is how long Run waits for what is under way once ctx is done: runs are
// terminated then.
const endsWithin = 20 * time.Second

// deadlockAfter is how long workflow code may take for one step: a loaded machine may
// give it no time at all for seconds.
const deadlockAfter = 10 * time.Second

// beatEvery is the time between two signs of life of an activity.
const beatEvery = time.Second

// Run works off the task queue. When drain is closed it takes nothing more, lets the
// runs end that are under way, gives the rest of their shards to other workers, and
// returns. When ctx is done it terminates these runs first. The error is one that no
// waiting mends: the server could not be reached at the start, or refuses this worker.
func Run(ctx context.Context, o Options, drain <-chan struct{}) error {
	w := newWorker(o)
	defer w.close()

	broken := make(chan error, 1)
	breaks := func(err error) {
		select {
		case broken <- err:
		default: // the first one says it
		}
	}
	worker.SetStickyWorkflowCacheSize(stickyFlows)
	polls := worker.New(o.Client, o.TaskQueue, w.sdkOptions(breaks))
	flow.Register(polls)
	polls.RegisterActivityWithOptions(w.shard, activity.RegisterOptions{Name: flow.ShardActivity})
	polls.RegisterActivityWithOptions(w.run, activity.RegisterOptions{Name: flow.RunActivity})
	started := make(chan error, 1)
	go func() { started <- polls.Start() }() // which knows no context
	select {
	case err := <-started:
		if err != nil {
			return w.unreached(err)
		}
	case <-ctx.Done():
		go func() {
			if <-started == nil {
				polls.Stop()
			}
		}()
		return nil
	}
	go w.watch(w.ctx, w.reach, breaks)
	w.say(fmt.Sprintf("worker %s works off task queue %s, %d at once", w.identity, o.TaskQueue, o.Concurrency))

	var err error
	select {
	case <-drain:
	case <-ctx.Done():
	case err = <-broken:
		w.say(err.Error())
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		polls.Stop()
	}()
	close(w.draining)
	select {
	case <-stopped:
		return err
	case <-ctx.Done():
	}
	w.end()
	select {
	case <-stopped:
	case <-time.After(endsWithin):
		w.Log.Warn("the worker leaves although something is under way", "task_queue", o.TaskQueue)
	}
	return err
}

// sdkOptions are those of the polling.
func (w *work) sdkOptions(breaks func(error)) worker.Options {
	return worker.Options{
		Identity:                               w.identity,
		MaxConcurrentActivityExecutionSize:     w.Concurrency,
		TaskQueueActivitiesPerSecond:           w.Rate,
		MaxConcurrentActivityTaskPollers:       min(pollers, w.Concurrency), // said, so that the server does not choose
		MaxConcurrentWorkflowTaskPollers:       pollers,
		MaxConcurrentWorkflowTaskExecutionSize: workflowTasks,
		// A worker that decides what a batch does next would otherwise take its shards,
		// too, while others have nothing to do. It would not be faster.
		DisableEagerActivities:           true,
		DisableRegistrationAliasing:      true,
		MaxHeartbeatThrottleInterval:     beatEvery,
		DefaultHeartbeatThrottleInterval: beatEvery,
		WorkerStopTimeout:                365 * 24 * time.Hour, // activities know themselves when to end
		DeadlockDetectionTimeout:         deadlockAfter,
		OnFatalError:                     func(err error) { breaks(w.refusedByServer(err)) },
	}
}

// work is what the activities of a worker share.
type work struct {
	Options
	ctx       context.Context // done: runs are terminated
	end       context.CancelFunc
	draining  chan struct{} // closed: no run is started
	identity  string
	complaint atomic.Pointer[string] // that was told last
	info      func(ctx context.Context) activity.Info
	told      func(ctx context.Context) flow.ShardProgress // by the try before
	beat      func(ctx context.Context, token []byte, progress flow.ShardProgress) error
	cancels   cancels
	stores    kept[*store.Store]
	files     kept[*openFile]
}

func newWorker(o Options) *work {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &work{Options: o, draining: make(chan struct{}), identity: cmp.Or(o.Identity, "without a name"), info: activity.GetInfo, told: told}
	w.ctx, w.end = context.WithCancel(context.Background())
	w.beat = func(ctx context.Context, token []byte, progress flow.ShardProgress) error {
		return w.Client.RecordActivityHeartbeat(ctx, token, progress)
	}
	w.cancels = w.isCancelled
	w.stores.close = func(s *store.Store) { w.closed(s.Close()) }
	w.files.close = w.closeFile
	w.files.changed = (*openFile).share
	return w
}

// told is what the try before told last: nothing, where it was too short, or there is none.
func told(ctx context.Context) (p flow.ShardProgress) {
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &p) != nil {
		return flow.ShardProgress{} // of another version
	}
	return p
}

// cancels tells whether a batch that cancels a shard is itself cancelled, rather than
// paused or stopped.
type cancels func(ctx context.Context, batch workflow.Execution) (bool, error)

// isCancelled asks a batch.
func (w *work) isCancelled(ctx context.Context, batch workflow.Execution) (bool, error) {
	answer, err := w.Client.QueryWorkflow(ctx, batch.ID, batch.RunID, flow.ProgressQuery)
	if err != nil {
		return false, err
	}
	var p flow.Progress
	err = answer.Get(&p)
	return p.Cancelled, err
}

// complains tells what an activity has failed with, each thing until there is another.
func (w *work) complains(what string) {
	if last := w.complaint.Swap(&what); last == nil || *last != what {
		w.say(what)
	}
}

func (w *work) say(message string) {
	if w.Say != nil {
		w.Say(message)
	}
}

// stops tells whether nothing is to be begun any more.
func (w *work) stops() bool {
	select {
	case <-w.draining:
		return true
	default:
		return w.ctx.Err() != nil
	}
}

// close gives back what was opened. Nothing is under way, or it was given up.
func (w *work) close() {
	w.end()
	w.files.clear()
	w.stores.clear()
}

func (w *work) closed(err error) {
	if err != nil {
		w.Log.Warn("a store could not be closed", "error", err)
	}
}
