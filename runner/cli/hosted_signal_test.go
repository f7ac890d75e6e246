package cli

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// A signal comes while all starts are waited for. What they come to is heeded: runs are
// terminated or left going as was asked for, and only a start whose answer is lost makes
// a possible duplicate.
func TestHostedSignalDuringStarts(t *testing.T) {
	type outcome struct{ going, lines, marked bool } // of the runs that were about to be started
	none, ended, leftGoing, inDoubt := outcome{}, outcome{lines: true}, outcome{going: true}, outcome{going: true, marked: true}
	never := func(vectorshifttest.Run) time.Duration { return -1 }
	refused := vectorshifttest.RetryAfter(1)
	busy := vectorshifttest.Failure{Status: http.StatusServiceUnavailable}
	cut := vectorshifttest.Failure{Cut: true, Done: true}
	for name, test := range map[string]struct {
		flags  []string
		signal syscall.Signal
		said   string
		answer *vectorshifttest.Failure // to the starts that were under way; nil: as they are
		takes  func(vectorshifttest.Run) time.Duration
		of     outcome
	}{
		"terminated":           {nil, syscall.SIGTERM, "terminated: ending the runs", nil, never, none},
		"interrupted":          {[]string{"--on-interrupt", "terminate"}, syscall.SIGINT, "interrupted: terminating", nil, never, none},
		"left going":           {[]string{"--on-interrupt", "detach"}, syscall.SIGINT, "left going", nil, never, leftGoing},
		"drained":              {nil, syscall.SIGINT, "those under way may end", nil, nil, ended},
		"refused, terminated":  {nil, syscall.SIGTERM, "terminated: ending the runs", &refused, nil, none},
		"refused, drained":     {nil, syscall.SIGINT, "those under way may end", &refused, nil, none},
		"busy, left going":     {[]string{"--on-interrupt", "detach"}, syscall.SIGTERM, "left going", &busy, nil, none},
		"lost, terminated":     {nil, syscall.SIGTERM, "terminated: ending the runs", &cut, never, inDoubt},
		"lost, and left going": {[]string{"--on-interrupt", "detach"}, syscall.SIGINT, "left going", &cut, never, inDoubt},
	} {
		t.Run(name, func(t *testing.T) {
			c := newHostedCrowd(t, 40, "")
			answered := make(chan struct{})
			c.set(vectorshifttest.Settings{Takes: test.takes, Before: func(call vectorshifttest.Call) *vectorshifttest.Failure {
				if call.Op != vectorshifttest.Start {
					return nil
				}
				<-answered
				return test.answer
			}})
			p := c.start(test.flags...)
			c.underWay(p, hostedConcurrency)
			p.signal(test.signal)
			p.until(test.said)
			close(answered)
			code := exitInterrupt
			if test.signal == syscall.SIGTERM {
				code = exitTerm
			}
			p.ends(code)
			starts := len(c.server.Calls(vectorshifttest.Start)) // one more may have come before the signal counted
			all := func(yes bool) int {
				if yes {
					return starts
				}
				return 0
			}
			if going, lines := countStates(c.server)[runner.Running], len(c.ended()); going != all(test.of.going) || lines != all(test.of.lines) {
				t.Errorf("%d runs are left going after %d starts, and %d items have ended; it said\n%s", going, starts, lines, p.err.String())
			}
			c.takes(0)
			c.server.Release()
			c.start().ends(exitOK)
			if marked := c.whole(); marked != all(test.of.marked) {
				t.Errorf("%d possible duplicates, and %d starts", marked, starts)
			}
		})
	}
}

// The calls that terminate runs have no good answer, although they have come to
// something, and the process is killed over it: the items are run again.
func TestHostedKilledWhileTerminating(t *testing.T) {
	for name, answer := range map[string]vectorshifttest.Failure{
		"504":   {Status: http.StatusGatewayTimeout, Done: true},
		"cut":   {Cut: true, Done: true},
		"never": {Delay: vectorshifttest.Forever},
	} {
		t.Run(name, func(t *testing.T) {
			c := newHostedCrowd(t, 40, "")
			c.takes(-1)
			c.server.Fail(vectorshifttest.Terminate, -1, answer)
			p := c.full()
			p.signal(syscall.SIGTERM)
			for countStates(c.server)[runner.Cancelled] < hostedConcurrency {
				select {
				case <-p.ended:
					t.Fatalf("it has ended:\n%s", p.err.String())
				case <-time.After(time.Millisecond):
				}
			}
			c.killed(p)
			c.server.Mend()
			c.takes(0)
			starts := len(c.server.Calls(vectorshifttest.Start))
			c.command("runs", "batch.yaml", "--adopt").ends(exitOK, "16 runs are not adopted: 16 ended by an interrupt, and run starts their items again")
			if n := len(c.server.Calls(vectorshifttest.Start)); n != starts || len(c.ended()) != 0 {
				t.Errorf("--adopt started %d runs, and wrote %d results", n-starts, len(c.ended()))
			}
			c.start().ends(exitOK)
			if marked := c.whole(); marked != 0 || len(c.server.Runs()) != 40+hostedConcurrency {
				t.Errorf("%d runs, %d possible duplicates", len(c.server.Runs()), marked)
			}
		})
	}
}

// Runs have ended that were not looked at since: a signal that terminates finds
// their results, and terminates nothing.
func TestHostedEndedUnseen(t *testing.T) {
	for name, signals := range map[string][]syscall.Signal{"SIGTERM": {syscall.SIGTERM}, "SIGINT twice": {syscall.SIGINT, syscall.SIGINT}} {
		t.Run(name, func(t *testing.T) {
			c := newHostedCrowd(t, 40, "")
			c.takes(-1)
			p := c.full("--set", "run.poll_interval=1m")
			c.looked(p)
			c.server.Release()
			for _, s := range signals {
				p.signal(s)
				if s == syscall.SIGINT {
					p.until("nightshift: interrupted")
				}
			}
			<-p.ended
			lines, tally := resultLines(t, c.results())
			if len(lines) != hostedConcurrency || tally.NotSucceeded() > 0 {
				t.Errorf("%d items have ended, %d did not succeed", len(lines), tally.NotSucceeded())
			}
			c.takes(0)
			c.start().ends(exitOK, "crowd: 16 already done, 0 re-attached, 24 to do")
			if marked := c.whole(); marked != 0 || countStates(c.server)[runner.Succeeded] != 40 {
				t.Errorf("runs: %v; %d possible duplicates", countStates(c.server), marked)
			}
		})
	}
}

// looked waits until each run was looked at.
func (c *hostedCrowd) looked(p *process) {
	c.t.Helper()
	for unseen := true; unseen; {
		unseen = false
		for _, r := range c.server.Runs() {
			unseen = unseen || r.Looks == 0
		}
		select {
		case <-p.ended:
			c.t.Fatalf("it has ended:\n%s", p.err.String())
		case <-time.After(time.Millisecond):
		}
	}
}

// A run that ends in its time, but between two looks that are further apart, has
// succeeded.
func TestHostedTimeoutBeforeTheNextLook(t *testing.T) {
	c := newHostedCrowd(t, hostedConcurrency, "")
	c.takes(200 * time.Millisecond)
	c.start("--set", "run.poll_interval=1m", "--set", "run.timeout=1s").ends(exitOK, "16 succeeded")
	if marked := c.whole(); marked != 0 || countStates(c.server)[runner.Succeeded] != hostedConcurrency {
		t.Errorf("runs: %v; %d possible duplicates", countStates(c.server), marked)
	}
}
