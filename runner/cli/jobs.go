package cli

import (
	"cmp"
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
	batch      *spec.Batch
	plan       *runner.Plan
	path       string // of the results
	pattern    string // of that, with {{ date }} not filled in
	date       string // that it was filled in with
	dated      bool   // it was
	generation *runner.Generation
	stream     *runner.ResultsFile // where results are not kept: standard output, a device
	rehearsal  *runner.RehearsalFile
	chosen     *chosen // of these: the items that are asked for; nil: all
	look       look
	noted      int // notes of the generation that were said
	closed     bool
	rehearsed  bool // not run in earnest
	passed     *job // of an earlier date, of which nothing was left
	trial      bool // not all of its items were asked for when it was handed over
	againOnly  bool // of an earlier date that is complete, of which only what failed is run again
}

// jobs looks at all batches before the first one is run: what is wrong with
// the last should not be found after the first was paid for. What it gives must
// be closed, also where there is an error.
func (o *runOptions) jobs(file *spec.File, picked []*spec.Batch, began time.Time, std streams) ([]*job, error) {
	var jobs []*job
	var refused schema.Problems
	for _, b := range picked {
		j, problems, err := o.job(file, b, began, jobs, std)
		if j != nil {
			jobs = append(jobs, j)
		}
		if err != nil {
			return jobs, err
		}
		refused = append(refused, problems...)
	}
	if len(refused) > 0 {
		return jobs, &exitError{exitUsage, refused}
	}
	if !slices.ContainsFunc(jobs, func(j *job) bool { return !j.look.known }) {
		if err := o.missing(jobs); err != nil {
			return jobs, &exitError{exitUsage, err}
		}
	}
	return jobs, nil
}

// job looks at one batch. Where nothing is left of an earlier date, which a crash
// has kept from being noted, it goes on to today; but not with --retry-failed, which
// begins nothing.
func (o *runOptions) job(file *spec.File, b *spec.Batch, began time.Time, others []*job, std streams) (*job, schema.Problems, error) {
	j, err := o.place(file, b, began)
	if err != nil {
		return nil, nil, err
	}
	problems, err := o.openJob(file, j, others, began, std)
	today, all := began.Format(dateForm), o.limit == 0 && o.only == nil && !o.retries
	if err != nil || len(problems) > 0 || j.date == today || !all || !j.nothingToDo() {
		return j, problems, err
	}
	err = j.close(true)
	o.news(j, std)
	if err != nil {
		return j, nil, exitFor(err)
	}
	passed := j
	j = o.placeAt(file, b, today)
	j.passed = passed
	problems, err = o.openJob(file, j, others, began, std)
	return j, problems, err
}

// openJob opens what a batch has at its place, and looks at its rows.
func (o *runOptions) openJob(file *spec.File, j *job, others []*job, began time.Time, std streams) (schema.Problems, error) {
	for _, other := range others {
		if other.path == j.path && j.path != "-" && !isDevice(j.path) {
			return nil, &exitError{exitUsage, fmt.Errorf("batches %s and %s would both write to %s; put {{ batch }} into --output", other.batch.Name, j.batch.Name, j.path)}
		}
	}
	if err := o.checkPlace(file, j.path); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	if err := o.checkRehearsal(file, j); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	if err := o.checkSummary(file, append(others, j)); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	j.plan = o.newPlan(file, j.batch, began, std)
	if err := o.openResults(file, j, std); err != nil {
		return nil, err
	}
	return o.lookAt(j, std), nil // last, as it reads all rows
}

func (o *runOptions) newPlan(file *spec.File, b *spec.Batch, began time.Time, std streams) *runner.Plan {
	plan := &runner.Plan{
		Batch:        b,
		Limit:        o.limit,
		Concurrency:  file.Run.Concurrency,
		Timeout:      file.Run.Timeout,
		PollInterval: file.Run.PollInterval,
		Retry:        file.Run.Retry,
		Rate:         file.Run.Rate.RequestsPerMinute,
		HandOnly:     o.detach,
		FollowOnly:   o.following,
		Stop:         file.Run.Stop,
		Stdin:        std.in,
		Redactor:     file.Redactor,
		Rehearsal:    o.rehearse,
	}
	if o.concurrency > 0 {
		plan.Concurrency = o.concurrency
	}
	if o.rehearsesPlatform() {
		plan.Rate = o.platformRate
	}
	if file.Run.Deadline > 0 {
		plan.Deadline = began.Add(file.Run.Deadline)
	}
	return plan
}

