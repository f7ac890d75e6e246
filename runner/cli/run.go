package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// progressEvery is how often a line of progress is said where there is no terminal.
const progressEvery = 10 * time.Second

// maxConcurrency is that of the batch file's schema.
const maxConcurrency = 100_000

type runOptions struct {
	fileOptions
	logOptions
	batches        []string
	limit          int
	only           []string
	output         string
	summary        string
	concurrency    int
	fresh          bool
	acceptChanged  bool
	retryFailed    string
	onInterrupt    string
	fsync          string
	quiet          bool
	detach         bool   // a batch is handed over, and not waited for
	following      bool   // only what was handed over is waited for
	rehearsedFor   string // the file's own backend, in the place of which the engine rehearses
	platformRate   int    // calls of the platform per minute that a rehearsal keeps to, if that is it; 0: any number
	planning       bool   // nothing is going to be run
	retries        bool   // retryFailed was given
	retriedClasses []string
}

// allClasses stands for --retry-failed without a class.
const allClasses = "all"

func newRun(std streams) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "run the batches of a file, and write one JSON line per item",
		Long: `Run validates the batch file, saves its pipeline, starts a run for every item
under the concurrency limit, and writes one JSON line per item to the results
file. Run again, it goes on: items that have ended are left alone.

The first Ctrl-C starts nothing more and lets the runs end that are under way, a
second one terminates them, the third leaves at once.

On backend temporal, workers run the items, in shards: see nightshift worker. What
was handed over goes on if this command is killed, and run again follows it. With
--detach it is not waited for: nightshift attach follows it later.

Exit codes: 0 all items succeeded · 1 some did not · 2 wrong usage or an invalid
batch file · 3 stopped by a limit · 4 backend unreachable · 5 another nightshift
writes these results · 6 results cannot be written · 130 and 143 interrupted. They
judge all of the results, also those that were there already.`,
		Example: `  nightshift run batch.yaml                            run what has not ended yet
  nightshift run batch.yaml --retry-failed=timed_out   run again what took too long
  nightshift run batch.yaml --fresh                    move the results aside, and run everything
  nightshift run batch.yaml --rehearse                 see how long it takes, without asking anybody`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 && o.retryFailed == allClasses {
				return fmt.Errorf("too many arguments; classes are written as in --retry-failed=timed_out,connection")
			}
			return oneFile(cmd, args)
		},
		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(cmd); err != nil {
				return err
			}
			return o.run(cmd.Context(), args[0], std)
		},
	}
	o.flags(cmd)
	o.whichFlags(cmd)
	o.nodeFlags(cmd)
	o.connection.connectionFlags(cmd)
	o.connection.queueFlag(cmd)
	o.connection.storeFlag(cmd)
	cmd.Flags().BoolVar(&o.detach, "detach", false, "temporal: hand a batch over and leave; nightshift attach follows it")
	cmd.Flags().StringVar(&o.summary, "summary", "", "write the summary to this `path`, instead of summary.json beside the results")
	cmd.Flags().IntVar(&o.concurrency, "concurrency", 0, "`n` runs in flight at once")
	cmd.Flags().BoolVar(&o.rehearse, "rehearse", false, "ask nobody and pay nothing: imitate calls of models and addresses, as rehearse in the file says, to see how long the batch takes")
	cmd.Flags().StringVar(&o.onInterrupt, "on-interrupt", onInterruptDrain, "what the first Ctrl-C does to runs that are under way: `drain`, terminate or detach")
	o.fsyncFlag(cmd)
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "say nothing but errors")
	o.logFlags(cmd)
	return cmd
}

// whichFlags are those that say which items are run; plan has them too.
func (o *runOptions) whichFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.batches, "batch", nil, "only the batch of this `name` (may be repeated)")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "only the first `n` items of each batch")
	cmd.Flags().StringArrayVar(&o.only, "only", nil, "only the item of this `key` or id (may be repeated)")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write results to this `path`, - for standard output")
	cmd.Flags().BoolVar(&o.fresh, "fresh", false, "move results that are there aside, and run everything again")
	cmd.Flags().BoolVar(&o.acceptChanged, "accept-changed-pipeline", false, "keep results of the pipeline as it was, and run the rest as it is now")
	cmd.Flags().StringVar(&o.retryFailed, "retry-failed", "", "run items again that did not succeed, or those with errors of these `classes` (timed_out,connection)")
	cmd.Flags().Lookup("retry-failed").NoOptDefVal = allClasses
}

func (o *runOptions) fsyncFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.fsync, "fsync", string(runner.FsyncGroup), "force results onto the disk: `group` (all the time, many at once), each (before one counts) or off (at the end)")
}

