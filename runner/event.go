package runner

import (
	"time"

	"nightshift/spec"
)

// Event is one thing that happened to a batch. Which fields are set depends on
// the kind.
type Event struct {
	Kind    EventKind
	Time    time.Time
	Batch   string
	Plan    *Plan        // Planned
	ID      string       // Started, Attached, Parked, Resumed, Finished: the item's id
	Attempt int          // Started, Attached, Parked, Resumed: starts so far
	Handle  Handle       // Started, Attached, Parked, Resumed
	Until   time.Time    // Parked: when the item is due again
	Reason  string       // Parked, Stopped
	Limits  LimiterState // Limited: what is allowed from now on
	Held    bool         // Parked: no call was refused, it waits until others are taken
	Result  *Result      // Finished; its line has been written
	Usage   *Usage       // Parked: what the item has taken so far; nil: nothing, as far as is known
	Carried *Usage       // Parked, Finished: of that, what was told of before; nil: nothing
	Outcome *Outcome     // Ended
}

// EventKind is what happened.
type EventKind int

// The kinds of events, in the order in which a batch goes through them.
const (
	Planned  EventKind = iota // the batch begins
	Started                   // a run was started for an item
	Attached                  // a run that was started before is waited for again
	Parked                    // an item gave its slot back until it is due
	Resumed                   // a parked run goes on
	Limited                   // starts are slowed down, or no longer
	Finished                  // an item ended, and its result is written
	Stopped                   // nothing more will be started
	Ended                     // the last run ended
)

// Sink watches the events of a batch. Handle is called for one event after the
// other, never at once, and must not block for long: results wait behind it.
type Sink interface {
	Handle(e Event)
}

// Recorder makes results last.
type Recorder interface {
	// Record takes a result.
	Record(r *Result)
	// Commit writes what was recorded since the last Commit, and tells how many
	// of these results are written whole: all of them unless there is an error.
	Commit() (int, error)
}

// maxCommit is how many results one Commit may be about, and how many events
// may wait for it: results can be large, and those that wait are in memory.
const maxCommit = 128

// stream takes events from all runs and gives them to the sinks, a result only
// after it was written. Results that arrive together are committed together.
type stream struct {
	events chan sentEvent
	done   chan struct{}
	err    error // of the recorder; to be read when done is closed
}

// sentEvent is an event on its way.
type sentEvent struct {
	Event
	written chan struct{} // of a result: closed when it was written, or cannot be; nil: nobody waits for that
}

// newStream starts the one goroutine that calls the recorder and the sinks;
// failed is called when results can no longer be written.
func newStream(recorder Recorder, redactor *spec.Redactor, sinks []Sink, failed func(error)) *stream {
	s := &stream{events: make(chan sentEvent, maxCommit), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		var batch []sentEvent
		for e := range s.events {
			batch = append(batch[:0], e)
			for more := true; more && len(batch) < maxCommit; {
				select {
				case e, ok := <-s.events:
					if more = ok; ok {
						batch = append(batch, e)
					}
				default:
					more = false
				}
			}
			if err := s.deliver(batch, recorder, redactor, sinks); err != nil && s.err == nil {
				s.err = err
				failed(err)
			}
			clear(batch)
		}
	}()
	return s
}

func (s *stream) deliver(batch []sentEvent, recorder Recorder, redactor *spec.Redactor, sinks []Sink) error {
	results := 0
	for i := range batch {
		e := &batch[i]
		e.ID, e.Reason = redactor.ID(e.ID), redactor.Text(e.Reason)
		if e.Result != nil && s.err == nil {
			e.Result = e.Result.redacted(redactor)
			recorder.Record(e.Result)
			results++
		}
	}
	written, err := 0, error(nil)
	if results > 0 {
		written, err = recorder.Commit()
	}
	for _, e := range batch {
		lost := e.Result != nil && written == 0 // it did not reach the file, so nobody may count it
		if e.Result != nil && !lost {
			written--
		}
		if e.Outcome != nil && (err != nil || s.err != nil) {
			e.Outcome.Stopped = ResultsFailed
		}
		for _, sink := range sinks {
			if !lost {
				sink.Handle(e.Event)
			}
		}
		if e.written != nil {
			close(e.written) // now that it is counted: it may have been one too many
		}
	}
	return err
}

func (s *stream) send(e sentEvent) { s.events <- e }

// close waits until every event has been handled.
func (s *stream) close() error {
	close(s.events)
	<-s.done
	return s.err
}
