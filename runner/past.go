package runner

import (
	"errors"
	"time"

	"nightshift/spec"
)

// Past is what earlier invocations did of this pass over a batch.
type Past interface {
	// Of tells how an item stands. It is asked once for each item of the source,
	// in its order, by one goroutine.
	Of(it *spec.Item) Standing
	// Orphans are the runs that were begun for items which the source no longer
	// has, or has otherwise. It is asked when the source was read to its end.
	Orphans() []Begun
}

// Standing is what is known of an item before this invocation. The zero
// Standing is that of an item nobody has seen.
type Standing struct {
	Skip         bool      // it is not to be run: it has ended, or is not asked for
	Ended        bool      // it has a result, which a new one would take the place of
	Edited       bool      // that is of other inputs
	Begun        *Begun    // a run was begun for it, whose end is not known
	Stale        *Begun    // likewise, but with other inputs: it is to be terminated first
	Attempts     int       // starts before this invocation
	Usage        *Usage    // what those took
	Duplicate    bool      // one of them may have made a second run
	AnswersSince time.Time // answers of models that were kept before are not read; zero: the plan's
}

// Begun is the start of a run that may still be going.
type Begun struct {
	ID      string // of the item, as it is written
	Digest  string // of its inputs
	Attempt int
	Handle  Handle    // without a task id where the answer to the start is not known
	At      time.Time // of the start

	Duplicate bool // there may be another run of the item, too
	Ending    bool // it was about to be terminated, as its batch was interrupted
	Over      bool // it was terminated: all that counts is that there was the attempt
	Pass      bool // it is no run of an item, but of many at once elsewhere: see Distribute; ID is the task id
	Unbegun   bool // of a pass: it was handed over, and whether it was begun is not known
}

// Journal notes the starts of runs that outlive this process, so that the next
// one finds them. An error is a *ResultsError.
type Journal interface {
	// Intend returns when the disk has it that a run is about to be started.
	Intend(b Begun) error
	// Began notes the handle of a run, or that it is over.
	Began(b Begun) error
	// Drop forgets the start of an item: there is no run, or it was terminated.
	Drop(id string) error
}

// ErrDetach as the cause of a context ends a batch and leaves its runs going, to
// be picked up by the next invocation.
var ErrDetach = errors.New("detached")

// Fsync says when results are forced onto the disk, where a power loss cannot
// take them. A crash of the process alone loses nothing that was written.
type Fsync string

// What there is to choose from.
const (
	FsyncGroup Fsync = "group" // all the time, many results at once, while others are written
	FsyncEach  Fsync = "each"  // before a result counts as written
	FsyncOff   Fsync = "off"   // when the batch has ended
)
