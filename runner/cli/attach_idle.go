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
		i.said, i.never = append(i.said, fmt.Sprintf("%s: nothing was handed over: there is nothing at %s; nightshift run --detach hands it over", name, j.path)), true
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

// judge says how they stand, and gives their exit code. A batch that was never handed
// over is missed where it was named, or where no other was.
func (i *idleBatches) judge(others, named bool, say func(string)) int {
	for _, said := range i.said {
		say(said)
	}
	if i.never && (named || !i.begun && !others) {
		return gravest(i.code, exitUsage)
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
