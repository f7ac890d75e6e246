package runner

import "time"

// task is an item on its way through attempts.
type task struct {
	item      item
	step      step
	attempt   int       // starts of which a run came, or may have come
	before    int       // those of them that an earlier result told of
	handle    Handle    // of the run; without a task id where it is not known whether there is one
	started   time.Time // of the attempt
	usage     *Usage    // of the attempts before it
	paid      *Usage    // by the attempt, when it was suspended
	carried   *Usage    // of both, what an earlier result or event told of
	duplicate bool      // there may be another run
	ending    bool      // the run was about to be terminated, as the batch was interrupted
	due       time.Time
	trouble   trouble // that made it wait
	lost      error   // why it is not known whether there is a run
	given     error   // why no other run is started, if there is none
	clock     clock   // of the run
	stale     *Begun  // run of other inputs, to be terminated before another one is started
	leave     func()  // tells the breaker that no other end is to be waited for; nil: that was told
	order     int     // of being parked: equal times keep their order

	answersSince time.Time     // answers of models that were kept before are not read
	admitted     time.Time     // by the limiter; zero: it knows of no run
	first        time.Duration // pause before the first look at the run
	fresh        bool          // the run was started by this process, and was looked at since
}

// step is what is to be done next for a task.
type step int

const (
	toStart  step = iota // a run
	toFind               // the run that may have come of a start
	toAttach             // to a run that was begun before
	toResume             // a run that was suspended
	toWait               // for the end of a run
)

// newTask makes a task of an item that stands like that.
func newTask(it item, s Standing) *task {
	t := &task{item: it, attempt: s.Attempts, before: s.Attempts, usage: s.Usage, carried: s.Usage, duplicate: s.Duplicate, stale: s.Stale, answersSince: s.AnswersSince}
	if b := s.Begun; b != nil {
		t.attempt, t.before = max(b.Attempt, s.Attempts), 0
		t.handle, t.started = b.Handle, b.At
		t.duplicate, t.ending = t.duplicate || b.Duplicate, b.Ending
		if t.step = toAttach; b.Handle.TaskID == "" {
			t.step, t.lost = toFind, errKilled
		}
	}
	return t
}

// tell gives what the item has taken, and what of that was told of before.
func (t *task) tell() (all, before *Usage) {
	all, before = addUsage(t.usage, t.paid), t.carried
	t.carried = all
	return all, before
}

// event is one about the task's run.
func (t *task) event(kind EventKind) Event {
	return Event{Kind: kind, ID: t.item.ID, Attempt: t.attempt, Handle: t.handle}
}
