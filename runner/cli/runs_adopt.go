package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	var left notAdopted
	for _, b := range found {
		ids := b.adoptable()
		left.add(b)
		if len(ids) == 0 {
			continue
		}
		o.only = ids
		problems, err := o.openJob(target.file, b.job, jobs, began, std)
		jobs = append(jobs, b.job)
		if errors.Is(err, runner.ErrChangedPipeline) {
			return &exitError{exitUsage, fmt.Errorf("%s: %w since these runs were begun; --accept-changed-pipeline adopts them all the same", b.path, runner.ErrChangedPipeline)}
		}
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return &exitError{exitUsage, problems}
		}
		b.plan.Past = adopting{b.generation}
		b.plan.Retry.UnknownStart, b.plan.Retry.FailedRuns = "fail", false
	}
	if said := left.String(); said != "" {
		o.notice(std, said)
	}
	if len(jobs) == 0 {
		return nil
	}
	backend, release, err := target.open(ctx, func(message string) { o.notice(std, message) }, say)
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
		if r.orphan != true && r.status != stateUnknown && !r.ended() {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// notAdopted counts runs that cannot be waited for. Starts of which no run is known
// are not among them.
type notAdopted struct{ orphans, unknown, ended int }

func (n *notAdopted) add(b *begunBatch) {
	for _, r := range b.runs {
		switch {
		case r.Handle.TaskID == "":
		case r.orphan == true:
			n.orphans++
		case r.status == stateUnknown:
			n.unknown++
		case r.ended():
			n.ended++
		}
	}
}

func (n notAdopted) String() string {
	var why []string
	if n.ended > 0 {
		why = append(why, fmt.Sprintf("%d ended by an interrupt, and run starts %s again", n.ended, plural(n.ended, "its item", "their items")))
	}
	if n.orphans > 0 {
		why = append(why, fmt.Sprintf("%d %s, which run or --terminate ends", n.orphans, plural(n.orphans, "is an orphan", "are orphans")))
	}
	if n.unknown > 0 {
		why = append(why, fmt.Sprintf("%d %s not known to the platform, and run starts %s again", n.unknown, plural(n.unknown, "is", "are"), plural(n.unknown, "it", "them")))
	}
	if why == nil {
		return ""
	}
	all := n.orphans + n.unknown + n.ended
	return fmt.Sprintf("%d %s not adopted: %s", all, plural(all, "run is", "runs are"), strings.Join(why, "; "))
}

// adopting is the past of a batch of which runs are waited for, and nothing else.
type adopting struct{ *runner.Generation }

// Of skips every item without a run. Whatever a run ends as is its item's end: no other
// is started.
func (a adopting) Of(it *spec.Item) runner.Standing {
	s := a.Generation.Of(it)
	s.Skip = s.Skip || s.Begun == nil
	if s.Begun != nil && s.Begun.Ending {
		begun := *s.Begun
		begun.Ending, s.Begun = false, &begun
	}
	return s
}

// Orphans are none that are to be terminated now.
func (a adopting) Orphans() []runner.Begun { return nil }
