package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// job is one batch that is about to run.
type job struct {
	plan       *runner.Plan
	path       string // of the results
	pattern    string // of that, with {{ date }} not filled in
	date       string // that it was filled in with
	dated      bool   // it was
	generation *runner.Generation
	stream     *runner.ResultsFile // where results are not kept: standard output, a device
	chosen     *chosen             // of these: the items that are asked for; nil: all
	look       look
	closed     bool
}

// look is what a look at the items finds, before anything is run.
type look struct {
	known    bool // whether there was one: not where rows can be read once only
	done     int  // have ended
	begun    int  // a run of them may be going
	todo     int
	edited   int // of these, have ended with other inputs
	again    int // of these, have ended, and are run again
	notAsked int // have not ended, and are not asked for now
}

// jobs looks at all batches before the first one is run: what is wrong with
// the last should not be found after the first was paid for. What it gives must
// be closed, also where there is an error.
func (o *runOptions) jobs(file *spec.File, picked []*spec.Batch, began time.Time, std streams) ([]*job, error) {
	concurrency := file.Run.Concurrency
	if o.concurrency > 0 {
		concurrency = o.concurrency
	}
	var deadline time.Time
	if file.Run.Deadline > 0 {
		deadline = began.Add(file.Run.Deadline)
	}
	var jobs []*job
	var refused schema.Problems
	for _, b := range picked {
		j, err := o.place(file, b, began)
		if err != nil {
			return jobs, err
		}
		for _, other := range jobs {
			if other.path == j.path && j.path != "-" && !isDevice(j.path) {
				return jobs, &exitError{exitUsage, fmt.Errorf("batches %s and %s would both write to %s; put {{ batch }} into --output", other.plan.Batch.Name, b.Name, j.path)}
			}
		}
		j.plan = &runner.Plan{
			Batch:        b,
			Limit:        o.limit,
			Concurrency:  concurrency,
			Timeout:      file.Run.Timeout,
			PollInterval: file.Run.PollInterval,
			Retry:        file.Run.Retry,
			Rate:         file.Run.Rate.RequestsPerMinute,
			Stop:         file.Run.Stop,
			Deadline:     deadline,
			Stdin:        std.in,
			Redactor:     file.Redactor,
		}
		jobs = append(jobs, j)
		if err := o.openJob(file, j, std); err != nil {
			return jobs, err
		}
		refused = append(refused, o.scan(j, std)...) // last, as it reads all rows
	}
	if len(refused) > 0 {
		return jobs, &exitError{exitUsage, refused}
	}
	return jobs, nil
}

// openJob opens the generation that a batch is at, or the stream that its results
// go to.
func (o *runOptions) openJob(file *spec.File, j *job, std streams) (err error) {
	b := j.plan.Batch
	if j.path == "-" || isDevice(j.path) {
		if o.retries {
			return &exitError{exitUsage, fmt.Errorf("--retry-failed needs the results of batch %s, which go to %s and are not kept", b.Name, j.path)}
		}
		j.plan.Generation = runner.NewGeneration(time.Now())
		if o.only != nil {
			j.chosen = newChosen(o.only, file.Redactor)
			j.plan.Past = j.chosen
		}
		if o.planning {
			return nil
		}
		if j.stream, err = openStream(j.path, std); err != nil {
			return exitFor(err)
		}
		return nil
	}
	source := b.Fingerprint()
	if source != "" && o.limit > 0 {
		source = fmt.Sprintf("%s, the first %d", source, o.limit)
	}
	j.generation, err = runner.OpenGeneration(runner.GenerationOptions{
		Path: j.path, Batch: b.Name, Date: j.date,
		Pipeline: file.Digest(b, file.Redactor), Source: source,
		Fresh: o.fresh && !o.planning, AcceptChanged: o.acceptChanged,
		RetryFailed: o.retries, RetryClasses: o.retriedClasses,
		Only: o.only, Partial: o.limit > 0 || o.only != nil,
		Fsync: runner.Fsync(o.fsync), Redactor: file.Redactor, LookOnly: o.planning,
	})
	if err != nil {
		return exitFor(err)
	}
	for _, note := range j.generation.Notes {
		o.notice(std, note)
	}
	if err := o.checkClasses(j.generation.Tally()); err != nil {
		return &exitError{exitUsage, err}
	}
	j.plan.Generation, j.plan.AnswersSince = j.generation.ID, j.generation.AnswersSince()
	j.plan.Before, j.plan.Past = j.generation.Before(), j.generation
	return nil
}

// checkClasses finds classes that nothing has ever failed with: typing errors.
func (o *runOptions) checkClasses(tally *runner.Tally) error {
	for _, class := range o.retriedClasses {
		if tally.Classes[class] == 0 && !slices.Contains(runner.Classes, class) {
			return fmt.Errorf("--retry-failed: there is no class of errors %q%s; there are %s", class, schema.DidYouMean(class, runner.Classes), strings.Join(runner.Classes, ", "))
		}
	}
	return nil
}

