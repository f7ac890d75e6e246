package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nightshift/runner/vectorshift/vectorshifttest"
)

// holdStarts lets starts on a platform wait: met has a token for each that came, and
// they are answered once release is closed.
func holdStarts(server *vectorshifttest.Server) (met <-chan struct{}, release chan struct{}) {
	came := make(chan struct{}, 8)
	release = make(chan struct{})
	server.Set(vectorshifttest.Settings{Before: func(c vectorshifttest.Call) *vectorshifttest.Failure {
		if c.Op == vectorshifttest.Start {
			came <- struct{}{}
			select {
			case <-release:
			case <-time.After(time.Minute): // else a test that fails would wait for ever
			}
		}
		return nil
	}})
	return came, release
}

// TestHostedStartIsInterrupted: the first SIGINT waits for the handle; who leaves
// without it is told that a run may be going on.
func TestHostedStartIsInterrupted(t *testing.T) {
	const waits, unknown = "interrupted: waiting for the handle", "whether a run came of the start is not known: one may be going on under trace id "
	for name, test := range map[string]struct {
		signals []syscall.Signal
		code    int
		waits   bool
		handle  bool
	}{
		"once":       {[]syscall.Signal{syscall.SIGINT}, exitInterrupt, true, true},
		"twice":      {[]syscall.Signal{syscall.SIGINT, syscall.SIGINT}, exitInterrupt, true, false},
		"terminated": {[]syscall.Signal{syscall.SIGTERM}, exitTerm, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, met, release := startOnHold(t)
			<-met
			for _, sig := range test.signals {
				p.signal(sig)
				if test.waits {
					p.until(waits)
				}
			}
			if test.handle {
				close(release)
			}
			p.ends(test.code)
			if !test.handle {
				close(release)
			}
			if said := p.err.String(); strings.Contains(said, unknown) == test.handle || strings.Contains(said, waits) != test.waits {
				t.Errorf("it said %s", said)
			}
			if out := p.out.String(); strings.Contains(out, `"task_id":"`) != test.handle {
				t.Errorf("it printed %s", out)
			}
		})
	}
}

// TestHostedStartIsInterruptedInAPause: after a refusal there is nothing to wait for.
func TestHostedStartIsInterruptedInAPause(t *testing.T) {
	p, met, release := startOnHold(t, vectorshifttest.RetryAfter(60))
	close(release)
	<-met
	p.until("waiting 1m")
	p.signal(syscall.SIGINT)
	p.ends(exitInterrupt, "answered 429")
	if said := p.err.String(); strings.Contains(said, "is not known") {
		t.Errorf("it said %s", said)
	}
}

// startOnHold starts one run, on a platform where starts wait, and then fail.
func startOnHold(t *testing.T, failures ...vectorshifttest.Failure) (p *process, met <-chan struct{}, release chan struct{}) {
	t.Helper()
	server := vectorshifttest.New()
	t.Cleanup(server.Close)
	for _, f := range failures {
		server.Fail(vectorshifttest.Start, 1, f)
	}
	met, release = holdStarts(server)
	dir := t.TempDir()
	batch := strings.Replace(runsBatch, "from: rows.jsonl, map: {in: \"{{ row.in }}\"}, key: \"{{ row.id }}\"", "inputs: [{in: a}]", 1)
	if err := os.WriteFile(filepath.Join(dir, "batch.yaml"), []byte(batch), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"VECTORSHIFT_API_KEY=" + server.Key, "VECTORSHIFT_BASE_URL=" + server.URL}
	return startProcess(t, dir, "", env, "start", "batch.yaml", "-i", "in=a"), met, release
}
