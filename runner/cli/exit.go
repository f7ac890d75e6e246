package cli

import (
	"errors"

	"nightshift/runner"
)

// Exit codes. Where several apply, the gravest is given.
const (
	exitOK        = 0
	exitItems     = 1   // some items did not succeed
	exitUsage     = 2   // wrong usage, or an invalid batch file
	exitStopped   = 3   // stopped by a limit
	exitBackend   = 4   // the backend cannot be reached, or refused us
	exitLocked    = 5   // another nightshift writes these results
	exitResults   = 6   // results cannot be written
	exitInterrupt = 130 // by SIGINT
	exitTerm      = 143 // by SIGTERM
)

// exitError is an error with the exit code that it asks for; without err, all
// has been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "exit"
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

// codeOf is the exit code of one batch, of whose items so many have failed: also of
// those that had a result already, but not of those that it no longer has.
func codeOf(outcome runner.Outcome, failed int, err error, interruptCode int) int {
	switch _, unwritten := errors.AsType[*runner.ResultsError](err); {
	case unwritten:
		return exitResults
	case ofBackend(err):
		return exitBackend
	case err != nil:
		return exitUsage
	case outcome.Stopped == runner.Interrupted:
		return interruptCode
	case outcome.Stopped == runner.Unreachable || outcome.Stopped == runner.Denied:
		return exitBackend
	case outcome.Stopped != runner.NotStopped:
		return exitStopped
	}
	if failed > 0 {
		return exitItems
	}
	return exitOK
}

// gravity orders exit codes from harmless to grave.
var gravity = map[int]int{exitOK: 0, exitItems: 1, exitStopped: 2, exitUsage: 3, exitBackend: 4, exitLocked: 5, exitResults: 6, exitInterrupt: 7, exitTerm: 8}

func gravest(a, b int) int {
	if gravity[a] >= gravity[b] {
		return a
	}
	return b
}

// ofBackend tells whether an error is that of a call of a backend.
func ofBackend(err error) bool {
	_, refused := errors.AsType[*runner.APIError](err)
	_, broken := errors.AsType[*runner.ConnectionError](err)
	return refused || broken
}
