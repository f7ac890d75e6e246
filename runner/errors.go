package runner

import (
	"errors"
	"fmt"
)

// InputError says that a run was not started because its inputs do not fit the
// pipeline.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// RunError is the failure of a run at one of its nodes.
type RunError struct {
	Node string
	Type string
	Err  error
}

func (e *RunError) Error() string { return fmt.Sprintf("node %s (%s): %v", e.Node, e.Type, e.Err) }
func (e *RunError) Unwrap() error { return e.Err }

// ResultsError says that results could not be written. What the file held
// before is still there, and it ends with a whole line.
type ResultsError struct {
	Path string
	Err  error
}

func (e *ResultsError) Error() string {
	return fmt.Sprintf("cannot write results to %s: %v", e.Path, e.Err)
}
func (e *ResultsError) Unwrap() error { return e.Err }

// SourceError says that the rows of a batch could not be read to their end.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }
func (e *SourceError) Unwrap() error { return e.Err }

// startError is that of a start.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// unknownStart is given up without anybody knowing whether a run came of it.
type unknownStart struct {
	trace string
	err   error
}

func (e *unknownStart) Error() string {
	return fmt.Sprintf("%v; whether a run came of the start is not known: one may be going on under trace id %s", e.err, e.trace)
}
func (e *unknownStart) Unwrap() error { return e.err }

// Classes of the errors in results, beside those of spec.
const (
	classRun          = "run_failed"
	classStart        = "start_failed"
	classStatus       = "status_failed"
	classTimedOut     = "timed_out"
	classCancel       = "cancelled"
	classDenied       = "denied"        // the key, or what it may do
	classRefused      = "rate_limited"  // too many calls, until there was no time left
	classUnavailable  = "unavailable"   // the other side failed, time and again
	classConnection   = "connection"    // no answer, or not a whole one, time and again
	classBadRequest   = "bad_request"   // the call was not understood
	classUnknownStart = "unknown_start" // nobody knows whether there is a run
)

var (
	errTimeout   = errors.New("the run took longer than its timeout")
	errSuspended = errors.New("the run was suspended, and the backend cannot resume it")
)
