//go:build integration

package cli

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestIntegrationTemporalWorkerKilled kills one of two workers: the other one takes what
// it had, and repeats nothing but the calls that died with it.
func TestIntegrationTemporalWorkerKilled(t *testing.T) {
	t.Parallel() // it waits for a heartbeat that does not come
	f := newFleet(t, 400)
	f.each = fleetWindow / 2
	doomed, other := f.worker(), f.worker()
	f.hold(80)
	p := f.run()
	f.underWay(fleetConcurrency)
	f.settled()
	f.mu.Lock()
	inFlight, others := doomed.open, other.open
	f.mu.Unlock()
	if inFlight == 0 || others == 0 {
		t.Fatalf("calls are open at one worker only: %d and %d", inFlight, others)
	}
	doomed.kill()
	f.release()
	p.ends(exitOK, "400 succeeded")
	f.whole()
	if n := f.repeats(); n != inFlight {
		t.Errorf("%d calls were made again, want the %d that died with their worker", n, inFlight)
	}
	f.idle()
}

// TestIntegrationTemporalServerKilled kills the server, which comes back with what it
// knew before: nothing is repeated.
func TestIntegrationTemporalServerKilled(t *testing.T) {
	t.Parallel() // it waits for a heartbeat that does not come
	f := newFleet(t, 600)
	f.worker()
	f.worker()
	p := f.run()
	f.came(p, 120)
	f.server.Kill()
	p.until("the Temporal server does not answer")
	if err := f.server.Start(); err != nil {
		t.Fatal(err)
	}
	p.ends(exitOK, "600 succeeded", "answers again")
	f.whole()
	if n := f.repeats(); n != 0 {
		t.Errorf("%d calls were made again, although no worker died", n)
	}
	f.idle()
}

// TestIntegrationTemporalClientKilled kills the client at many moments, and runs the
// batch again each time: nothing is repeated.
func TestIntegrationTemporalClientKilled(t *testing.T) {
	f := newFleet(t, 400)
	f.takes = 50 * time.Millisecond
	f.worker()
	const seed = 20261124
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	size := func() int64 { // of the results
		info, err := os.Stat(f.results())
		if err != nil {
			return 0
		}
		return info.Size()
	}
	kills, joined := 0, 0
	for i := range 12 {
		before := size()
		p := f.run()
		for i%3 == 2 && size() == before { // results are being written
			select {
			case <-p.ended:
				t.Fatalf("it ended, and wrote nothing:\n%s", p.err.String())
			case <-time.After(time.Millisecond):
			}
		}
		if i%3 < 2 {
			select {
			case <-p.ended:
			case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond): // the moment is to be any
			}
		}
		if p.kill() {
			kills++
		}
		if after := size(); before > 0 && after > before {
			joined++
		}
	}
	f.run().ends(exitOK)
	f.whole()
	t.Logf("%d kills, %d while results were written that were not the first ones", kills, joined)
	if n := f.repeats(); n != 0 || kills < 6 || joined == 0 {
		t.Errorf("%d calls were made again after %d kills, %d of them while results were written", n, kills, joined)
	}
	if n := len(f.passes()); n != 1 {
		t.Errorf("there were %d passes, want one", n)
	}
	f.run().ends(exitOK, "crowd: 400 already done, nothing to do")
	f.idle()
}

// TestIntegrationTemporalAllKilled kills client, workers and server at once.
func TestIntegrationTemporalAllKilled(t *testing.T) {
	t.Parallel() // it waits for a heartbeat that does not come
	f := newFleet(t, 240)
	w := f.worker()
	f.hold(60)
	p := f.run()
	f.underWay(fleetConcurrency)
	f.settled()
	p.kill()
	f.server.Kill()
	w.kill()
	f.release()
	if err := f.server.Start(); err != nil {
		t.Fatal(err)
	}
	f.worker()
	f.run().ends(exitOK)
	f.whole()
	if n := f.repeats(); n != fleetConcurrency {
		t.Errorf("%d calls were made again, want the %d that died with their worker", n, fleetConcurrency)
	}
	f.idle()
}

// TestIntegrationTemporalRolling replaces all workers in the middle, one after the other,
// each told to end by SIGTERM: nothing is lost or repeated.
func TestIntegrationTemporalRolling(t *testing.T) {
	f := newFleet(t, 600)
	old := []*fleetWorker{f.worker(), f.worker()}
	p := f.run()
	for i, w := range old {
		f.came(p, 100*(i+1))
		f.worker()
		w.signal(syscall.SIGTERM)
		w.ends(exitOK, "runs under way may end")
	}
	p.ends(exitOK, "600 succeeded")
	f.whole()
	if n := f.repeats(); n != 0 {
		t.Errorf("%d calls were made again, although no worker died", n)
	}
	f.idle()
}

// TestIntegrationTemporalWorkerDrains ends a worker while calls are open: they end, no
// more are made, and it leaves.
func TestIntegrationTemporalWorkerDrains(t *testing.T) {
	f := newFleet(t, 160)
	w := f.worker()
	f.hold(40)
	p := f.run()
	f.underWay(fleetConcurrency)
	w.signal(syscall.SIGTERM)
	w.until("told to end")
	f.mu.Lock()
	before := f.calls()
	f.mu.Unlock()
	f.release()
	w.ends(exitOK)
	f.mu.Lock()
	began, hungUp := f.calls()-before, f.hungUp
	f.mu.Unlock()
	if began > 0 || hungUp > 0 {
		t.Errorf("once the worker was told to end, %d calls were made, and %d hung up", began, hungUp)
	}
	f.worker()
	p.ends(exitOK, "160 succeeded")
	f.whole()
	if n := f.repeats(); n != 0 {
		t.Errorf("%d calls were made again, although no worker died", n)
	}
	f.idle()
}
