package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/runner/engine"
	"nightshift/schema"
	"nightshift/spec"
)

// progressEvery is how often a line of progress is said where there is no terminal.
const progressEvery = 10 * time.Second

// maxConcurrency is that of the batch file's schema.
const maxConcurrency = 100_000

type runOptions struct {
	fileOptions
	batches     []string
	limit       int
	output      string
	concurrency int
	fresh       bool
	quiet       bool
	logFormat   string
	logLevel    string
	planning    bool // nothing is going to be run
}

func newRun(std streams) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "run the batches of a file, and write one JSON line per item",
		Long: `Run validates the batch file, saves its pipeline, starts a run for every item
under the concurrency limit, and writes one JSON line per item to the results
file. Ctrl-C lets the runs that are under way end; a second one terminates them.

Exit codes: 0 all items succeeded · 1 some did not · 2 wrong usage or an invalid
batch file · 3 stopped by a limit · 4 backend unreachable · 6 results cannot be
written · 130 and 143 interrupted.`,
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(cmd); err != nil {
				return err
			}
			return o.run(cmd.Context(), args[0], std)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringArrayVar(&o.batches, "batch", nil, "run only the batch of this `name` (may be repeated)")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "run only the first `n` items of each batch")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write results to this `path`, - for standard output")
	cmd.Flags().IntVar(&o.concurrency, "concurrency", 0, "`n` runs in flight at once")
	cmd.Flags().BoolVar(&o.fresh, "fresh", false, "move results that are there aside, and run everything again")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "say nothing but errors")
	cmd.Flags().StringVar(&o.logFormat, "log-format", "", "log events as `text` or json, instead of progress")
	cmd.Flags().StringVar(&o.logLevel, "log-level", "info", "log from this `level` on: debug, info, warn, error")
	return cmd
}

// validate holds the rules between flags.
func (o *runOptions) validate(cmd *cobra.Command) error {
	var level slog.Level
	switch {
	case o.limit < 0 || o.limit == 0 && cmd.Flags().Changed("limit"):
		return fmt.Errorf("--limit must be at least 1")
	case (o.concurrency < 1 || o.concurrency > maxConcurrency) && cmd.Flags().Changed("concurrency"):
		return fmt.Errorf("--concurrency must be from 1 to %d", maxConcurrency)
	case o.logFormat != "" && o.logFormat != "text" && o.logFormat != "json":
		return fmt.Errorf("--log-format is text or json, not %q", o.logFormat)
	case level.UnmarshalText([]byte(o.logLevel)) != nil:
		return fmt.Errorf("--log-level is debug, info, warn or error, not %q", o.logLevel)
	case o.quiet && o.logFormat != "":
		return fmt.Errorf("--quiet and --log-format exclude each other; --log-level error logs next to nothing")
	}
	return nil
}

// job is one batch that is about to run.
type job struct {
	plan *runner.Plan
	path string // of the results
}