// scan looks at the rows of a batch, as far as they can be read twice. Single bad
// rows are no reason not to run the others; the problems are.
func (o *runOptions) scan(j *job, std streams) schema.Problems {
	b := j.plan.Batch
	j.plan.Total, j.plan.Rows = -1, -1
	switch {
	case j.generation != nil && j.generation.Complete:
		j.look = look{known: true, done: j.generation.Tally().Items}
		return nil
	case !b.Source.Rereadable():
		return nil
	}
	var each func(*spec.Item)
	j.look.known = true
	if j.resumes() || o.only != nil {
		each = func(it *spec.Item) {
			if o.limit == 0 || it.Index < o.limit {
				j.look.add(j.plan.Past.Of(it))
			}
		}
	}
	s := b.Scan(each)
	switch {
	case s.Fatal || s.Duplicates > 0 || s.Bad == s.Rows:
		return s.Problems
	case s.Bad > 0:
		o.notice(std, fmt.Sprintf("%s: %d of %d rows cannot be used and will be failed results; the first: %s", b.Name, s.Bad, s.Rows, s.Problems[0]))
	}
	j.plan.Rows = s.Rows
	if o.limit > 0 {
		j.plan.Rows = min(o.limit, s.Rows)
	}
	if each == nil {
		j.look.todo = j.plan.Rows
	} else if missing := o.missing(j); len(missing) > 0 {
		return missing
	}
	j.plan.Total = j.look.todo + j.look.begun
	return nil
}

// missing says which items were asked for that the batch does not have, once its
// rows were read.
func (o *runOptions) missing(j *job) schema.Problems {
	if o.only == nil || o.limit > 0 {
		return nil
	}
	var ids []string
	if j.generation != nil {
		ids = j.generation.Missing()
	} else {
		ids = j.chosen.missing()
	}
	if len(ids) == 0 {
		return nil
	}
	return schema.Problems{j.plan.Batch.Lacks(ids)}
}

func (l *look) add(s runner.Standing) {
	switch {
	case s.Skip && s.Ended:
		l.done++
	case s.Skip:
		l.notAsked++
	case s.Begun != nil:
		l.begun++
	default:
		if l.todo++; s.Edited {
			l.edited++
		} else if s.Ended {
			l.again++
		}
	}
}

// resumes tells whether something is there from an earlier invocation.
func (j *job) resumes() bool {
	return j.generation != nil && (j.generation.Tally().Items > 0 || len(j.generation.Orphans()) > 0)
}

func (j *job) nothingToDo() bool {
	return j.look.known && j.generation != nil && j.look.todo+j.look.begun == 0 && len(j.generation.Orphans()) == 0
}

// standing says how a batch stands before it is run; "" where it is new.
func (j *job) standing() string {
	if !j.resumes() {
		return ""
	}
	name, tally := j.plan.Batch.Name, j.generation.Tally()
	if j.dated {
		name += " of " + j.date
	}
	if j.nothingToDo() {
		failed := ""
		if n := tally.NotSucceeded(); n > 0 {
			failed = fmt.Sprintf(", %d of which did not succeed; --retry-failed runs those again, --fresh all", n)
		}
		return fmt.Sprintf("%s: %d already done, nothing to do%s", name, j.look.done, failed)
	}
	if !j.look.known {
		return fmt.Sprintf("%s: %d already done, %d re-attached, the others to do", name, tally.Items, len(j.generation.Orphans()))
	}
	return fmt.Sprintf("%s: %d already done, %d re-attached, %d to do%s", name, j.look.done, j.look.begun, j.look.todo, j.look.details())
}

// details say why items that have ended are run again.
func (l *look) details() string {
	var parts []string
	if l.edited > 0 {
		parts = append(parts, fmt.Sprintf("%d edited since", l.edited))
	}
	if l.again > 0 {
		parts = append(parts, fmt.Sprintf("%d again", l.again))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// close ends the use of the results; whole tells whether every item has ended.
func (j *job) close(whole bool) error {
	if j.closed {
		return nil
	}
	j.closed = true
	switch {
	case j.generation != nil:
		return j.generation.Close(whole)
	case j.stream != nil:
		return j.stream.Close()
	}
	return nil
}

// closeJobs gives the locks back of batches that were not run.
func closeJobs(jobs []*job) {
	for _, j := range jobs {
		_ = j.close(false) // nothing was written
	}
}

// exitFor gives an error of the results files its exit code.
func exitFor(err error) error {
	if _, locked := errors.AsType[*runner.LockedError](err); locked {
		return &exitError{exitLocked, err}
	}
	if _, unwritten := errors.AsType[*runner.ResultsError](err); unwritten {
		return &exitError{exitResults, err}
	}
	return &exitError{exitUsage, err}
}
