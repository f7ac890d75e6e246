//go:build integration

package cli

import (
	"syscall"
	"testing"
	"time"

	"nightshift/runner/temporal/flow"
)

// fleetPatience is how long calls take where a batch is to be stopped in the middle: to
// make all of them takes several times as long as a worker needs to hear of it.
const fleetPatience = 500 * time.Millisecond

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

// TestIntegrationTemporalPaused pauses a batch all shards of which are under way: their
// runs end, and no more are started until it goes on.
func TestIntegrationTemporalPaused(t *testing.T) {
	f := newFleet(t, 400)
	f.takes = fleetPatience
	f.worker()
	p := f.run("--set", "run.temporal.shard_size=100")
	f.came(p, 100)
	f.command("pause", "batch.yaml").ends(exitOK, "is paused")
	pass := f.pass()
	f.until("no shard is under way", p, func() bool {
		progress := f.progress(pass)
		return progress.Paused && progress.Running == 0
	})
	p.until("the batch is paused")
	f.mu.Lock()
	if came := f.calls(); came == 400 || f.open > 0 {
		t.Errorf("%d calls came before no shard was under way, want not all; %d are open", came, f.open)
	}
	f.takes = 20 * time.Millisecond
	f.mu.Unlock()
	f.command("resume", "batch.yaml").ends(exitOK, "goes on")
	p.ends(exitOK, "400 succeeded")
	f.whole()
	if n := f.repeats(); n != 0 {
		t.Errorf("%d calls were made again", n)
	}
	f.command("pause", "batch.yaml").ends(exitUsage, "nothing of crowd is under way")
	f.idle()
}

// TestIntegrationTemporalDrained drains a batch by a first Ctrl-C: runs under way end,
// those of shards that are not done by far included, and the next invocation has the rest.
func TestIntegrationTemporalDrained(t *testing.T) {
	f := newFleet(t, 400)
	f.takes = fleetPatience
	f.worker()
	p := f.run("--set", "run.temporal.shard_size=100")
	f.came(p, 100)
	p.signal(syscall.SIGINT)
	p.ends(exitInterrupt, "interrupted: no more runs are started", "interrupted")
	lines, tally := resultLines(t, f.results())
	if n := f.calls(); len(lines) != n || n == 400 || tally.NotSucceeded() > 0 {
		t.Errorf("%d calls were made, and %d items have a line", n, len(lines))
	}
	f.idle()
	f.takes = 20 * time.Millisecond
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
