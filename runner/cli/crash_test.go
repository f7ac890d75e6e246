package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
)

// A batch is killed at thirty moments and resumed each time; nothing is lost,
// and nothing is paid twice but what was under way.
func TestKilledAndResumed(t *testing.T) {
	rows, kills, aboutEnd := 2000, 30, 4
	if testing.Short() {
		rows, kills, aboutEnd = 400, 8, 2
	}
	c := newCrowd(t, rows, true, 0)
	c.killMany(kills-aboutEnd, 2*rows/kills)
	if c.kills < kills-aboutEnd {
		t.Errorf("killed %d times, want %d", c.kills, kills-aboutEnd)
	}
	for range aboutEnd { // while the last items end, and while the files are closed
		done, _ := resultLines(t, c.results())
		c.killAfter(rows-len(done), time.Duration(c.random.IntN(12))*time.Millisecond)
	}
	done, _ := resultLines(t, c.results())
	c.start().ends(exitOK, fmt.Sprintf("crowd: %d already done", len(done)))
	t.Logf("%d kills, %d repeats", c.kills, c.repeats())
	if n, most := c.repeats(), c.kills*crowdConcurrency; n < 1 || n > most {
		t.Errorf("%d questions were asked again, want up to %d", n, most)
	}
	c.whole()
}

// The same, however results are forced onto the disk, and however items get
// their ids.
func TestKilledWhateverTheIDs(t *testing.T) {
	const rows, kills = 240, 6
	for _, fsync := range []string{"each", "off"} {
		for name, keyed := range map[string]bool{"keys": true, "hashes": false} {
			t.Run(fsync+" "+name, func(t *testing.T) {
				c := newCrowd(t, rows, keyed, 0)
				c.killMany(kills, rows/kills, "--fsync", fsync)
				c.start("--fsync", fsync).ends(exitOK, "already done, 0 re-attached, ")
				if n, most := c.repeats(), c.kills*crowdConcurrency; c.kills < kills || n < 1 || n > most {
					t.Errorf("%d questions were asked again, want up to %d", n, most)
				}
				c.whole()
			})
		}
	}
}

// Items that failed are run again; kills in the middle neither lose their first
// lines, nor give them second ones.
func TestKilledWhileRetrying(t *testing.T) {
	const rows, bad, kills = 600, 240, 7
	c := newCrowd(t, rows, true, 0)
	c.failed.Store(true)
	c.start().ends(exitItems, "240 failed")
	c.failed.Store(false)
	c.killMany(kills-1, bad/kills, "--retry-failed=bad_request")
	c.killAfter(4*crowdConcurrency, 0, "--retry-failed=bad_request") // some have ended by then
	if c.kills < kills || !slices.Contains(c.files(), "crowd.jsonl.retry") {
		t.Errorf("killed %d times, want %d; the last one left %v", c.kills, kills, c.files())
	}
	lines, _ := resultLines(t, c.results())
	if len(lines) != rows {
		t.Errorf("%d items have a line, want %d", len(lines), rows)
	}
	if n, most := c.repeats(), c.kills*crowdConcurrency+bad; n <= 4*crowdConcurrency || n > most {
		t.Errorf("%d questions were asked again, want more than %d and up to %d", n, 4*crowdConcurrency, most)
	}

	// Without the flag nothing more is run again, but what was is kept.
	c.model.takeRequests()
	c.start().ends(exitItems, "crowd: 600 already done, nothing to do, ", "; --retry-failed runs those again")
	_, tally := resultLines(t, c.results())
	left := tally.Statuses[runner.Failed]
	if n := c.model.takeRequests(); left == 0 || left >= bad || n != 0 {
		t.Errorf("%d failed items are left of %d; the model was asked %d times", left, bad, n)
	}
	c.start("--retry-failed").ends(exitOK, fmt.Sprintf("crowd: %d already done, 0 re-attached, %d to do (%d again)", rows-left, left, left))
	c.whole()
	lines, _ = resultLines(t, c.results())
	again := 0
	for _, l := range lines {
		if l.Attempts > 1 {
			again++
		}
	}
	if again != bad {
		t.Errorf("%d items have had several attempts, want those %d that failed", again, bad)
	}
}

// The join of new lines with those that stay is cut off: the results are the old
// ones or the new ones, and the next invocation goes on from there.
func TestKilledWhileJoining(t *testing.T) {
	const rows = 100
	c := newCrowd(t, rows, true, 1<<14)
	c.failed.Store(true)
	c.start().ends(exitItems, "40 failed")
	cut := 0
	for range 6 {
		p := c.start("--retry-failed", "--only", "row-0")
		for joining := false; !joining; {
			select {
			case <-p.ended:
				joining = true
			default:
				joining = slices.ContainsFunc(c.files(), func(name string) bool { return strings.HasPrefix(name, "crowd.jsonl.new-") })
			}
		}
		p.kill()
		names := strings.Join(c.files(), " ")
		if strings.Contains(names, "crowd.jsonl.new-") && strings.Contains(names, "crowd.jsonl.retry") {
			cut++
		}
		if lines, _ := resultLines(t, c.results()); len(lines) != rows {
			t.Fatalf("%d items have a line, want %d", len(lines), rows)
		}
	}
	if cut == 0 {
		t.Error("no join was cut off")
	}
	t.Logf("%d joins were cut off", cut)
	c.failed.Store(false)
	c.start("--retry-failed").ends(exitOK, "crowd: 60 already done, 0 re-attached, 40 to do (40 again)")
	c.whole()
}
