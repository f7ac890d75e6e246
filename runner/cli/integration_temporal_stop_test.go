//go:build integration

package cli

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"nightshift/runner"
)

// overshoot is by how much a limit of a batch may be passed: the items of the other
// shards that are under way, and the runs at once in the shard that finds out.
const overshoot = (fleetWindow-1)*fleetShard + fleetConcurrency/fleetWindow - 1

// TestIntegrationTemporalLimits holds limits of a batch, which are those of all its
// shards together.
func TestIntegrationTemporalLimits(t *testing.T) {
	for name, test := range map[string]struct {
		limit  string
		refuse string
		said   string
		held   func(tally *runner.Tally) int
		most   int
	}{
		"failures": {"run.stop.failures=8", "poor", "8 items have not succeeded", func(tally *runner.Tally) int { return tally.NotSucceeded() }, 8},
		"tokens": {"run.stop.budget.tokens=7000", "", "run.stop.budget.tokens is 7000", func(tally *runner.Tally) int {
			return int(tally.InputTokens+tally.OutputTokens) / 70
		}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 800)
			f.refuse(test.refuse)
			f.worker()
			f.worker()
			p := f.run("--set", test.limit)
			p.ends(exitStopped, test.said)
			lines, tally := resultLines(t, f.results())
			held := test.held(tally)
			t.Logf("%d items; %d of at most %d\n%s", len(lines), held, test.most, p.err.String())
			if held < test.most || held > test.most+overshoot || len(lines) != f.count() {
				t.Errorf("%d of at most %d, want an overshoot of at most %d; %d items have a line", held, test.most, overshoot, len(lines))
			}
			f.idle()

			f.refuse("")
			f.run("--retry-failed").ends(exitOK)
			f.whole()
			if n, want := f.count(), 800-len(lines)+tally.NotSucceeded(); n != want {
				t.Errorf("to go on, %d calls were made, want %d", n, want)
			}
		})
	}
}

// TestIntegrationTemporalDeadline ends a batch whose time is up: what is under way may
// end.
func TestIntegrationTemporalDeadline(t *testing.T) {
	f := newFleet(t, 400)
	f.takes = 200 * time.Millisecond
	f.worker()
	f.run("--set", "run.deadline=2s").ends(exitStopped, "deadline")
	lines, tally := resultLines(t, f.results())
	if n := f.count(); n == 0 || n == 400 || len(lines) != n || tally.NotSucceeded() > 0 {
		t.Errorf("%d calls were made, %d items have a line, %d did not succeed", n, len(lines), tally.NotSucceeded())
	}
	f.idle()
	f.mu.Lock()
	f.takes = 0
	f.mu.Unlock()
	f.run().ends(exitOK)
	f.whole()
}

// TestIntegrationTemporalDenied gives workers a key that is wrong: the batch ends at
// once, and its items are as if they had not been tried.
func TestIntegrationTemporalDenied(t *testing.T) {
	f := newFleet(t, 160)
	f.denied = true
	w := f.worker()
	f.run().ends(exitBackend, "401")
	if lines, _ := resultLines(t, f.results()); len(lines) != 0 {
		t.Errorf("%d items have a line", len(lines))
	}
	if n := f.count(); n > 2*fleetConcurrency {
		t.Errorf("%d calls were made with a key that is wrong", n)
	}
	f.idle()
	select {
	case <-w.ended:
		t.Errorf("the worker has ended:\n%s", w.err.String())
	default:
	}
	f.mu.Lock()
	f.denied = false
	f.mu.Unlock()
	f.run().ends(exitOK, "160 succeeded")
	f.whole()
}

// TestIntegrationTemporalLacking has workers without what the batch file needs: it says
// which, and goes on once a worker has it.
func TestIntegrationTemporalLacking(t *testing.T) {
	withSecret := strings.NewReplacer("pipeline:\n", "secrets: [TONE]\npipeline:\n", `prompt: "`, `prompt: "${TONE} `).Replace(fleetBatch)
	for name, test := range map[string]struct{ batch, variable, value string }{
		"key of a model": {fleetBatch, "OPENAI_API_KEY", "sk-velvet-and-dry"},
		"secret":         {withSecret, "TONE", "velvet-and-dry"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 40)
			f.write("batch.yaml", test.batch)
			with := test.variable + "=" + test.value
			run := func() *process { return startProcess(t, f.dir, "", append(f.env(), with), "run", "batch.yaml") }
			w := f.worker(test.variable + "=")
			p := run()
			p.ends(exitStopped, "worker "+w.identity(), test.variable)
			if n := f.count(); n != 0 {
				t.Errorf("%d calls were made", n)
			}
			f.idle()
			w.signal(syscall.SIGTERM)
			w.ends(exitOK)

			w = f.worker(with)
			again := run()
			again.ends(exitOK)
			f.whole()
			for _, text := range []string{p.err.String(), again.err.String(), w.err.String(), f.kept()} {
				if strings.Contains(text, test.value) {
					t.Errorf("the value of %s is in what was said, or is kept:\n%.2000s", test.variable, text)
				}
			}
		})
	}
}