// openResults opens the generation that a batch is at, or the stream that its
// results go to.
func (o *runOptions) openResults(file *spec.File, j *job, std streams) (err error) {
	b := j.batch
	if o.rehearse || j.path == "-" || isDevice(j.path) {
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
		if o.rehearse && j.path != "-" && !isDevice(j.path) {
			j.rehearsal, err = runner.OpenRehearsal(j.path)
		} else {
			j.stream, err = openStream(j.path, std)
		}
		if err != nil {
			return exitFor(err)
		}
		return nil
	}
	source := b.Fingerprint()
	if source != "" && o.limit > 0 {
		source = fmt.Sprintf("%s, the first %d", source, o.limit)
	}
	if o.only != nil {
		source = "" // nothing is known of the others
	}
	j.generation, err = runner.OpenGeneration(runner.GenerationOptions{
		Path: j.path, Batch: b.Name, Date: j.date,
		Pipeline: file.Digest(b, file.Redactor), Source: source,
		Fresh: o.fresh && !o.planning, AcceptChanged: o.acceptChanged,
		RetryFailed: o.retries, RetryClasses: o.retriedClasses,
		AgainOnly: j.againOnly, Only: o.only, Partial: o.limit > 0 || o.only != nil || j.againOnly || j.trial,
		Outlive: outlives(file.Run.Backend),
		Fsync:   runner.Fsync(o.fsync), Redactor: file.Redactor, LookOnly: o.planning,
	})
	if errors.Is(err, runner.ErrChangedPipeline) {
		err = o.changed(file, j, err)
	}
	if err != nil {
		return exitFor(err)
	}
	o.news(j, std)
	if err := o.checkClasses(j.generation.Tally()); err != nil {
		return &exitError{exitUsage, err}
	}
	j.plan.Generation, j.plan.AnswersSince = j.generation.ID, j.generation.AnswersSince()
	j.plan.Past = j.generation
	if outlives(file.Run.Backend) {
		j.plan.Journal = &handedOver{Journal: j.generation}
	}
	if o.planning {
		return nil
	}
	return elsewhere(file.Run.Backend, b.Name, j.generation.Unended())
}

// changed is the error of results that another pipeline has made: where that is one for
// another backend, with what may be going on there.
func (o *runOptions) changed(file *spec.File, j *job, changed error) error {
	begun, err := unended(file, j)
	if err != nil {
		return changed
	}
	if file.Run.Backend != "temporal" && !slices.ContainsFunc(begun, func(b runner.Begun) bool { return b.Pass }) {
		return changed
	}
	return cmp.Or(elsewhere(file.Run.Backend, j.batch.Name, begun), changed)
}

// elsewhere refuses to go on with a batch of which another backend may be running items.
func elsewhere(backend, batch string, begun []runner.Begun) error {
	runs, passes := 0, 0
	for _, b := range begun {
		if b.Pass {
			passes++
		} else {
			runs++
		}
	}
	switch {
	case runs > 0 && backend != "vectorshift":
		return &exitError{exitUsage, fmt.Errorf("batch %s has %d %s on the hosted platform that may be going on; go on with backend vectorshift, or end them with nightshift runs --terminate --set run.backend=vectorshift", batch, runs, plural(runs, "run", "runs"))}
	case passes > 0 && backend != "temporal":
		return &exitError{exitUsage, fmt.Errorf("batch %s was handed over to a Temporal cluster, where it may be going on; go on with backend temporal, or end it there with nightshift cancel --backend temporal, and take its results in with nightshift attach --backend temporal", batch)}
	}
	return nil
}

// checkClasses finds classes that nothing has ever failed with: typing errors.
func (o *runOptions) checkClasses(tally *runner.Tally) error {
	for _, class := range o.retriedClasses {
		if tally.Classes[class] == 0 && !slices.Contains(runner.Classes, class) {
			return fmt.Errorf("--retry-failed: there is no class of errors %q%s", class, cmp.Or(schema.DidYouMean(class, runner.Classes), "; there are "+strings.Join(runner.Classes, ", ")))
		}
	}
	return nil
}

// news says what was found and mended since it was said last.
func (o *runOptions) news(j *job, std streams) {
	if j.generation == nil {
		return
	}
	for _, note := range j.generation.Notes[j.noted:] {
		o.notice(std, note)
	}
	j.noted = len(j.generation.Notes)
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
	case j.rehearsal != nil:
		return j.rehearsal.Close()
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
