package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"nightshift/runner"
)

// What the first SIGINT does to the runs that are under way.
const (
	onInterruptDrain     = "drain"     // they may end
	onInterruptTerminate = "terminate" // they are terminated
	onInterruptDetach    = "detach"    // they go on, and the next invocation picks them up
)

var onInterrupts = []string{onInterruptDrain, onInterruptTerminate, onInterruptDetach}

// signalWords is what is said of signals.
type signalWords struct {
	drain      string // of the first SIGINT
	detach     string
	terminate  string
	again      string // of a second one
	terminated string // of SIGTERM
	detached   string // likewise, where runs are left going
}

// runWords are those where runs are started one by one.
var runWords = signalWords{
	drain:      "interrupted: no more runs are started, those under way may end; interrupt again to terminate them",
	detach:     "interrupted: the runs that are under way are left going; run again to pick them up",
	terminate:  "interrupted: terminating the runs that are under way",
	again:      "interrupted again: terminating the runs that are under way",
	terminated: "terminated: ending the runs that are under way",
	detached:   "terminated: the runs that are under way are left going; run again to pick them up",
}

// passWords are those where a batch was handed over to a cluster.
var passWords = signalWords{
	drain:      "interrupted: no more runs are started, those under way may end; interrupt again to cancel them",
	detach:     "interrupted: the batch goes on; nightshift attach, or run, follows it again",
	terminate:  "interrupted: cancelling the batch",
	again:      "interrupted again: cancelling the batch",
	terminated: "terminated: cancelling the batch",
	detached:   "terminated: the batch goes on; nightshift attach, or run, follows it again",
}

// signals turns what the user and the system ask for into ends of a run: the
// first SIGINT drains, the second terminates, the third leaves at once. SIGTERM
// terminates.
type signals struct {
	ctx         context.Context // done: terminate what runs or, with the cause runner.ErrDetach, leave it going
	cancel      context.CancelCauseFunc
	drain       chan struct{} // closed: start no more
	onInterrupt string
	words       signalWords
	say         func(string)
	alike       bool        // SIGTERM does what SIGINT does
	starting    atomic.Bool // runs may be started; before that, nothing is under way
	interrupts  int
	came        atomic.Bool
	stop        func()
}

// terminated is the cause of a context that SIGTERM ended.
type terminated struct{}

func (terminated) Error() string { return "terminated" }

// watchSignals begins to handle signals, SIGINT also where it was inherited as
// ignored, as it is under cron and in the background of a shell. A terminal that
// is closed (SIGHUP) terminates, unless nohup has asked to ignore that.
func watchSignals(parent context.Context, onInterrupt string, say func(string)) *signals {
	s := &signals{drain: make(chan struct{}), onInterrupt: onInterrupt, words: runWords, say: say}
	s.ctx, s.cancel = context.WithCancelCause(parent)
	received := make(chan os.Signal, 4)
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(received, syscall.SIGHUP)
	}
	done := make(chan struct{})
	s.stop = func() {
		signal.Stop(received)
		close(done)
		s.cancel(nil)
	}
	go func() {
		for {
			select {
			case sig := <-received:
				if !s.starting.Load() {
					s.leave(sig)
				}
				s.came.Store(true)
				if sig == syscall.SIGINT || s.alike {
					s.interrupt(sig)
				} else {
					s.terminate()
				}
			case <-done:
				return
			}
		}
	}()
	return s
}

// leave ends the process before anything was run: the batches are looked at.
func (s *signals) leave(sig os.Signal) {
	s.say("nightshift: interrupted before anything was run")
	if sig == syscall.SIGINT {
		os.Exit(exitInterrupt)
	}
	os.Exit(exitTerm)
}

func (s *signals) interrupt(sig os.Signal) {
	var cause error
	code := exitInterrupt
	if sig != syscall.SIGINT {
		cause, code = terminated{}, exitTerm
	}
	s.interrupts++
	switch {
	case s.interrupts == 1 && s.onInterrupt == onInterruptDrain:
		close(s.drain)
		s.say("nightshift: " + s.words.drain)
	case s.interrupts == 1 && s.onInterrupt == onInterruptDetach:
		s.say("nightshift: " + s.words.detach)
		s.cancel(runner.ErrDetach)
	case s.interrupts == 1:
		s.say("nightshift: " + s.words.terminate)
		s.cancel(nil)
	case s.interrupts == 2 && s.onInterrupt == onInterruptDrain:
		s.say("nightshift: " + s.words.again)
		s.cancel(cause)
	default:
		os.Exit(code)
	}
}

func (s *signals) terminate() {
	if s.onInterrupt == onInterruptDetach {
		s.say("nightshift: " + s.words.detached)
		s.cancel(fmt.Errorf("%w, %w", terminated{}, runner.ErrDetach))
		return
	}
	s.say("nightshift: " + s.words.terminated)
	s.cancel(terminated{})
}

// interrupted tells whether a signal came.
func (s *signals) interrupted() bool { return s.came.Load() }

// interruptCode is the exit code of a run that was interrupted.
func interruptCode(ctx context.Context) int {
	if errors.Is(context.Cause(ctx), terminated{}) {
		return exitTerm
	}
	return exitInterrupt
}
