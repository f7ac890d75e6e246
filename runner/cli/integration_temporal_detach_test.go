//go:build integration

package cli

import (
	"syscall"
	"testing"
	"time"

	"nightshift/runner/temporal/flow"
)

// TestIntegrationTemporalDetach hands a batch over, and leaves it: it goes on, and
// another process has its results.
func TestIntegrationTemporalDetach(t *testing.T) {
	f := newFleet(t, 200)
	f.command("attach", "batch.yaml").ends(exitUsage, "crowd: nothing was handed over")
	f.run("--detach").ends(exitOK, "crowd: handed over as batch-", "nightshift attach")
	f.run("--detach").ends(exitOK, "nothing is handed over, as a batch is under way")
	p := f.command("attach", "batch.yaml")
	p.until("no worker polls task queue nightshift of namespace default")
	f.worker()
	f.came(p, 60)
	f.command("run", "batch.yaml").ends(exitLocked)
	p.signal(syscall.SIGINT)
	p.ends(exitInterrupt, "interrupted: the batch goes on")
	f.until("the batch has gone on to its end", nil, func() bool { return f.calls() == 200 && f.open == 0 })
	f.idle()
	f.command("attach", "batch.yaml").ends(exitOK, "200 succeeded")
	f.whole()
	f.command("attach", "batch.yaml").ends(exitOK, "crowd: nothing is under way")
	if n, passes := f.repeats(), f.passes(); n != 0 || len(passes) != 1 {
		t.Errorf("%d calls were made again; passes: %v", n, passes)
	}
}

// TestIntegrationTemporalPaused pauses a batch: shards under way end, and no more are
// begun until it goes on.
func TestIntegrationTemporalPaused(t *testing.T) {
	f := newFleet(t, 400)
	f.worker()
	p := f.run()
	f.came(p, 100)
	f.command("pause", "batch.yaml").ends(exitOK, "is paused")
	pass := f.pass()
	f.until("no shard is under way", p, func() bool {
		progress := f.progress(pass)
		return progress.Paused && progress.Running == 0
	})
	p.until("the batch is paused")
	f.mu.Lock()
	came := f.calls()
	f.mu.Unlock()
	if came%fleetShard != 0 || came == 400 {
		t.Errorf("%d calls came before no shard was under way, want whole shards, and not all", came)
	}
	f.command("resume", "batch.yaml").ends(exitOK, "goes on")
	p.ends(exitOK, "400 succeeded")
	f.whole()
	if n := f.repeats(); n != 0 {
		t.Errorf("%d calls were made again", n)
	}
	f.command("pause", "batch.yaml").ends(exitUsage, "nothing of crowd is under way")
	f.idle()
}

// TestIntegrationTemporalDrained drains a batch by a first Ctrl-C: the shards under way
// end, and the next invocation has the rest.
func TestIntegrationTemporalDrained(t *testing.T) {
	f := newFleet(t, 400)
	f.worker()
	f.hold(100)
	p := f.run()
	f.underWay(fleetConcurrency)
	p.signal(syscall.SIGINT)
	pass := f.pass()
	f.until("the batch knows that it is to end", p, func() bool { return f.progress(pass).Stopped.Why == flow.StoppedInterrupted })
	f.release()
	p.ends(exitInterrupt, "interrupted: no more shards are begun", "interrupted")
	lines, tally := resultLines(t, f.results())
	if n := f.calls(); len(lines) != n || n%fleetShard != 0 || n == 400 || tally.NotSucceeded() > 0 {
		t.Errorf("%d calls were made, and %d items have a line", n, len(lines))
	}
	f.idle()
	f.run().ends(exitOK)
	f.whole()
	if n := f.repeats(); n != 0 {
		t.Errorf("%d calls were made again", n)
	}
	f.idle()
}

// progress is how far a pass is.
func (f *fleet) progress(pass string) (p flow.Progress) {
	f.t.Helper()
	answer, err := f.client().QueryWorkflow(f.t.Context(), pass, "", flow.ProgressQuery)
	if err == nil {
		err = answer.Get(&p)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// TestIntegrationTemporalNoServer has no cluster to hand anything to.
func TestIntegrationTemporalNoServer(t *testing.T) {
	f := newFleet(t, 20)
	f.server.Kill()
	began := time.Now()
	for _, command := range [][]string{{"run", "batch.yaml"}, {"worker"}, {"start", "batch.yaml", "--input", "in=a"}} {
		f.command(command...).ends(exitBackend, f.server.Address, "temporal server start-dev")
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("to find that out took %v", took)
	}
}