// validate holds the rules between flags.
func (o *runOptions) validate(cmd *cobra.Command) error {
	if err := o.validateWhich(cmd); err != nil {
		return err
	}
	switch {
	case (o.concurrency < 1 || o.concurrency > maxConcurrency) && cmd.Flags().Changed("concurrency"):
		return fmt.Errorf("--concurrency must be from 1 to %d", maxConcurrency)
	case !slices.Contains(onInterrupts, o.onInterrupt):
		return fmt.Errorf("--on-interrupt is %s, not %q", strings.Join(onInterrupts, " or "), o.onInterrupt)
	case !slices.Contains([]runner.Fsync{runner.FsyncGroup, runner.FsyncEach, runner.FsyncOff}, runner.Fsync(o.fsync)):
		return fmt.Errorf("--fsync is group, each or off, not %q", o.fsync)
	case o.summary == "" && cmd.Flags().Changed("summary"), o.summary == "-":
		return fmt.Errorf("--summary must name a file")
	case o.quiet && o.logFormat != "":
		return fmt.Errorf("--quiet and --log-format exclude each other; --log-level error logs next to nothing")
	}
	if err := o.validateRehearsal(cmd); err != nil {
		return err
	}
	if err := o.validateDetach(); err != nil {
		return err
	}
	return o.validateLog()
}

func (o *runOptions) validateWhich(cmd *cobra.Command) error {
	o.retries = cmd.Flags().Changed("retry-failed")
	if o.retries && o.retryFailed != allClasses {
		o.retriedClasses = strings.FieldsFunc(o.retryFailed, func(r rune) bool { return r == ',' || r == ' ' })
	}
	switch {
	case o.limit < 0 || o.limit == 0 && cmd.Flags().Changed("limit"):
		return fmt.Errorf("--limit must be at least 1")
	case o.retries && o.retryFailed != allClasses && len(o.retriedClasses) == 0:
		return fmt.Errorf("--retry-failed= names no class; leave the = out to run all items again that did not succeed")
	case o.retries && o.fresh:
		return fmt.Errorf("--fresh runs everything again, so --retry-failed has nothing to add; give one of them")
	case slices.Contains(o.only, ""):
		return fmt.Errorf("--only must name an item")
	}
	return nil
}

func (o *runOptions) run(ctx context.Context, path string, std streams) error {
	began := time.Now()
	if err := o.rehearseLocally(path, std); err != nil {
		return err
	}
	file, err := o.load(path, std, func(warnings schema.Problems) { o.notice(std, warnings.Error()) })
	if err != nil {
		return err
	}
	picked, err := batches(file, o.batches)
	if err != nil {
		return err
	}
	if o.rehearsesPlatform() {
		file.Run.Rate = spec.Rate{} // which is not one of models there
	}
	if o.rehearse {
		o.notice(std, o.assumed(file))
	}
	target, err := o.ready(file, variants(file, picked), o.logger(std), std)
	if err != nil {
		return err
	}
	if file.Run.Stop.BudgetUSD > 0 && len(target.unpriced) > 0 {
		return &exitError{exitUsage, target.unpriced}
	}
	if o.onInterrupt == onInterruptDetach && !outlives(file.Run.Backend) {
		return fmt.Errorf("--on-interrupt detach leaves runs going, but those of backend %s end with nightshift; use drain or terminate", file.Run.Backend)
	}
	say := func(message string) { o.say(std, o.belowBar(std, message)) }
	notice := func(message string) { o.notice(std, o.belowBar(std, message)) }
	if target.cluster && o.privateNetwork {
		notice("--allow-private-network is for runs in this process, but workers run this batch: give it to nightshift worker")
	}
	signals := watchSignals(ctx, o.onInterrupt, say)
	defer signals.stop()
	if target.cluster {
		signals.words = passWords
	}
	jobs, err := o.jobs(file, picked, began, std)
	defer closeJobs(jobs)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(jobs, func(j *job) bool { return j.generation == nil }); i >= 0 && o.onInterrupt == onInterruptDetach {
		return fmt.Errorf("--on-interrupt detach needs results that are kept: those of batch %s go to %s, and nobody would find its runs again", jobs[i].batch.Name, jobs[i].path)
	}
	if err := o.checkDetach(file.Run.Backend, jobs); err != nil {
		return err
	}
	if target.cluster {
		o.warnUnkept(jobs, notice)
	}
	night := night{runOptions: o, file: file, signals: signals, std: std, began: began, summaries: summaries{path: o.summary}}
	pipelineID, release, err := night.open(ctx, target, jobs, notice, say)
	if err != nil {
		return err
	}
	defer release()
	signals.starting.Store(true)
	return night.run(jobs, pipelineID)
}