func (o *runOptions) run(ctx context.Context, path string, std streams) error {
	began := time.Now()
	file, err := o.load(path, std, func(warnings schema.Problems) { o.notice(std, warnings.Error()) })
	if err != nil {
		return err
	}
	picked, err := batches(file, o.batches)
	if err != nil {
		return err
	}
	asks, err := o.ready(file, variants(file, picked), std)
	if err != nil {
		return err
	}
	jobs, err := o.jobs(file, picked, began, std)
	if err != nil {
		return err
	}
	say := func(message string) { o.say(std, o.belowBar(std, message)) }
	backend, release, err := o.backend(file, asks, func(message string) { o.notice(std, o.belowBar(std, message)) }, say)
	if err != nil {
		return err
	}
	defer release()
	saved, err := save(ctx, backend, file)
	if err != nil {
		return err
	}
	signals := watchSignals(ctx, say)
	defer signals.stop()
	code := exitOK
	for i, j := range jobs {
		j.plan.PipelineID = saved.PipelineID
		j.plan.Drain = signals.drain
		batchCode, err := o.runBatch(signals.ctx, j, backend, std)
		code = gravest(code, batchCode)
		if left := jobs[i+1:]; len(left) > 0 && (err != nil || code == exitStopped || code == exitBackend) {
			o.say(std, fmt.Sprintf("%s not run", batchNames(left)))
		}
		if err != nil {
			return &exitError{code, err}
		}
		if last := i == len(jobs)-1; !last && signals.interrupted() {
			code = gravest(code, interruptCode(signals.ctx)) // batches are left, although this one ended
			break
		}
		if code == exitStopped || code == exitBackend {
			break
		}
	}
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// batchNames lists batches for a sentence that says what they are.
func batchNames(jobs []job) string {
	var names []string
	for _, j := range jobs {
		names = append(names, j.plan.Batch.Name)
	}
	return fmt.Sprintf("%s %s %s", plural(len(jobs), "batch", "batches"), strings.Join(names, ", "), plural(len(jobs), "is", "are"))
}

// jobs looks at all batches before the first one is run: what is wrong with
// the last should not be found after the first was paid for.
func (o *runOptions) jobs(file *spec.File, picked []*spec.Batch, began time.Time, std streams) ([]job, error) {
	concurrency := file.Run.Concurrency
	if o.concurrency > 0 {
		concurrency = o.concurrency
	}
	var deadline time.Time
	if file.Run.Deadline > 0 {
		deadline = began.Add(file.Run.Deadline)
	}
	var jobs []job
	var refused schema.Problems
	paths := map[string]string{}
	for _, b := range picked {
		path := o.resultsPath(file, b, began)
		if path == "/dev/stdout" {
			path = "-"
		}
		if err := o.checkResults(file, path); err != nil {
			return nil, &exitError{exitUsage, err}
		}
		if other := paths[path]; other != "" && path != "-" && !isDevice(path) {
			return nil, &exitError{exitUsage, fmt.Errorf("batches %s and %s would both write to %s; put {{ batch }} into --output", other, b.Name, path)}
		}
		paths[path] = b.Name
		total, problems := o.scan(b, std) // last, as it reads all rows
		refused = append(refused, problems...)
		jobs = append(jobs, job{path: path, plan: &runner.Plan{
			Batch:        b,
			Generation:   runner.NewGeneration(began),
			Total:        total,
			Limit:        o.limit,
			Concurrency:  concurrency,
			Timeout:      file.Run.Timeout,
			PollInterval: file.Run.PollInterval,
			Retry:        file.Run.Retry,
			FreshAnswers: o.fresh,
			Deadline:     deadline,
			Stdin:        std.in,
			Redactor:     file.Redactor,
		}})
	}
	if len(refused) > 0 {
		return nil, &exitError{exitUsage, refused}
	}
	return jobs, nil
}

// scan counts the rows of a batch, -1 where they can be read only once. Single
// bad rows are no reason not to run the others; the problems are.
func (o *runOptions) scan(b *spec.Batch, std streams) (total int, problems schema.Problems) {
	if !b.Source.Rereadable() {
		return -1, nil
	}
	s := b.Scan()
	switch {
	case s.Fatal || s.Duplicates > 0 || s.Bad == s.Rows:
		return 0, s.Problems
	case s.Bad > 0:
		o.notice(std, fmt.Sprintf("%s: %d of %d rows cannot be used and will be failed results; the first: %s", b.Name, s.Bad, s.Rows, s.Problems[0]))
	}
	if o.limit > 0 {
		return min(o.limit, s.Rows), nil
	}
	return s.Rows, nil
}

func (o *runOptions) runBatch(ctx context.Context, j job, backend *engine.Engine, std streams) (int, error) {
	results, err := o.openResults(j, std)
	if err != nil {
		return codeOf(runner.Outcome{}, err, 0), err
	}
	failures := &failures{}
	summary := &runner.Summary{}
	sinks := append(o.sinks(j, std), failures, summary)
	outcome, err := runner.Run(ctx, j.plan, backend, results, sinks...)
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if !o.quiet && o.logFormat == "" {
		failures.print(std.err, j)
		fmt.Fprintln(std.err, summary)
	}
	if source, ok := errors.AsType[*runner.SourceError](err); ok {
		err = schema.Problems{j.plan.Batch.SourceProblem(source.Err)}
	} else if err == nil && !outcome.Left && outcome.Total() == 0 {
		err = schema.Problems{j.plan.Batch.Empty()}
	}
	if outcome.Cause != nil && err == nil {
		err = fmt.Errorf("batch %s: all runs failed alike, so no more are started: %w; %s", j.plan.Batch.Name, outcome.Cause, whatToMend[outcome.Stopped])
		return codeOf(outcome, nil, 0), err
	}
	return codeOf(outcome, err, interruptCode(ctx)), err
}

// whatToMend is what a user can do about a batch whose runs all failed alike.
var whatToMend = map[runner.StopReason]string{
	runner.Denied:      "check the key, and what it may do",
	runner.Unreachable: "check the address, the network, and whether the server runs",
	runner.AllAlike:    "mend the batch file, or the address",
}
