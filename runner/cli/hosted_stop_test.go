package cli

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// countStates counts the runs of a platform by how they stand.
func countStates(s *vectorshifttest.Server) map[runner.State]int {
	counts := map[runner.State]int{}
	for _, r := range s.Runs() {
		counts[r.State]++
	}
	return counts
}

// Runs that were left going are taken up again: no start is repeated.
func TestHostedDetach(t *testing.T) {
	for name, signal := range map[string]struct {
		syscall.Signal
		code int
	}{"SIGINT": {syscall.SIGINT, exitInterrupt}, "SIGTERM": {syscall.SIGTERM, exitTerm}} {
		t.Run(name, func(t *testing.T) {
			c := newHostedCrowd(t, 40, "")
			c.takes(-1)
			p := c.full("--on-interrupt", "detach")
			p.signal(signal.Signal)
			p.ends(signal.code, "the runs that are under way are left going")
			c.takes(0)
			c.server.Release()
			if n := len(c.server.Calls(vectorshifttest.Terminate)); n != 0 {
				t.Errorf("%d runs were terminated", n)
			}
			c.start().ends(exitOK, "crowd: 0 already done, 16 re-attached, 24 to do")
			if marked := c.whole(); marked != 0 || len(c.server.Runs()) != 40 {
				t.Errorf("%d runs, %d possible duplicates", len(c.server.Runs()), marked)
			}
		})
	}
}

// The platform may have forgotten the runs that were left going.
func TestHostedForgotten(t *testing.T) {
	c := newHostedCrowd(t, 20, "")
	c.takes(-1)
	c.killed(c.full())
	known := c.server.Runs()
	c.set(vectorshifttest.Settings{Before: func(call vectorshifttest.Call) *vectorshifttest.Failure {
		for _, r := range known {
			if call.Op == vectorshifttest.Status && call.TaskID == r.TaskID {
				return &vectorshifttest.Failure{Status: http.StatusNotFound}
			}
		}
		return nil
	}})
	c.start().ends(exitOK, "crowd: 0 already done, 16 re-attached, 4 to do")
	lines, _ := resultLines(t, c.results())
	marked := 0
	for _, l := range lines {
		if l.PossibleDuplicate {
			marked++
		}
	}
	if len(lines) != 20 || marked != hostedConcurrency || len(c.server.Runs()) != 20+hostedConcurrency {
		t.Errorf("%d lines, %d marked, %d runs", len(lines), marked, len(c.server.Runs()))
	}
}

// A signal that terminates ends all runs on the platform, also if that has to be tried
// twice; their items are run again, and are no duplicates.
func TestHostedTermination(t *testing.T) {
	c := newHostedCrowd(t, 40, "")
	c.takes(-1)
	c.server.Fail(vectorshifttest.Terminate, 5, vectorshifttest.Failure{Status: http.StatusInternalServerError})
	p := c.full()
	p.signal(syscall.SIGTERM)
	p.ends(exitTerm, "terminated: ending the runs")
	if counts := countStates(c.server); counts[runner.Running] != 0 {
		t.Errorf("runs that are left: %v", counts)
	}
	c.takes(0)
	c.start().ends(exitOK)
	if marked := c.whole(); marked != 0 || len(c.server.Runs()) != 40+hostedConcurrency {
		t.Errorf("%d runs, %d possible duplicates", len(c.server.Runs()), marked)
	}
}

// A run that takes too long is terminated on the platform.
func TestHostedTimeout(t *testing.T) {
	c := newHostedCrowd(t, 20, "  timeout: 1s\n")
	c.set(vectorshifttest.Settings{Takes: func(r vectorshifttest.Run) time.Duration {
		if r.Inputs["in"] == "row-3" || r.Inputs["in"] == "row-17" {
			return -1
		}
		return 0
	}})
	c.start().ends(exitItems, "18 succeeded", "2 timed out")
	if counts := countStates(c.server); counts[runner.Cancelled] != 2 || counts[runner.Succeeded] != 18 {
		t.Errorf("runs: %v", counts)
	}
	if lines, _ := resultLines(t, c.results()); lines["row-3"].Status != runner.TimedOut {
		t.Errorf("row-3 is %s", lines["row-3"].Status)
	}
}

// A platform that takes fewer runs at once than the batch would is not hammered, and
// all items get through, none twice.
func TestHostedFewerPlaces(t *testing.T) {
	const rows, places = 120, 4
	c := newHostedCrowd(t, rows, "")
	c.set(vectorshifttest.Settings{MaxRuns: places, Takes: func(vectorshifttest.Run) time.Duration { return 20 * time.Millisecond }})
	c.start().ends(exitOK)
	if marked := c.whole(); marked != 0 || c.server.Peak() > places {
		t.Errorf("%d possible duplicates, %d runs at once", marked, c.server.Peak())
	}
	starts := len(c.server.Calls(vectorshifttest.Start))
	t.Logf("%d starts for %d runs", starts, rows)
	if starts > 10*rows {
		t.Errorf("%d starts for %d runs", starts, rows)
	}
}

// A status that cannot be had for a while is asked for again, and nothing is started
// for it.
func TestHostedStatusFails(t *testing.T) {
	for name, f := range map[string]vectorshifttest.Failure{
		"500":     {Status: http.StatusInternalServerError},
		"refused": {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"0.01"}}},
		"cut":     {Cut: true},
		"a page":  vectorshifttest.HTML(http.StatusOK),
	} {
		t.Run(name, func(t *testing.T) {
			const rows = 24
			c := newHostedCrowd(t, rows, "")
			c.server.Fail(vectorshifttest.Status, 4*rows, f)
			c.start().ends(exitOK)
			if marked := c.whole(); marked != 0 || len(c.server.Calls(vectorshifttest.Start)) != rows {
				t.Errorf("%d starts, %d possible duplicates", len(c.server.Calls(vectorshifttest.Start)), marked)
			}
		})
	}
}
