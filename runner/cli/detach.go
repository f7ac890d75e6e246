package cli

import (
	"errors"
	"fmt"
	"strings"

	"nightshift/runner"
)

// validateDetach refuses what makes no sense with --detach, as far as flags tell.
func (o *runOptions) validateDetach() error {
	switch {
	case !o.detach:
		return nil
	case o.rehearse:
		return errors.New("--detach leaves a batch to others, but a rehearsal is run here; give one of them")
	case o.output == "-":
		return errors.New("--detach needs results that are kept; give --output a file")
	}
	return nil
}

// checkDetach refuses it where there is nobody to leave a batch to, or more than one
// batch to leave: they are run one after the other, and nobody would begin the next.
func (o *runOptions) checkDetach(backend string, jobs []*job) error {
	if !o.detach {
		return nil
	}
	if backend != "temporal" {
		return &exitError{exitUsage, fmt.Errorf("--detach hands a batch over to a Temporal cluster, but this one is for backend %s; write run: {backend: temporal}, or give --backend temporal", backend)}
	}
	var busy []string
	for _, j := range jobs {
		switch {
		case j.generation == nil:
			return &exitError{exitUsage, fmt.Errorf("--detach needs results that are kept: those of batch %s go to %s", j.batch.Name, j.path)}
		case !j.nothingToDo():
			busy = append(busy, j.batch.Name)
		}
	}
	if len(busy) > 1 {
		return &exitError{exitUsage, fmt.Errorf("--detach hands over one batch, but %s have something to do; name one with --batch", strings.Join(busy, ", "))}
	}
	return nil
}

// handedOver is the journal of a batch that keeps in mind what is handed over.
type handedOver struct {
	runner.Journal
	pass string // its id; "": nothing was handed over yet
}

// Intend is runner.Journal's.
func (h *handedOver) Intend(b runner.Begun) error {
	err := h.Journal.Intend(b)
	if err == nil && b.Pass {
		h.pass = b.Handle.TaskID
	}
	return err
}

// reasonOf says why a batch ended with its exit code.
func (n *night) reasonOf(outcome runner.Outcome, goneFailed, code int, err error) string {
	if n.detach && code == exitOK && outcome.Passes > 0 {
		return "handed over, and left going"
	}
	return reasonOf(outcome, goneFailed, code, err)
}

// tellHanded says what became of a batch that was left to others, and how it is
// followed.
func (n *night) tellHanded(j *job) {
	journal, _ := j.plan.Journal.(*handedOver)
	how := fmt.Sprintf("%s follows it, and writes %s", n.attaching(j.batch.Name), j.path)
	switch {
	case journal != nil && journal.pass != "":
		n.notice(n.std, fmt.Sprintf("%s: handed over as %s, and left going; %s", j.batch.Name, journal.pass, how))
	case j.handedOver():
		n.notice(n.std, fmt.Sprintf("%s: nothing is handed over, as a batch is under way: %s; %s", j.batch.Name, j.generation.Passes()[0].ID, how))
	}
}
