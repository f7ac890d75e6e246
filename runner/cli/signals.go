package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// signals turns what the user and the system ask for into ends of a run: the
// first SIGINT drains, the second terminates, the third leaves at once. SIGTERM
// terminates.
type signals struct {
	ctx   context.Context // done: terminate what runs
	drain chan struct{}   // closed: start no more
	came  atomic.Bool
	stop  func()
}

// terminated is the cause of a context that SIGTERM ended.
type terminated struct{}

func (terminated) Error() string { return "terminated" }

// watchSignals begins to handle signals, SIGINT also where it was inherited as
// ignored, as it is under cron and in the background of a shell. A terminal that
// is closed (SIGHUP) terminates, unless nohup has asked to ignore that.
func watchSignals(parent context.Context, say func(string)) *signals {
	ctx, cancel := context.WithCancelCause(parent)
	s := &signals{ctx: ctx, drain: make(chan struct{})}
	received := make(chan os.Signal, 4)
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(received, syscall.SIGHUP)
	}
	done := make(chan struct{})
	s.stop = func() {
		signal.Stop(received)
		close(done)
		cancel(nil)
	}
	go func() {
		interrupts := 0
		for {
			select {
			case sig := <-received:
				s.came.Store(true)
				if sig != syscall.SIGINT {
					say("nightshift: terminated: ending the runs that are under way")
					cancel(terminated{})
					continue
				}
				switch interrupts++; interrupts {
				case 1:
					close(s.drain)
					say("nightshift: interrupted: no more runs are started, those under way may end; interrupt again to terminate them")
				case 2:
					say("nightshift: interrupted again: terminating the runs that are under way")
					cancel(nil)
				default:
					os.Exit(exitInterrupt)
				}
			case <-done:
				return
			}
		}
	}()
	return s
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
