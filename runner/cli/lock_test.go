package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Two invocations at once: the second leaves, and says who has the results.
func TestSecondInvocationLeaves(t *testing.T) {
	h := startHeld(t, "", "--batch", "rows")
	first := h.process
	for _, flags := range [][]string{nil, {"--batch", "rows"}, {"--fresh"}, {"--retry-failed"}, {"--output", "results/{{ batch }}.jsonl"}} {
		h.start("", flags...)
		h.ends(exitLocked, "rows.jsonl: another nightshift writes these results (process "+fmt.Sprint(first.cmd.Process.Pid)+" on ", "; wait for it, or choose another file with --output")
	}
	if n := h.requests(); n != 2 {
		t.Errorf("%d runs were started, want those 2 of the first", n)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "results", "more.jsonl")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the other batch of a refused invocation has results: %v", err)
	}

	// plan looks, whoever writes
	p := startProcess(t, h.dir, "", []string{"HOLD=" + h.server.URL}, "plan", "batch.yaml")
	p.ends(exitOK)

	// another file is nobody's
	h.start("", "--output", "other/{{ batch }}.jsonl", "--batch", "rows")
	h.underWay(2)
	other := h.process

	// the dead hold nothing
	if !first.kill() {
		t.Error("the first invocation ended before it was killed")
	}
	h.start("", "--batch", "rows")
	h.underWay(2)
	close(h.release)
	h.ends(exitOK, "rows: 4 items in ")
	other.ends(exitOK, "rows: 4 items in ")
	for _, path := range []string{h.results(), filepath.Join(h.dir, "other", "rows.jsonl")} {
		if lines, _ := resultLines(t, path); len(lines) != h.rows {
			t.Errorf("%s: %d items have a line, want %d", path, len(lines), h.rows)
		}
		if _, err := os.Stat(path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s.lock is left over: %v", path, err)
		}
	}
	h.resumed()
}
