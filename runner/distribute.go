package runner

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"nightshift/spec"
)

// Distributor is a Backend that runs many items at once elsewhere, as one pass, with
// the same code as Run. A pass outlives this process. It may be begun, followed and
// ended by another one, and any of these may be done again.
type Distributor interface {
	Backend
	// Hand gives items to a pass that is not begun yet, and tells how many these
	// were. Where there are none there is no pass. The sequence must be read to
	// its end; an error of it is given back as it is.
	Hand(ctx context.Context, plan *Plan, items iter.Seq2[HandedItem, error]) (h Handle, total int, err error)
	// Begin begins a pass, if it is not begun yet.
	Begin(ctx context.Context, h Handle) error
	// Follow gives the results of a pass as they end, and returns when it has ended
	// and all were given, each once: where it is called again, by the same Backend, it
	// goes on. An error of results ends it, and is given back as it is.
	Follow(ctx context.Context, h Handle, results func(*Result) error) (PassEnd, error)
	// Drain lets a pass start no more than what is under way.
	Drain(ctx context.Context, h Handle) error
	// Forget removes what is stored of a pass that has ended.
	Forget(ctx context.Context, h Handle) error
}

// HandedItem is an item of a pass, and what is known of it.
type HandedItem struct {
	Item     spec.Item
	Standing Standing
}

// PassEnd is how a pass ended.
type PassEnd struct {
	Left    bool       // some of its items have no result
	Stopped StopReason // why
	Reason  string     // AtFailures, AtBudget: which limit was reached
	Cause   error      // of a pass that was stopped as runs, or a part of it, failed: how
}

// joiner is a Past that takes in results of earlier invocations while it is in use.
type joiner interface {
	Passes() []Begun
	Has(id, digest string) bool
	Joined(l *Line)
	Before() *Tally
}

// endWithin bounds what is done about a pass once this process is to end.
const endWithin = 30 * time.Second

// Distribute does what Run does on a backend that runs many items at once. What
// earlier invocations have handed over is followed first; then the items that are
// left are handed over, and followed. Closing plan.Drain lets the pass end with what is
// under way, cancelling ctx terminates it. Where ErrDetach is the cause of the cancel,
// or results cannot be written, it goes on, and the next invocation has its results.
func Distribute(ctx context.Context, plan *Plan, backend Distributor, recorder Recorder, sinks ...Sink) (Outcome, error) {
	d := &distribution{run: newRun(plan, backend), backend: backend}
	d.past, _ = plan.Past.(joiner)
	return d.all(ctx, recorder, sinks)
}

// distribution is a batch whose items are run elsewhere.
type distribution struct {
	*run
	backend Distributor
	past    joiner // nil: nothing is kept
	end     PassEnd
	last    chan struct{} // closed when the result that was sent off last is written
	going   int           // passes that are left going
	drained bool
	joining bool // what is followed was handed over by an earlier invocation
}

func (d *distribution) all(ctx context.Context, recorder Recorder, sinks []Sink) (Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.cancel, d.count.counts = cancel, map[State]int{}
	d.stream = newStream(recorder, d.Redactor, append([]Sink{&d.count, d}, sinks...), func(err error) { cancel(&unwritten{err}) })
	planned := *d.Plan // which changes with what is joined
	d.emit(Event{Kind: Planned, Plan: &planned})
	err := d.passes(ctx)
	outcome := Outcome{Counts: d.count.counts, Passes: d.going, Left: d.left.Load()}
	switch end := d.end; {
	case !outcome.Left:
	case d.unnoted.Load() != nil:
		outcome.Stopped = ResultsFailed
	case ctx.Err() != nil || d.drained:
		outcome.Stopped = Interrupted
	case end.Stopped == Interrupted: // not by us
		outcome.Stopped, outcome.Cause = Broken, cmp.Or(end.Cause, errEndedElsewhere)
	default:
		outcome.Stopped, outcome.Reason, outcome.Cause = end.Stopped, end.Reason, end.Cause
	}
	d.emit(Event{Kind: Ended, Outcome: &outcome})
	if streamErr := d.stream.close(); streamErr != nil {
		return outcome, streamErr
	}
	if unnoted := d.unnoted.Load(); unnoted != nil {
		return outcome, *unnoted
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // it was asked for
	}
	return outcome, err
}

