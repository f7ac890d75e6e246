package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// leftGoing runs the batch until it is full, and lets the runs go on.
func (c *hostedCrowd) leftGoing() {
	c.t.Helper()
	p := c.full("--on-interrupt", "detach")
	p.signal(syscall.SIGINT)
	p.ends(exitInterrupt, "left going")
}

// cannotEnd lets calls fail that terminate the run of one item.
func (c *hostedCrowd) cannotEnd(id string) (task string) {
	c.t.Helper()
	runs := c.server.Runs()
	task = runs[slices.IndexFunc(runs, func(r vectorshifttest.Run) bool { return r.Inputs["in"] == id })].TaskID
	c.set(vectorshifttest.Settings{Before: func(call vectorshifttest.Call) *vectorshifttest.Failure {
		if call.Op == vectorshifttest.Terminate && call.TaskID == task {
			return &vectorshifttest.Failure{Status: http.StatusForbidden} // which is not tried again
		}
		return nil
	}})
	return task
}

// files are the files beside the results, with what they hold.
func (c *hostedCrowd) files() map[string]string {
	c.t.Helper()
	dir := filepath.Dir(c.results())
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		text, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		files[e.Name()] = string(text)
	}
	return files
}

// A row was edited while the run of what it was goes on, and that cannot be ended: the
// new one is not started beside it.
func TestHostedEditedRunGoesOn(t *testing.T) {
	c := newHostedCrowd(t, hostedConcurrency, "")
	c.takes(-1)
	c.leftGoing()
	old := c.cannotEnd("row-3")
	edited := strings.Replace(hostedBatch, `{in: "{{ row.id }}"}`, `{in: "{{ row.id }}, edited"}`, 1)
	if err := os.WriteFile(filepath.Join(c.dir, "batch.yaml"), []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start().ends(exitItems, "15 succeeded", "1 failed")
	counts := countStates(c.server)
	if c.histories()["row-3, edited"] != nil || counts[runner.Running] != 1 || counts[runner.Cancelled] != 15 || counts[runner.Succeeded] != 15 {
		t.Errorf("runs: %v; of the edited row: %v", counts, c.histories()["row-3, edited"])
	}
	if l := c.ended()["row-3"]; l.Error == nil || !strings.Contains(l.Error.Message, old) {
		t.Errorf("the old run is %s, and the result %+v", old, l)
	}
	for id, l := range c.ended() {
		if l.PossibleDuplicate {
			t.Errorf("%s is said to be a possible duplicate", id)
		}
	}
	p := c.command("runs", "batch.yaml")
	p.ends(exitOK)
	if said := p.out.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, `"task_id":"`+old+`"`) || !strings.Contains(said, `"status":"running"`) {
		t.Errorf("runs says\n%s", said)
	}

	c.takes(0) // and what terminates runs again
	c.start("--retry-failed").ends(exitOK)
	if counts := countStates(c.server); counts[runner.Running] != 0 || counts[runner.Succeeded] != 16 || c.ended()["row-3"].PossibleDuplicate {
		t.Errorf("in the end, runs: %v; row-3: %+v", counts, c.ended()["row-3"])
	}
}

// What is begun afresh does not go on beside runs that were left going: they are
// terminated before anything is moved.
func TestHostedFreshEndsRuns(t *testing.T) {
	begun := func(t *testing.T) *hostedCrowd {
		c := newHostedCrowd(t, 40, "")
		c.set(vectorshifttest.Settings{Takes: func(r vectorshifttest.Run) time.Duration {
			if strings.HasSuffix(r.Inputs["in"].(string), "5") {
				return 0
			}
			return -1
		}})
		c.leftGoing()
		return c
	}
	t.Run("ended", func(t *testing.T) {
		c := begun(t)
		c.takes(0)
		c.start("--fresh").ends(exitOK, "--fresh terminates 16 runs", "40 succeeded")
		if counts := countStates(c.server); counts[runner.Running] != 0 || counts[runner.Cancelled] != hostedConcurrency {
			t.Errorf("runs: %v", counts)
		}
		for id, l := range c.ended() {
			if l.PossibleDuplicate {
				t.Errorf("%s is said to be a possible duplicate", id)
			}
		}
	})
	t.Run("of another date", func(t *testing.T) {
		c := newHostedCrowd(t, 40, "results: {path: 'out/{{ date }}/crowd.jsonl'}\n")
		c.takes(-1)
		c.leftGoing()
		dirs, _ := filepath.Glob(filepath.Join(c.dir, "out", "2*"))
		if len(dirs) != 1 {
			t.Fatal(dirs)
		}
		if err := os.Rename(dirs[0], filepath.Join(c.dir, "out", "2026-01-01")); err != nil {
			t.Fatal(err)
		}
		states, _ := filepath.Glob(filepath.Join(c.dir, "out", ".nightshift", "*.json"))
		for _, path := range states {
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, []byte(strings.ReplaceAll(string(text), filepath.Base(dirs[0]), "2026-01-01")), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c.takes(0)
		c.start("--fresh").ends(exitOK, "--fresh terminates 16 runs of the earlier results", "40 succeeded")
		if counts := countStates(c.server); counts[runner.Running] != 0 || counts[runner.Cancelled] != hostedConcurrency {
			t.Errorf("runs: %v", counts)
		}
	})
	t.Run("another backend", func(t *testing.T) {
		c := begun(t)
		if err := os.WriteFile(filepath.Join(c.dir, "keys.env"), []byte("OPENAI_API_KEY=none\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, flags := range [][]string{{"--fresh"}, {"--accept-changed-pipeline"}} {
			c.start(append(flags, "--env-file", "keys.env", "--set", "run.backend=local")...).ends(exitUsage, "nightshift runs --terminate --set run.backend=vectorshift")
		}
		if counts := countStates(c.server); counts[runner.Running] != hostedConcurrency {
			t.Errorf("runs: %v", counts)
		}
	})
	t.Run("goes on", func(t *testing.T) {
		c := begun(t)
		before, starts := c.files(), len(c.server.Calls(vectorshifttest.Start))
		old := c.cannotEnd("row-3")
		c.start("--fresh").ends(exitBackend, old)
		after := c.files()
		if n := len(c.server.Calls(vectorshifttest.Start)) - starts; n != 0 {
			t.Errorf("%d runs were started", n)
		}
		if len(after) != len(before) || after["crowd.jsonl"] != before["crowd.jsonl"] || !strings.Contains(after["crowd.jsonl.journal"], old) {
			t.Errorf("the files were\n%v, and are\n%v", before, after)
		}
		c.takes(0)
		c.server.Release()
		c.start().ends(exitOK)
		if marked := c.whole(); marked != 0 {
			t.Errorf("%d possible duplicates", marked)
		}
	})
}

// Results that go to standard output have no journal, by which runs could be
// found again.
func TestHostedDetachWithoutJournal(t *testing.T) {
	c := newHostedCrowd(t, 1, "")
	p := c.start("-o", "-", "--on-interrupt", "detach")
	p.ends(exitUsage, "--on-interrupt detach")
	if n := len(c.server.Calls()); n != 0 || p.out.String() != "" {
		t.Errorf("%d calls; it wrote %s", n, p.out.String())
	}
}
