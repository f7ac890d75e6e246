package cli

import (
	"context"
	"fmt"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// wait waits for the runs whose items are there, as run would, and writes their
// results. Nothing is started, and no other run terminated.
func (o *runsOptions) wait(ctx context.Context, target *target, found []*begunBatch, began time.Time, std streams) error {
	say := func(message string) { o.say(std, o.belowBar(std, message)) }
	signals := watchSignals(ctx, o.onInterrupt, say)
	defer signals.stop()
	var jobs []*job
	defer func() { closeJobs(jobs) }()
	left := 0
	for _, b := range found {
		ids := b.adoptable()
		if left += len(b.runs) - len(ids); len(ids) == 0 {
			continue
		}
		o.only = ids
		problems, err := o.openJob(target.file, b.job, jobs, began, std)
		jobs = append(jobs, b.job)
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return &exitError{exitUsage, problems}
		}
		b.plan.Past = adopting{b.generation}
		b.plan.Retry.UnknownStart, b.plan.Retry.FailedRuns = "fail", false
	}
	if left > 0 {
		o.notice(std, fmt.Sprintf("%d %s not adopted: orphans, and runs that the platform does not know; run and --terminate see to them", left, plural(left, "run is", "runs are")))
	}
	if len(jobs) == 0 {
		return nil
	}
	backend, release, err := target.open(func(message string) { o.notice(std, message) }, say)
	if err != nil {
		return err
	}
	defer release()
	signals.starting.Store(true)
	night := night{runOptions: &o.runOptions, file: target.file, backend: backend, signals: signals, std: std, began: began}
	return night.run(jobs, "")
}

// adoptable are the ids of the items whose runs can be waited for.
func (b *begunBatch) adoptable() []string {
	var ids []string
	for _, r := range b.runs {
		if r.orphan != true && r.status != stateUnknown {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// adopting is the past of a batch of which runs are waited for, and nothing else.
type adopting struct{ *runner.Generation }

// Of skips every item without a run.
func (a adopting) Of(it *spec.Item) runner.Standing {
	s := a.Generation.Of(it)
	s.Skip = s.Skip || s.Begun == nil
	return s
}

// Orphans are none that are to be terminated now.
func (a adopting) Orphans() []runner.Begun { return nil }
