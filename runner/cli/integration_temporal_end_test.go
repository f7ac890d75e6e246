//go:build integration

package cli

import (
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endReaches is how soon what is ended must have reached the calls that are open.
const endReaches = 5 * time.Second

// hangsUp waits until all calls have hung up, and holds how long it took against the bar.
func (f *fleet) hangsUp(since time.Time, calls int) {
	f.t.Helper()
	f.until("the open calls have hung up", nil, func() bool { return f.open == 0 })
	took := time.Since(since)
	f.t.Logf("the calls hung up after %v", took.Round(time.Millisecond))
	f.mu.Lock()
	defer f.mu.Unlock()
	if took > endReaches || f.hungUp != calls {
		f.t.Errorf("%d of %d calls hung up, after %v; want all within %v", f.hungUp, calls, took, endReaches)
	}
}

// TestIntegrationTemporalEnded ends a batch in the middle, in every way there is: the
// calls that are open hang up, nothing is left running, what had ended is kept, and
// the batch can be run to its end.
func TestIntegrationTemporalEnded(t *testing.T) {
	for name, test := range map[string]struct {
		flags []string
		end   func(t *testing.T, f *fleet, client *process) // begins it
		code  int
		said  string
	}{
		"cancel": {nil, func(_ *testing.T, f *fleet, _ *process) {
			f.command("cancel", "batch.yaml").ends(exitOK, "is cancelled")
		}, exitStopped, "it was cancelled"},
		"runs --terminate": {nil, func(_ *testing.T, f *fleet, _ *process) {
			f.command("runs", "batch.yaml", "--terminate").ends(exitOK)
		}, exitStopped, "it was cancelled"},
		"terminated from outside": {nil, func(t *testing.T, f *fleet, _ *process) {
			out, err := exec.CommandContext(t.Context(), tool(t, "TEMPORAL"), "workflow", "terminate", "--address", f.server.Address, "--workflow-id", f.pass(), "--reason", "it costs too much").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}, exitStopped, "terminated from outside (it costs too much)"},
		"SIGTERM": {nil, func(_ *testing.T, _ *fleet, p *process) {
			p.signal(syscall.SIGTERM)
		}, exitTerm, "terminated: cancelling the batch"},
		"Ctrl-C twice": {nil, func(_ *testing.T, _ *fleet, p *process) {
			p.signal(syscall.SIGINT)
			p.until("interrupt again")
			p.signal(syscall.SIGINT)
		}, exitInterrupt, "interrupted again: cancelling the batch"},
		"Ctrl-C that terminates": {[]string{"--on-interrupt", "terminate"}, func(_ *testing.T, _ *fleet, p *process) {
			p.signal(syscall.SIGINT)
		}, exitInterrupt, "interrupted: cancelling the batch"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 160)
			f.worker()
			f.hold(40)
			p := f.run(test.flags...)
			f.underWay(fleetConcurrency)
			f.settled()
			began := time.Now()
			test.end(t, f, p)
			f.hangsUp(began, fleetConcurrency)
			p.ends(test.code, test.said)
			t.Logf("the client ended after %v", time.Since(began).Round(time.Millisecond))
			f.idle()

			f.mu.Lock()
			answered := f.calls() - fleetConcurrency
			f.mu.Unlock()
			lines, tally := resultLines(t, f.results())
			if len(lines) != answered || tally.NotSucceeded() > 0 {
				t.Errorf("%d items have a line, %d did not succeed; %d calls were answered", len(lines), tally.NotSucceeded(), answered)
			}
			f.release()
			f.run().ends(exitOK)
			f.whole()
			if n := f.repeats(); n != fleetConcurrency {
				t.Errorf("%d calls were made again, want those %d that had hung up", n, fleetConcurrency)
			}
			f.idle()
		})
	}
}

// TestIntegrationTemporalSingle starts single runs, and looks at them from processes of
// their own.
func TestIntegrationTemporalSingle(t *testing.T) {
	f := newFleet(t, 0)
	f.worker()
	start := func(text string) (handle string) {
		t.Helper()
		p := f.command("start", "batch.yaml", "--input", "in="+text)
		p.ends(exitOK)
		f.write(text+".json", p.out.String())
		return text + ".json"
	}
	ask := func(command, handle string, code int) (answer struct {
		TaskID  string `json:"task_id"`
		Status  string
		Outputs map[string]any
	}) {
		t.Helper()
		p := startProcess(t, f.dir, `"$@" < `+handle, f.env(), command)
		p.ends(code)
		if err := json.Unmarshal([]byte(p.out.String()), &answer); err != nil && command != "terminate" {
			t.Fatalf("%s: %v", p.out.String(), err)
		}
		return answer
	}

	f.hold(0)
	good, doomed := start("good"), start("doomed")
	f.underWay(2)
	if a := ask("status", doomed, exitOK); a.Status != "running" {
		t.Errorf("a run that waits for its model is %s", a.Status)
	}
	began := time.Now()
	ask("terminate", doomed, exitOK)
	f.until("one call has hung up", nil, func() bool { return f.open == 1 && f.hungUp == 1 })
	if took := time.Since(began); took > endReaches {
		t.Errorf("the call of a terminated run hung up after %v, want within %v", took, endReaches)
	}
	if a := ask("result", doomed, exitItems); a.Status != "cancelled" {
		t.Errorf("a terminated run is %s", a.Status)
	}
	ask("terminate", doomed, exitOK)

	f.release()
	a := ask("result", good, exitOK)
	if a.Status != "succeeded" || a.Outputs["out"] != "You said: good" {
		t.Errorf("the run: %+v", a)
	}
	bare := f.command("status", a.TaskID, "--backend", "temporal")
	if bare.ends(exitOK); !strings.Contains(bare.out.String(), `"status":"succeeded"`) {
		t.Errorf("by its id alone: %s", bare.out.String())
	}
	f.command("status", "--backend", "temporal", "run-that-never-was").ends(exitUsage, "there is no run run-that-never-was")
	f.idle()
}
