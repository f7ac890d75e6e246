package runner

// What the journal notes of the starts of runs. An error of it ends the batch.

// begun is the start of a task's run.
func (r *run) begun(t *task) Begun {
	return Begun{ID: r.Redactor.ID(t.item.ID), Digest: t.item.Digest, Attempt: t.attempt, Handle: t.handle, At: t.started, Duplicate: t.duplicate, Ending: t.ending}
}

// intend tells whether it is written that a run is about to be started.
func (r *run) intend(t *task) bool {
	return r.Journal == nil || r.noted(r.Journal.Intend(r.begun(t)))
}

// began notes the handle of a run.
func (r *run) began(t *task) {
	if r.Journal != nil {
		r.noted(r.Journal.Began(r.begun(t)))
	}
}

// ending notes that a task's run is about to be terminated: what it then ends as is
// not the end of its item.
func (r *run) ending(t *task) {
	if t.ending = true; r.Journal != nil {
		r.noted(r.Journal.Began(r.begun(t)))
	}
}

// over notes that a task's run was terminated, and that its item is to be run again.
func (r *run) over(t *task) {
	if r.Journal != nil {
		b := r.begun(t)
		b.Over, b.Ending = true, false
		r.noted(r.Journal.Began(b))
	}
}

// drop forgets the start of a task's run.
func (r *run) drop(t *task) {
	if r.Journal != nil {
		r.noted(r.Journal.Drop(r.Redactor.ID(t.item.ID)))
	}
}

func (r *run) noted(err error) bool {
	if err != nil && r.unnoted.CompareAndSwap(nil, &err) {
		r.cancel(err)
	}
	return err == nil
}
