package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// statePaused is how a batch stands that nightshift pause has stopped.
const statePaused runner.State = "paused"

// handedRuns lists the batches of a file that were handed over to a Temporal cluster, and
// ends them if that is asked for.
func (o *runsOptions) handedRuns(ctx context.Context, file *spec.File, picked []*spec.Batch, std streams) error {
	switch {
	case o.adopt:
		return &exitError{exitUsage, errors.New("--adopt is for runs on the hosted platform; nightshift attach follows what was handed over to a cluster")}
	case o.orphans:
		return &exitError{exitUsage, errors.New("--orphans is for runs on the hosted platform; a batch that was handed over to a cluster is no item's")}
	}
	type handed struct {
		batch string
		clusterRun
		at time.Time
	}
	var found []*handed
	for _, batch := range picked {
		_, passes, err := o.underWay(file, batch, time.Now())
		if err != nil {
			return err
		}
		for _, b := range passes {
			found = append(found, &handed{batch.Name, clusterRun{run: b.Handle}, b.At})
		}
	}
	if len(found) == 0 {
		o.notice(std, "no batches were handed over whose end is not known")
		return nil
	}
	target, err := o.ready(file, nil, o.logger(std), std)
	if err != nil {
		return err
	}
	backend, release, err := target.openCluster(ctx, func(message string) { o.say(std, message) })
	if err != nil {
		return err
	}
	defer release()
	var failed []error
	for _, h := range found {
		h.backend = backend
		look, err := h.look(ctx)
		if err == nil && o.terminate && look.state == runner.Running {
			if err = h.end(ctx); err == nil {
				look.state = runner.Cancelled
			}
		}
		state := stateUnknown
		if look != nil {
			state = look.state
		}
		if state == runner.Running {
			if p, err := backend.Progress(ctx, h.run); err == nil && p.Paused { // without a worker nobody knows
				state = statePaused
			}
		}
		if err != nil && !isUnknown(err) {
			failed = append(failed, fmt.Errorf("%s: %w", h.run.TaskID, err))
		}
		if err := printObject(std, "backend", "temporal", "batch", h.batch, "pipeline_id", h.run.PipelineID, "task_id", h.run.TaskID,
			"started_at", h.at.UTC().Format(time.RFC3339), "status", string(state)); err != nil {
			return err
		}
	}
	if err := errors.Join(failed...); err != nil {
		return callError(err)
	}
	return nil
}
