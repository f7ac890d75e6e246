package cli

import (
	"fmt"

	"nightshift/spec"
)

// idleBatches are those of which nothing is under way, and how they stand.
type idleBatches struct {
	said  []string
	code  int // of those that were ever begun
	begun bool
	never bool // some never were
	left  bool // of these, some have items to do
}

// add looks at the results of one more.
func (i *idleBatches) add(file *spec.File, j *job) error {
	name := j.batch.Name
	if j.path == "-" || isDevice(j.path) {
		i.said, i.never = append(i.said, fmt.Sprintf("%s: its results go to %s and are not kept, so there is nothing to follow", name, j.path)), true
		return nil
	}
	g, err := lookAt(file, j)
	if err != nil {
		return exitFor(err)
	}
	defer g.Close(false) // it was only looked at
	tally := g.Tally()
	if tally.Items == 0 && !g.Known() {
		i.never = true
		said := fmt.Sprintf("%s: nothing was handed over: there is nothing at %s", name, j.path)
		if todo, some := toDo(j.batch); some {
			i.left = true
			said += fmt.Sprintf("; %s; nightshift run hands them over", todo)
		}
		i.said = append(i.said, said)
		return nil
	}
	i.begun = true
	said := name + ": nothing is under way"
	if failed := tally.NotSucceeded() - g.GoneFailed(); failed > 0 {
		i.code = gravest(i.code, exitItems)
		said += fmt.Sprintf("; %d of %d %s did not succeed", failed, tally.Items, plural(tally.Items, "item", "items"))
	}
	if !g.Finished() {
		i.code = gravest(i.code, exitStopped)
		said += fmt.Sprintf("; %s done; nightshift run goes on with what is left", doneOf(tally.Items, j.batch))
	}
	i.said = append(i.said, said)
	return nil
}

// doneOf says how many items are done, and of how many, as far as that can be counted.
func doneOf(done int, batch *spec.Batch) string {
	if batch.Source.Rereadable() {
		if s := batch.Scan(nil); !s.Fatal && s.Rows >= done {
			return fmt.Sprintf("%d of %d", done, s.Rows)
		}
	}
	return fmt.Sprintf("%d %s", done, plural(done, "item is", "items are"))
}

// toDo says how many items a batch has of which none was begun, as far as that can be
// counted; some tells whether there may be any.
func toDo(batch *spec.Batch) (said string, some bool) {
	if batch.Source.Rereadable() {
		if s := batch.Scan(nil); !s.Fatal {
			return fmt.Sprintf("%d to do", s.Rows), s.Rows > 0
		}
	}
	return "all items are to do", true
}

// judge says how they stand, and gives their exit code. A batch that was never handed
// over is missed where it was named, or where no other was; beside others its items are
// left: nothing is kept of a pass that was cancelled before any of its items had ended.
func (i *idleBatches) judge(others, named bool, say func(string)) int {
	for _, said := range i.said {
		say(said)
	}
	if i.never && (named || !i.begun && !others) {
		return gravest(i.code, exitUsage)
	}
	if i.left {
		return gravest(i.code, exitStopped)
	}
	return i.code
}

// warnUnkept warns of results that are lost if this process is killed, while what was
// handed over goes on.
func (o *runOptions) warnUnkept(jobs []*job, notice func(string)) {
	for _, j := range jobs {
		if j.generation == nil && j.rehearsal == nil {
			notice(fmt.Sprintf("%s: results go to %s and are not kept: if this command is killed, what was handed over goes on, and nobody has its results; --output FILE keeps them", j.batch.Name, j.path))
		}
	}
}