var errEndedElsewhere = errors.New("it was ended elsewhere; run again goes on with what is left")

// unwritten is the cause of a context that ended as results could not be written.
type unwritten struct{ error }

// passes follows what was handed over, and hands over what is left.
func (d *distribution) passes(ctx context.Context) error {
	var open []Begun
	if d.past != nil {
		open = d.past.Passes()
	}
	for _, b := range open {
		there, err := d.begun(ctx, b)
		switch {
		case err != nil:
			d.left.Store(true)
			return err
		case !there:
			continue
		case d.HandOnly:
			d.left.Store(true)
			if err := d.begin(ctx, b); err != nil {
				return err
			}
			d.going++
			continue
		}
		d.emit(Event{Kind: Attached, ID: b.ID, Handle: b.Handle})
		d.joining = true
		if err := d.follow(ctx, b); err != nil {
			return err
		}
		if d.end.Stopped == Interrupted || d.drained {
			return nil
		}
	}
	d.joining = false // all of them are written
	if d.going > 0 {
		return nil
	}
	begun, err := d.hand(ctx)
	if err != nil || begun.Handle.TaskID == "" {
		return err
	}
	if d.HandOnly {
		d.left.Store(true)
		if err := d.begin(ctx, begun); err != nil {
			return err
		}
		d.going++
		return nil
	}
	return d.follow(ctx, begun)
}

// isNew tells whether a result is not there yet.
func (d *distribution) isNew(r *Result) bool { return !d.joining || !d.past.Has(r.ID, r.Digest) }

// Handle takes in a result that was written, so that its item is not handed over.
func (d *distribution) Handle(e Event) {
	if e.Kind == Finished && d.joining {
		line := e.Result.Line()
		d.past.Joined(&line)
	}
}

// hand gives the items that are left to a pass, which is noted and not begun yet. There
// is none where no item is left.
func (d *distribution) hand(ctx context.Context) (Begun, error) {
	var sourceErr error
	left, stopped := 0, false
	items := func(yield func(HandedItem, error) bool) {
		sourceErr = d.items(func(it item) bool {
			if stopped = d.asked(ctx); stopped {
				return false
			}
			var s Standing
			if d.Past != nil {
				s = d.Past.Of(&it)
			}
			more := true
			switch {
			case s.Skip:
			case d.FollowOnly:
				left++
			case it.Err != nil:
				d.reject(newTask(it, s))
			default:
				more = yield(HandedItem{it, s}, nil)
			}
			return more && (d.Limit == 0 || it.Index+1 < d.Limit)
		})
		if d.past != nil {
			d.Before = d.past.Before() // now with what was joined: limits are those of the generation
		}
		if sourceErr != nil {
			yield(HandedItem{}, sourceErr)
		}
	}
	if d.FollowOnly {
		items(func(HandedItem, error) bool { return true }) // nothing is given but an error
		d.left.Store(d.left.Load() || left > 0 || sourceErr != nil)
		return Begun{}, sourceProblem(sourceErr)
	}
	h, total, err := d.backend.Hand(ctx, d.Plan, items)
	switch {
	case sourceErr != nil || stopped || err != nil:
		d.left.Store(true)
		if d.drained = stopped; h.TaskID != "" {
			d.forget(ctx, h) // nobody has begun it
		}
		if sourceErr != nil {
			return Begun{}, sourceProblem(sourceErr)
		}
		return Begun{}, err
	case total == 0:
		return Begun{}, nil
	case d.asked(ctx):
		d.left.Store(true)
		d.drained = true
		d.forget(ctx, h)
		return Begun{}, nil
	}
	b := Begun{ID: h.TaskID, Attempt: 1, Handle: h, At: time.Now(), Pass: true, Unbegun: true}
	if d.Journal != nil && !d.noted(d.Journal.Intend(b)) {
		d.left.Store(true)
		d.forget(ctx, h)
		return Begun{}, nil // as the journal says
	}
	return b, nil
}

// asked tells whether nothing more is to be begun.
func (d *distribution) asked(ctx context.Context) bool {
	select {
	case <-d.Drain:
		return true
	default:
		return ctx.Err() != nil
	}
}

func sourceProblem(err error) error {
	if err == nil {
		return nil
	}
	return &SourceError{err}
}
