package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
)

// stateUnknown is how a run stands of which nothing can be learnt.
const stateUnknown runner.State = "unknown"

// begunRun is a run that the journal knows to be begun.
type begunRun struct {
	runner.Begun
	orphan any // whether its item is gone or has other inputs; nil: not known
	status runner.State
	word   any // the platform's own; nil: none
}

// ended tells whether an interrupted invocation has ended the run, which is not the end
// of its item.
func (r *begunRun) ended() bool { return r.Ending && r.status == runner.Cancelled }

func (r *begunRun) handle(client *vectorshift.Client) *vectorshift.RunHandle {
	return client.Handle(r.Handle.PipelineID, r.Handle.TaskID, r.Handle.TraceID)
}

func (r *begunRun) print(batch string, std streams) error {
	return printObject(std,
		"batch", batch,
		"id", r.ID,
		"pipeline_id", r.Handle.PipelineID,
		"task_id", orNull(r.Handle.TaskID),
		"trace_id", orNull(r.Handle.TraceID),
		"attempt", r.Attempt,
		"started_at", r.At.UTC().Format(time.RFC3339),
		"possible_duplicate", r.Duplicate,
		"orphan", r.orphan,
		"status", string(r.status),
		"word", r.word,
	)
}

// callsAtOnce is how many calls about runs are made at the same time.
const callsAtOnce = 8

// each does something for all runs that have a task id, several at once and no more
// often than the batch file lets. The errors are joined, each text once.
func each(ctx context.Context, perMinute int, found []*begunBatch, do func(*begunBatch, *begunRun) error) error {
	pace := rate.NewLimiter(rate.Inf, 0)
	if perMinute > 0 {
		pace = rate.NewLimiter(rate.Limit(float64(perMinute)/60), max(1, perMinute/4))
	}
	var group errgroup.Group
	group.SetLimit(callsAtOnce)
	var mu sync.Mutex
	var all []error
	said := map[string]bool{}
	for _, b := range found {
		for _, r := range b.runs {
			if r.Handle.TaskID == "" {
				continue
			}
			group.Go(func() error {
				err := pace.Wait(ctx)
				if err == nil {
					err = do(b, r)
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil && !said[err.Error()] {
					said[err.Error()] = true
					all = append(all, err)
				}
				return nil
			})
		}
	}
	_ = group.Wait() // the errors are kept
	return errors.Join(all...)
}

// lookAtRuns asks how the runs stand. One that the platform does not know stays unknown.
func lookAtRuns(ctx context.Context, client *vectorshift.Client, perMinute int, found []*begunBatch) error {
	err := each(ctx, perMinute, found, func(_ *begunBatch, r *begunRun) error {
		result, err := r.handle(client).Status(ctx)
		if err == nil {
			r.status, r.word = result.State, orNull(result.Word)
		}
		if isUnknown(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return callError(fmt.Errorf("how some runs stand is not known: %w", err))
	}
	return nil
}

// tellDoubted tells of starts of which no run is known: nobody can look at those, or
// end them.
func (o *runsOptions) tellDoubted(found []*begunBatch, std streams) {
	var traces []string
	for _, b := range found {
		for _, r := range b.runs {
			if r.Handle.TaskID == "" {
				traces = append(traces, r.Handle.TraceID)
			}
		}
	}
	n := len(traces)
	switch {
	case n == 0:
	case o.terminate:
		o.say(std, fmt.Sprintf("%d %s no known run, so what came of %s cannot be ended; the trace ids are %s",
			n, plural(n, "start has", "starts have"), plural(n, "it", "them"), strings.Join(traces, ", ")))
	default:
		o.notice(std, fmt.Sprintf("%d %s no known run: run looks for %s, or starts %s again",
			n, plural(n, "start has", "starts have"), plural(n, "it", "them"), plural(n, "it", "them")))
	}
}

// endRuns terminates the runs that are running, and notes it in their journals: an item
// that is there is to be run again.
func endRuns(ctx context.Context, client *vectorshift.Client, perMinute int, found []*begunBatch) error {
	backend := vectorshift.NewBackend(client, "")
	err := each(ctx, perMinute, found, func(b *begunBatch, r *begunRun) error {
		if r.status != runner.Running || b.held == nil {
			return nil
		}
		if err := r.End(ctx, backend); err != nil {
			return err
		}
		r.status, r.word = runner.Cancelled, nil
		if r.orphan == true {
			return b.held.Drop(r.Begun)
		}
		return b.held.Over(r.Begun)
	})
	if _, unwritten := errors.AsType[*runner.ResultsError](err); unwritten {
		return exitFor(err)
	}
	if err != nil {
		return callError(err)
	}
	return nil
}

func isUnknown(err error) bool {
	_, missing := errors.AsType[*runner.NotFoundError](err)
	return missing
}
