package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// night is one invocation of run: its batches, one after the other.
type night struct {
	*runOptions
	file      *spec.File
	backend   runner.Backend
	signals   *signals
	std       streams
	summaries summaries
	began     time.Time
}

// open opens the backend and saves the pipeline there, if any batch has something to
// do. release closes the backend.
func (n *night) open(ctx context.Context, target *target, jobs []*job, notice, say func(string)) (pipelineID string, release func(), err error) {
	if !slices.ContainsFunc(jobs, func(j *job) bool { return !j.nothingToDo() }) {
		return "", func() {}, nil
	}
	if n.backend, release, err = target.open(ctx, notice, say); err != nil {
		return "", nil, err
	}
	if n.rehearsesPlatform() {
		n.backend = newPolled(n.backend)
	}
	saved, err := save(ctx, n.backend, n.file, runner.SaveOptions{}, notice, say)
	if err != nil {
		release()
		return "", nil, err
	}
	if written := target.written(saved); written != "" {
		notice(written)
	}
	return saved.PipelineID, release, nil
}

func (n *night) run(jobs []*job, pipelineID string) error {
	code := exitOK
	for i, j := range jobs {
		if err := n.pass(j.passed); err != nil {
			return exitFor(err)
		}
		j.plan.PipelineID = pipelineID
		j.plan.Drain = n.signals.drain
		batchCode, err := n.batch(n.signals.ctx, j)
		code = gravest(code, batchCode)
		left, stops := jobs[i+1:], n.stops(batchCode, err)
		if len(left) > 0 && stops {
			n.say(n.std, fmt.Sprintf("%s not %s", batchNames(left), n.verb()))
		}
		if err != nil && (stops || len(left) == 0) {
			return &exitError{code, err}
		}
		if len(left) > 0 && n.signals.interrupted() {
			code = gravest(code, interruptCode(n.signals.ctx)) // batches are left, although this one ended
			break
		}
		if stops {
			break
		}
		if err != nil {
			n.say(n.std, oneLine(err.Error()))
		}
	}
	if err := n.missing(jobs); err != nil && (code == exitOK || code == exitItems) { // of rows that could not be read beforehand
		return &exitError{exitUsage, err}
	}
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// stops tells whether the batches after one that ended like this are left alone. Those
// that were handed over go on, whatever became of the others, so they are followed as
// long as anything can be.
func (n *night) stops(code int, err error) bool {
	if n.following {
		return code == exitResults || ofBackend(err) || n.signals.interrupted()
	}
	return err != nil || code == exitStopped || code == exitBackend
}

// verb says what is done to a batch.
func (n *night) verb() string {
	if n.following {
		return "followed"
	}
	return "run"
}

// pass tells of a batch of an earlier date, of which nothing was left to do.
func (n *night) pass(j *job) error {
	if j == nil {
		return nil
	}
	n.notice(n.std, j.standing())
	tally := j.generation.Tally()
	code := codeOf(runner.Outcome{}, tally.NotSucceeded()-j.plan.GoneFailed, nil, exitOK)
	return n.summaries.add(j, tally.Figures(), true, code, reasonOf(runner.Outcome{}, j.plan.GoneFailed, code, nil))
}

// batchNames lists batches for a sentence that says what they are.
func batchNames(jobs []*job) string {
	var names []string
	for _, j := range jobs {
		names = append(names, j.plan.Batch.Name)
	}
	return fmt.Sprintf("%s %s %s", plural(len(jobs), "batch", "batches"), strings.Join(names, ", "), plural(len(jobs), "is", "are"))
}

// batch runs one batch, or says that nothing is to be done, and reports.
func (n *night) batch(ctx context.Context, j *job) (code int, err error) {
	if said := j.standing(); said != "" && (!n.detach || !j.handedOver()) {
		n.notice(n.std, said)
	}
	var outcome runner.Outcome
	summary := &runner.Summary{}
	idle := j.nothingToDo()
	if idle {
		err = j.close(true)
		n.news(j, n.std)
	} else {
		outcome, err = n.start(ctx, j, summary)
	}
	if j.generation != nil {
		summary.All = j.generation.Tally()
	}
	switch {
	case n.detach && err == nil:
		n.tellHanded(j)
	case summary.Began() && !n.quiet && n.logFormat == "":
		fmt.Fprintln(n.std.err, summary)
	}
	if n.rehearse && summary.Began() {
		n.notice(n.std, foretold(j, summary, outcome))
	}
	return n.judge(ctx, j, outcome, summary.Tally(), err)
}

// judge gives a batch its exit code, and writes its summary.
func (n *night) judge(ctx context.Context, j *job, outcome runner.Outcome, tally *runner.Tally, err error) (int, error) {
	if source, ok := errors.AsType[*runner.SourceError](err); ok {
		err = schema.Problems{j.batch.SourceProblem(source.Err)}
	} else if err == nil && !outcome.Left && n.only == nil && !n.following && (tally.Items == 0 || !j.look.known && j.generation != nil && !j.generation.Asked()) {
		err = schema.Problems{j.batch.Empty()}
	}
	complete := err == nil && !outcome.Left && n.limit == 0 && n.only == nil && !j.againOnly
	if complete && !j.look.known && j.generation != nil { // of a stream, which was read now
		j.plan.GoneFailed = j.generation.GoneFailed()
	}
	failed := tally.NotSucceeded() - j.plan.GoneFailed // which nobody can mend
	code := codeOf(outcome, failed, err, interruptCode(ctx))
	if n.detach && outcome.Passes > 0 && code == exitItems { // of earlier invocations
		code = exitOK
	}
	if outcome.Cause != nil && err == nil {
		err = n.stopError(j, outcome)
	}
	complete = complete || j.generation != nil && j.generation.Whole()
	if today := n.began.Format(dateForm); complete && j.dated && j.date != today {
		how := "run again"
		if n.retries {
			how = "run without --retry-failed"
		}
		n.say(n.std, fmt.Sprintf("%s: %s is complete now, and %s is not begun; %s to begin it", j.batch.Name, j.date, today, how))
	}
	if summaryErr := n.summaries.add(j, tally.Figures(), complete, code, n.reasonOf(outcome, j.plan.GoneFailed, code, err)); err == nil && summaryErr != nil {
		return gravest(code, exitResults), summaryErr
	}
	return code, err
}

// stopError says how runs failed that a batch was stopped for, or what became of it
// where it was handed over.
func (n *night) stopError(j *job, outcome runner.Outcome) error {
	mend, alike := whatToMend[outcome.Stopped]
	if !alike {
		return fmt.Errorf("batch %s: %w", j.batch.Name, outcome.Cause)
	}
	err := fmt.Errorf("batch %s: all runs failed alike, so no more are started: %w", j.batch.Name, outcome.Cause)
	if n.rehearse && outcome.Stopped != runner.AllAlike { // nobody was asked
		return err
	}
	return fmt.Errorf("%w; %s", err, mend)
}

// start runs what is left of a batch.
func (n *night) start(ctx context.Context, j *job, summary *runner.Summary) (outcome runner.Outcome, err error) {
	results, err := n.openResults(j)
	if err != nil {
		return outcome, err
	}
	failures := &failures{}
	sinks := append(n.sinks(j, n.std), failures, summary)
	if cluster, ok := n.backend.(runner.Distributor); ok {
		outcome, err = runner.Distribute(ctx, j.plan, cluster, results, sinks...)
	} else {
		outcome, err = runner.Run(ctx, j.plan, n.backend, results, sinks...)
	}
	whole := err == nil && !outcome.Left && outcome.Stopped == runner.NotStopped
	if closeErr := j.close(whole); err == nil {
		err = closeErr
	}
	n.news(j, n.std)
	if !n.quiet && n.logFormat == "" {
		failures.print(n.std.err, j)
	}
	return outcome, err
}

// openResults opens the results for writing.
func (n *night) openResults(j *job) (runner.Recorder, error) {
	if j.rehearsal != nil {
		return j.rehearsal, j.rehearsal.Begin()
	}
	if j.generation == nil {
		return j.stream, nil
	}
	if err := n.endAbandoned(j); err != nil {
		return nil, err
	}
	if j.dated {
		current := runner.Current{Generation: j.generation.ID, Date: j.date, Results: j.path}
		if err := runner.WriteCurrent(n.file.StateDir(n.env), j.plan.Batch.Name, j.pattern, current); err != nil {
			return nil, err
		}
	}
	err := j.generation.Begin()
	n.news(j, n.std)
	return j.generation, err
}

// endAbandoned terminates the runs of what --fresh moves aside, or turns its back on:
// nobody would know of them any more.
func (n *night) endAbandoned(j *job) error {
	if err := n.endHeld(j, j.generation.Abandoned()); err != nil || !n.fresh || !j.dated {
		return err
	}
	current, err := runner.ReadCurrent(n.file.StateDir(n.env), j.batch.Name, j.pattern)
	if errors.Is(err, runner.ErrCurrentDamaged) {
		err = nil // which --fresh is for
	}
	if err != nil || current == nil || current.Results == j.path {
		return err
	}
	held, err := runner.HoldJournal(current.Results)
	if err != nil {
		return err
	}
	return n.endHeld(j, held)
}

func (n *night) endHeld(j *job, held *runner.HeldJournal) (err error) {
	if held == nil {
		return nil
	}
	defer func() {
		if closeErr := held.Close(); err == nil {
			err = closeErr
		}
	}()
	known, doubted := 0, []string{}
	for _, b := range held.Unended() {
		if b.Handle.TaskID != "" {
			known++
		} else {
			doubted = append(doubted, b.Handle.TraceID)
		}
	}
	if len(doubted) > 0 {
		n.say(n.std, fmt.Sprintf("%s: whether runs came of %d starts of the earlier results is not known; they may be going on under trace ids %s", j.batch.Name, len(doubted), strings.Join(doubted, ", ")))
	}
	if known == 0 {
		return nil
	}
	if err := elsewhere(n.file.Run.Backend, j.batch.Name, held.Unended()); err != nil {
		return fmt.Errorf("nothing is moved aside: %w", err)
	}
	if n.file.Run.Backend == "temporal" {
		n.say(n.std, j.batch.Name+": --fresh cancels what of the earlier results is under way on the cluster")
	} else {
		n.say(n.std, fmt.Sprintf("%s: --fresh terminates %d %s of the earlier results that may be going on", j.batch.Name, known, plural(known, "run", "runs")))
	}
	if err := held.End(n.signals.ctx, n.backend, j.plan.Rate); err != nil {
		how := "nightshift runs --terminate"
		if slices.ContainsFunc(held.Unended(), func(b runner.Begun) bool { return b.Pass }) {
			how = "nightshift cancel"
		}
		return fmt.Errorf("%s: nothing is moved aside, as %w; end it (%s), or wait for it", j.batch.Name, err, how)
	}
	if n.signals.interrupted() {
		return &exitError{interruptCode(n.signals.ctx), fmt.Errorf("%s: interrupted, so nothing is moved aside; the runs of the earlier results are terminated", j.batch.Name)}
	}
	return nil
}

// whatToMend is what a user can do about a batch whose runs all failed alike.
var whatToMend = map[runner.StopReason]string{
	runner.Denied:      "check the key, and what it may do",
	runner.Unreachable: "check the address, the network, and whether the server runs",
	runner.AllAlike:    "mend the batch file, or the address",
}
