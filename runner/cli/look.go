package cli

import (
	"fmt"
	"slices"
	"strings"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// look is what a look at the items finds, before anything is run.
type look struct {
	known    bool // whether there was one: not where rows can be read once only
	done     int  // have ended
	begun    int  // a run of them is known
	todo     int
	doubted  int // of these, a start was begun of which no run is known
	edited   int // of these, have ended with other inputs
	again    int // of these, have ended, and are run again
	notAsked int // have not ended, and are not asked for now
	gone     int // results of rows that are not there any more
}

// lookAt looks at what a batch is to run, and at what of its results stays.
func (o *runOptions) lookAt(j *job, std streams) schema.Problems {
	problems := o.scan(j, std)
	if g := j.generation; g != nil {
		if j.look.known {
			g.KeepGone()
			j.look.gone, j.plan.GoneFailed = g.Gone(), g.GoneFailed()
		}
		j.plan.Before = g.Before() // now that the edited items are known
	}
	return problems
}

// scan looks at the rows of a batch, as far as they can be read twice. Single bad
// rows are no reason not to run the others; the problems are.
func (o *runOptions) scan(j *job, std streams) schema.Problems {
	b := j.plan.Batch
	j.plan.Total, j.plan.Rows = -1, -1
	switch {
	case j.generation != nil && j.generation.Complete:
		j.look = look{known: true, done: j.generation.Tally().Items - j.generation.Gone()}
		return nil
	case !b.Source.Rereadable():
		return nil
	}
	var each func(*spec.Item)
	j.look.known = true
	if j.resumes() || o.only != nil {
		each = func(it *spec.Item) {
			standing := j.plan.Past.Of(it) // also of those behind the limit: they are not gone
			if o.limit == 0 || it.Index < o.limit {
				j.look.add(standing)
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
	}
	j.plan.Total = j.look.todo + j.look.begun
	return nil
}

// missing says which items were asked for that none of the batches has, once
// their rows were read.
func (o *runOptions) missing(jobs []*job) error {
	if o.only == nil || o.limit > 0 || len(jobs) == 0 {
		return nil
	}
	ids := jobs[0].missing()
	for _, j := range jobs[1:] {
		others := j.missing()
		ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(others, id) })
	}
	switch {
	case len(ids) == 0:
		return nil
	case strings.Contains(ids[0], ","):
		return fmt.Errorf("--only: there is no item %s; give --only once for each item", ids[0])
	case len(jobs) == 1:
		return schema.Problems{jobs[0].batch.Lacks(ids)}
	}
	return fmt.Errorf("--only: none of the batches has an item %s", strings.Join(ids, ", "))
}

func (j *job) missing() []string {
	if j.generation != nil {
		return j.generation.Missing()
	}
	return j.chosen.missing()
}

func (l *look) add(s runner.Standing) {
	switch {
	case s.Skip && s.Ended:
		l.done++
	case s.Skip:
		l.notAsked++
	case s.Begun != nil && s.Begun.Handle.TaskID != "":
		l.begun++
	default:
		if l.todo++; s.Begun != nil {
			l.doubted++
		} else if s.Edited {
			l.edited++
		} else if s.Ended {
			l.again++
		}
	}
}

// resumes tells whether something is there from an earlier invocation.
func (j *job) resumes() bool {
	return j.generation != nil && (j.generation.Tally().Items > 0 || j.look.begun+j.look.doubted > 0 || len(j.generation.Orphans()) > 0 || j.handedOver())
}

// handedOver tells whether a pass over the batch was handed over whose end is not known.
func (j *job) handedOver() bool { return j.generation != nil && len(j.generation.Passes()) > 0 }

func (j *job) nothingToDo() bool {
	return j.look.known && j.generation != nil && j.look.todo+j.look.begun == 0 && len(j.generation.Orphans()) == 0 && !j.handedOver()
}

// standing says how a batch stands before it is run; "" where it is new.
func (j *job) standing() string {
	if !j.resumes() {
		if j.nothingToDo() { // another batch has what is asked for
			return j.batch.Name + ": has none of these items"
		}
		return ""
	}
	name, tally := j.plan.Batch.Name, j.generation.Tally()
	if j.dated {
		name += " of " + j.date
	}
	if j.nothingToDo() {
		failed := ""
		if n := tally.NotSucceeded() - j.generation.GoneFailed(); n > 0 {
			failed = fmt.Sprintf(", %d of which did not succeed; --retry-failed runs those again, --fresh all", n)
		}
		return fmt.Sprintf("%s: %d already done, nothing to do%s%s", name, j.look.done, failed, j.gone())
	}
	if j.handedOver() {
		left := "the others are in it, or to do"
		if j.trial {
			left = "what was asked for is in it"
		} else if j.look.known {
			left = fmt.Sprintf("%d in it, or to do%s", j.look.todo, j.gone())
		}
		return fmt.Sprintf("%s: takes up what was handed over; %d already done, %s", name, tally.Items-j.look.gone, left)
	}
	if !j.look.known {
		return fmt.Sprintf("%s: %d already done, %d re-attached, the others to do", name, tally.Items, len(j.generation.Orphans()))
	}
	return fmt.Sprintf("%s: %d already done, %d re-attached, %d to do%s%s", name, j.look.done, j.look.begun, j.look.todo, j.look.details(), j.gone())
}

// gone says which results are of rows that are not there any more.
func (j *job) gone() string {
	n, failed := j.look.gone, ""
	if n == 0 {
		return ""
	}
	if j.plan.GoneFailed > 0 {
		failed = fmt.Sprintf(" (%d did not succeed)", j.plan.GoneFailed)
	}
	return fmt.Sprintf("; %d %s of rows that are gone%s, which only --fresh leaves out", n, plural(n, "result is", "results are"), failed)
}

// details say why items are run again that have ended, or may have been begun.
func (l *look) details() string {
	var parts []string
	if l.edited > 0 {
		parts = append(parts, fmt.Sprintf("%d edited since", l.edited))
	}
	if l.again > 0 {
		parts = append(parts, fmt.Sprintf("%d again", l.again))
	}
	if l.doubted > 0 {
		parts = append(parts, fmt.Sprintf("%d begun before, possibly for the second time", l.doubted))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
