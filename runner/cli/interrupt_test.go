package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// heldBatch has four items, two at once; each calls a server that keeps it waiting.
const heldBatch = `version: 1
pipeline:
  name: held
  nodes:
    in: {type: input}
    call: {type: api, inputs: {url: "${HOLD}/{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ call.output }}"}}
batches:
  rows: {inputs: [{in: a}, {in: b}, {in: c}, {in: d}]}
  more: {inputs: [{in: e}]}
run: {concurrency: 2}
`

// held is a nightshift process whose runs hang at a server of ours.
type held struct {
	t       *testing.T
	cmd     *exec.Cmd
	results string
	arrived chan struct{} // a token for each request
	release chan struct{}
	count   atomic.Int64
	said    chan string // lines of standard error
	stderr  bytes.Buffer
	ended   chan error
}

// startHeld starts the process and waits until two runs are under way. The
// wrapper, if any, is a shell command that runs "$@".
func startHeld(t *testing.T, wrapper string, flags ...string) *held {
	h := &held{t: t, arrived: make(chan struct{}, 8), release: make(chan struct{}), said: make(chan string, 64), ended: make(chan error, 1)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.count.Add(1)
		h.arrived <- struct{}{}
		select {
		case <-h.release:
			fmt.Fprint(w, "held")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	batch := filepath.Join(dir, "batch.yaml")
	if err := os.WriteFile(batch, []byte(heldBatch), 0o600); err != nil {
		t.Fatal(err)
	}
	h.results = filepath.Join(dir, "results", "rows.jsonl")

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	args := append([]string{os.Args[0], "run", batch}, flags...)
	if wrapper != "" {
		args = append([]string{"sh", "-c", wrapper, "sh"}, args...)
	}
	h.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	h.cmd.Env = append(os.Environ(), asCommand+"=1", "HOLD="+server.URL)
	stderr, err := h.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(io.TeeReader(stderr, &h.stderr))
		for lines.Scan() {
			h.said <- lines.Text()
		}
		h.ended <- h.cmd.Wait()
	}()
	for range 2 {
		select {
		case <-h.arrived:
		case err := <-h.ended:
			t.Fatalf("ended (%v) before two runs were under way:\n%s", err, h.stderr.String())
		}
	}
	return h
}

// signal sends a signal and waits until the process has said so.
func (h *held) signal(sig os.Signal, answer string) {
	h.t.Helper()
	if err := h.cmd.Process.Signal(sig); err != nil {
		h.t.Fatal(err)
	}
	for {
		select {
		case line := <-h.said:
			if strings.Contains(line, answer) {
				return
			}
		case err := <-h.ended:
			h.t.Fatalf("ended (%v) before it said %q:\n%s", err, answer, h.stderr.String())
		}
	}
}

// end waits for the process and checks how it ended.
func (h *held) end(code, lines int, said string) {
	h.t.Helper()
	<-h.ended
	if got := h.cmd.ProcessState.ExitCode(); got != code {
		h.t.Errorf("exit code %d, want %d", got, code)
	}
	if !strings.Contains(h.stderr.String(), said) {
		h.t.Errorf("it did not say %q, but:\n%s", said, h.stderr.String())
	}
	text, err := os.ReadFile(h.results)
	if err != nil && (lines > 0 || !errors.Is(err, os.ErrNotExist)) { // without a line there is no file
		h.t.Fatal(err)
	}
	if got := bytes.Count(text, []byte("\n")); got != lines || len(text) > 0 && text[len(text)-1] != '\n' {
		h.t.Errorf("%d whole result lines, want %d:\n%s", got, lines, text)
	}
	if got := h.count.Load(); got != 2 {
		h.t.Errorf("%d runs were started, want 2", got)
	}
}

func TestFirstInterruptDrains(t *testing.T) {
	h := startHeld(t, "")
	h.signal(syscall.SIGINT, "interrupted: no more runs are started")
	close(h.release)
	h.end(130, 2, "rows: 2 of 4 items in ")
}

func TestSecondInterruptTerminates(t *testing.T) {
	h := startHeld(t, "")
	h.signal(syscall.SIGINT, "interrupted: no more runs are started")
	h.signal(syscall.SIGINT, "interrupted again: terminating")
	h.end(130, 0, "interrupted, 2 runs terminated")
}

// A batch may have no items left when the signal comes; the next one must not
// be skipped as if all were done.
func TestInterruptBetweenBatches(t *testing.T) {
	h := startHeld(t, "", "--limit", "2")
	h.signal(syscall.SIGINT, "interrupted: no more runs are started")
	close(h.release)
	h.end(130, 2, "rows: 2 items in ")
}

func TestTerminationSignal(t *testing.T) {
	h := startHeld(t, "")
	h.signal(syscall.SIGTERM, "terminated: ending the runs")
	h.end(143, 0, "interrupted, 2 runs terminated")
}

// Cron, and a shell that starts a job in the background, hand SIGINT down as
// ignored; it must be heard all the same.
func TestInterruptInheritedAsIgnored(t *testing.T) {
	h := startHeld(t, `trap "" INT; exec "$@"`)
	h.signal(syscall.SIGINT, "interrupted: no more runs are started")
	close(h.release)
	h.end(130, 2, "; interrupted")
}
