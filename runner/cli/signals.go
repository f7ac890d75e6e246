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

// signals turns what the user and the system ask for into ends of a run: the
// first SIGINT drains, the second terminates, the third leaves at once. SIGTERM
// terminates.
type signals struct {
	ctx         context.Context // done: terminate what runs or, with the cause runner.ErrDetach, leave it going
	cancel      context.CancelCauseFunc
	drain       chan struct{} // closed: start no more
	onInterrupt string
	say         func(string)
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
	s := &signals{drain: make(chan struct{}), onInterrupt: onInterrupt, say: say}
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
				if sig == syscall.SIGINT {
					s.interrupt()
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

func (s *signals) interrupt() {
	s.interrupts++
	switch {
	case s.interrupts == 1 && s.onInterrupt == onInterruptDrain:
		close(s.drain)
		s.say("nightshift: interrupted: no more runs are started, those under way may end; interrupt again to terminate them")
	case s.interrupts == 1 && s.onInterrupt == onInterruptDetach:
		s.say("nightshift: interrupted: the runs that are under way are left going; run again to pick them up")
		s.cancel(runner.ErrDetach)
	case s.interrupts == 1:
		s.say("nightshift: interrupted: terminating the runs that are under way")
		s.cancel(nil)
	case s.interrupts == 2 && s.onInterrupt == onInterruptDrain:
		s.say("nightshift: interrupted again: terminating the runs that are under way")
		s.cancel(nil)
	default:
		os.Exit(exitInterrupt)
	}
}

func (s *signals) terminate() {
	if s.onInterrupt == onInterruptDetach {
		s.say("nightshift: terminated: the runs that are under way are left going; run again to pick them up")
		s.cancel(fmt.Errorf("%w, %w", terminated{}, runner.ErrDetach))
		return
	}
	s.say("nightshift: terminated: ending the runs that are under way")
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
