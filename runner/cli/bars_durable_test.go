//go:build bench

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// durable measures what it costs that nothing is lost: going on where a batch was
// left, forcing results onto the disk, ending on a signal, coming back to full
// speed after refusals.
func (b *bench) durable() {
	all := b.T
	defer func() { b.T = all }()
	for _, part := range []struct {
		name    string
		measure func()
	}{{"again", b.again}, {"fsync", b.syncs}, {"interrupt", b.interrupts}, {"storm", b.storm}} {
		all.Run(part.name, func(t *testing.T) {
			b.T = t
			part.measure()
		})
	}
}

// folder makes a folder of its own with files in it.
func (b *bench) folder(files map[string]string) string {
	b.Helper()
	dir, err := os.MkdirTemp(b.dir, "durable")
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// numbered makes n rows with an id, which is their number, and a text.
func numbered(n int) string {
	var rows strings.Builder
	rows.WriteString("id,text\n")
	for i := range n {
		fmt.Fprintf(&rows, "%d,item number %d of the batch\n", i, i)
	}
	return rows.String()
}

// interrupts interrupts batches of which as many runs are under way as may be.
func (b *bench) interrupts() {
	for _, c := range []struct{ what, wrapper string }{{"SIGINT", ""}, {"SIGINT, ignored before", `trap "" INT; exec "$@"`}} {
		b.interrupt("64 in flight of 1 s, "+c.what+": exit after the last", c.wrapper, false)
		b.interrupt("  a second one: exit after it", c.wrapper, true)
	}
}

func (b *bench) interrupt(what, wrapper string, again bool) {
	b.Helper()
	dir := b.asking(1000)
	came := make(chan time.Time, 1000) // of each question
	s := serveModel(b, time.Second, func(string, int) int {
		came <- time.Now()
		return 0
	})
	p := startProcess(b.T, dir, wrapper, modelAt(s), "run", "batch.yaml", "--quiet")
	var from time.Time
	for range modelAtOnce {
		select {
		case at := <-came:
			from = at.Add(s.latency) // when the last run ends
		case <-p.ended:
			b.Fatalf("it has ended:\n%s", p.err.String())
		}
	}
	p.signal(syscall.SIGINT)
	lines := modelAtOnce
	if again {
		p.until("interrupted: ")
		p.signal(syscall.SIGINT)
		from, lines = time.Now(), 0
	}
	<-p.ended
	took, code := time.Since(from), p.cmd.ProcessState.ExitCode()
	b.row(what, fmt.Sprintf("%d in %.2f s", code, took.Seconds()), "130 within 1 s", code == exitInterrupt && took <= time.Second)
	b.row("  runs started after it", fmt.Sprint(len(came)), "0", len(came) == 0)
	results := filepath.Join(dir, "results", "asks.jsonl")
	if sizeOf(results) > 0 || lines > 0 {
		if got := countLines(b.T, results); got != lines {
			b.Errorf("%s: %d result lines, not %d", what, got, lines)
		}
	}
}
