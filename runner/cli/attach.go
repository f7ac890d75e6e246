package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/spec"
)

func newAttach(std streams) *cobra.Command {
	o := runOptions{following: true, onInterrupt: onInterruptDetach}
	cmd := &cobra.Command{
		Use:   "attach FILE",
		Short: "follow what run has handed over to a Temporal cluster, and write its results",
		Long: `Attach waits for the batches of a file that run has handed over to a Temporal cluster
and that nobody follows, because of --detach or as the command was ended, and writes
their results, as run does. It begins nothing: run again goes on with items that were
not handed over. At Ctrl-C the batch goes on.

Exit codes: as run, which judge all of the results; also where nothing is under way, but
2 where nothing was ever handed over, and 3 where items are left, which run goes on
with. A batch that did not end well does not keep the others from being followed.`,
		Example: `  nightshift run batch.yaml --detach
  nightshift attach batch.yaml`,
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(cmd); err != nil {
				return err
			}
			file, err := o.loadShared(cmd, args[0], &o.logOptions, std)
			if err != nil {
				return err
			}
			return o.attach(cmd.Context(), file, std)
		},
	}
	o.flags(cmd)
	o.passFlags(cmd)
	cmd.Flags().StringVar(&o.summary, "summary", "", "write the summary to this `path`, instead of summary.json beside the results")
	cmd.Flags().BoolVar(&o.acceptChanged, "accept-changed-pipeline", false, "write results of the pipeline as it was, although the file has another now")
	o.fsyncFlag(cmd)
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "say nothing but errors")
	return cmd
}

// attach follows what of a file is under way.
func (o *runOptions) attach(ctx context.Context, file *spec.File, std streams) error {
	picked, err := batches(file, o.batches)
	if err != nil {
		return err
	}
	target, err := o.ready(file, variants(file, picked), o.logger(std), std)
	if err != nil {
		return err
	}
	say := func(message string) { o.say(std, o.belowBar(std, message)) }
	notice := func(message string) { o.notice(std, o.belowBar(std, message)) }
	signals := watchSignals(ctx, o.onInterrupt, say)
	signals.words = passWords
	defer signals.stop()
	began := time.Now()
	var jobs []*job
	var idle idleBatches
	defer func() { closeJobs(jobs) }()
	for _, batch := range picked {
		j, passes, err := o.underWay(file, batch, began)
		if err != nil {
			return err
		}
		if len(passes) == 0 {
			if err := idle.add(file, j); err != nil {
				return err
			}
			continue
		}
		if err := o.takeUp(file, j, jobs, began, std); err != nil {
			return err
		}
		jobs = append(jobs, j)
	}
	code := idle.judge(len(jobs) > 0, len(o.batches) > 0, notice)
	if len(jobs) == 0 {
		return exitWith(code)
	}
	night := night{runOptions: o, file: file, signals: signals, std: std, began: began, summaries: summaries{path: o.summary}}
	pipelineID, release, err := night.open(ctx, target, jobs, notice, say)
	if err != nil {
		return err
	}
	defer release()
	signals.starting.Store(true)
	err = night.run(jobs, pipelineID)
	if exit, coded := errors.AsType[*exitError](err); coded {
		exit.code = gravest(code, exit.code)
		return exit
	}
	if err != nil {
		return err
	}
	return exitWith(code)
}

// takeUp opens the results of a batch that is to be followed.
func (o *runOptions) takeUp(file *spec.File, j *job, others []*job, began time.Time, std streams) error {
	unfinished, err := runner.Unfinished(j.path)
	if err != nil {
		return exitFor(err)
	}
	j.trial = !unfinished
	problems, err := o.openJob(file, j, others, began, std)
	if err == nil && len(problems) > 0 {
		err = &exitError{exitUsage, problems}
	}
	if errors.Is(err, runner.ErrChangedPipeline) {
		err = &exitError{exitUsage, fmt.Errorf("%s: %w since this batch was handed over; --accept-changed-pipeline writes its results all the same", j.path, runner.ErrChangedPipeline)}
	}
	if err != nil {
		_ = j.close(false) // nothing was written
		return err
	}
	if !j.batch.Source.Rereadable() { // which would be read once more, to see what is left
		j.plan.Items = func(func(spec.Item) bool) error { return nil }
	}
	return nil
}

// exitWith gives an exit code of which all is said.
func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}
