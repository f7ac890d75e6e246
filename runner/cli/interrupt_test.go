package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// heldBatch has many items, of which each calls a server that keeps it waiting.
const heldBatch = `version: 1
pipeline:
  name: held
  nodes:
    in: {type: input}
    call: {type: api, inputs: {url: "${HOLD}/{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ call.output }}"}}
batches:
  rows: {from: rows.txt}
  more: {inputs: [{in: e}]}
run: {concurrency: 2}
`

// held is a nightshift process whose runs hang at a server of ours.
type held struct {
	*process
	dir     string
	rows    int
	server  *httptest.Server
	arrived chan struct{} // a token for each request
	release chan struct{} // closed: all are answered, after latency
	latency time.Duration
	body    string // what it answers with

	mu    sync.Mutex
	count int       // requests
	last  time.Time // when the last one was answered
}

// startHeld starts the process and waits until two runs are under way. The
// wrapper, if any, is a shell command that runs "$@".
func startHeld(t *testing.T, wrapper string, flags ...string) *held {
	h := newHeld(t, 4)
	h.start(wrapper, flags...)
	h.underWay(2)
	return h
}

func newHeld(t *testing.T, rows int) *held {
	h := &held{dir: t.TempDir(), rows: rows, arrived: make(chan struct{}, 1000), release: make(chan struct{}), body: "held"}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	var text strings.Builder
	for i := range rows {
		fmt.Fprintf(&text, "%d\n", i)
	}
	for name, text := range map[string]string{"batch.yaml": heldBatch, "rows.txt": text.String()} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.process = &process{t: t}
	return h
}

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.count++
	h.mu.Unlock()
	h.arrived <- struct{}{}
	select {
	case <-h.release:
	case <-r.Context().Done():
		return
	}
	select {
	case <-time.After(h.latency):
	case <-r.Context().Done():
		return
	}
	h.mu.Lock()
	h.last = time.Now()
	h.mu.Unlock()
	fmt.Fprint(w, h.body)
}

func (h *held) start(wrapper string, flags ...string) {
	h.t.Helper()
	h.process = startProcess(h.t, h.dir, wrapper, []string{"HOLD=" + h.server.URL}, append([]string{"run", "batch.yaml", "--allow-private-network"}, flags...)...)
}

// underWay waits until so many more runs have been started.
func (h *held) underWay(runs int) {
	h.t.Helper()
	for range runs {
		select {
		case <-h.arrived:
		case <-h.ended:
			h.t.Fatalf("it ended before %d runs were under way:\n%s", runs, h.err.String())
		}
	}
}

func (h *held) requests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// signalled sends a signal and waits until the process has said so.
func (h *held) signalled(sig os.Signal, answer string) {
	h.t.Helper()
	h.signal(sig)
	h.until(answer)
}

func (h *held) results() string { return filepath.Join(h.dir, "results", "rows.jsonl") }

// end waits for the process and checks how it ended; two runs were started.
func (h *held) end(code, lines int, said string) {
	h.t.Helper()
	h.ends(code, said)
	if got, _ := resultLines(h.t, h.results()); len(got) != lines {
		h.t.Errorf("%d items have a line, want %d", len(got), lines)
	}
	if got := h.requests(); got != 2 {
		h.t.Errorf("%d runs were started, want 2", got)
	}
}

// resumed runs the batch again, to its end.
func (h *held) resumed() {
	h.t.Helper()
	select {
	case <-h.release:
	default:
		close(h.release)
	}
	h.start("", "--concurrency", "200")
	h.ends(exitOK)
	lines, tally := resultLines(h.t, h.results())
	if len(lines) != h.rows || tally.NotSucceeded() > 0 {
		h.t.Errorf("resumed, %d items have a line, want %d; %d did not succeed", len(lines), h.rows, tally.NotSucceeded())
	}
}

func TestFirstInterruptDrains(t *testing.T) {
	h := startHeld(t, "")
	h.signalled(syscall.SIGINT, "interrupted: no more runs are started")
	close(h.release)
	h.end(130, 2, "rows: 2 of 4 items in ")
	h.resumed()
}

func TestSecondInterruptTerminates(t *testing.T) {
	h := startHeld(t, "")
	h.signalled(syscall.SIGINT, "interrupted: no more runs are started")
	h.signalled(syscall.SIGINT, "interrupted again: terminating")
	h.end(130, 0, "interrupted, 2 runs terminated")
	h.resumed()
}

// Who writes to a reader that does not read would wait for ever.
func TestThirdInterruptLeaves(t *testing.T) {
	h := newHeld(t, 4)
	h.body = strings.Repeat("more than a pipe holds ", 10_000)
	pipe := filepath.Join(h.dir, "pipe")
	if out, err := exec.CommandContext(t.Context(), "mkfifo", pipe).CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // so that nobody waits for the other end
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	h.start("", "--output", "pipe", "--batch", "rows")
	h.underWay(2)
	h.signalled(syscall.SIGINT, "interrupted: no more runs are started")
	close(h.release)
	if _, err := io.ReadFull(reader, make([]byte, 1)); err != nil { // the writer is stuck now
		t.Fatal(err)
	}
	h.signalled(syscall.SIGINT, "interrupted again: terminating")
	h.signal(syscall.SIGINT)
	h.ends(130)
	if said := h.err.String(); strings.Contains(said, "items in") {
		t.Errorf("it did not leave at once, but said:\n%s", said)
	}
	h.resumed()
}

// soon is how long an end may take that nothing holds up.
const soon = time.Second

// What is under way when the signal comes may end, and nothing else begins.
func TestInterruptAmongMany(t *testing.T) {
	h := newHeld(t, 200)
	h.latency = time.Second
	close(h.release)
	h.start("", "--concurrency", "64", "--batch", "rows")
	h.underWay(64)
	h.signalled(syscall.SIGINT, "interrupted: no more runs are started")
	begun := h.requests()
	h.ends(130, fmt.Sprintf("rows: %d of 200 items in ", begun))
	h.mu.Lock()
	late := time.Since(h.last)
	h.mu.Unlock()
	if late > soon {
		t.Errorf("it ended %v after the last run, want at most %v", late, soon)
	}
	if n := h.requests(); n != begun {
		t.Errorf("%d runs were started after the signal", n-begun)
	}
	if lines, _ := resultLines(t, h.results()); len(lines) != begun {
		t.Errorf("%d items have a line, want all %d that were under way", len(lines), begun)
	}
	h.resumed()
}

// The second signal does not wait for what is under way.
func TestSecondInterruptAmongMany(t *testing.T) {
	h := newHeld(t, 200)
	h.start("", "--concurrency", "64", "--batch", "rows")
	h.underWay(64)
	h.signalled(syscall.SIGINT, "interrupted: no more runs are started")
	h.signal(syscall.SIGINT)
	sent := time.Now()
	h.ends(130, "interrupted, 64 runs terminated")
	if late := time.Since(sent); late > soon {
		t.Errorf("it ended %v after the second signal, want at most %v", late, soon)
	}
	h.resumed()
}

func TestInterruptThatTerminates(t *testing.T) {
	h := startHeld(t, "", "--on-interrupt", "terminate")
	h.signalled(syscall.SIGINT, "interrupted: terminating the runs")
	h.end(130, 0, "interrupted, 2 runs terminated")
	h.resumed()
}

// Runs in this process cannot be left going.
func TestInterruptCannotDetach(t *testing.T) {
	h := newHeld(t, 4)
	h.start("", "--on-interrupt", "detach")
	h.ends(exitUsage, "--on-interrupt detach leaves runs going, but those of backend local end with nightshift; use drain or terminate")
	if _, err := os.Stat(filepath.Dir(h.results())); h.requests() != 0 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%d runs were started, and of the folder of results: %v", h.requests(), err)
	}
	h.resumed()
}

// A batch may have no items left when the signal comes; the next one must not
// be skipped as if all were done.
func TestInterruptBetweenBatches(t *testing.T) {
	h := startHeld(t, "", "--limit", "2")
	h.signalled(syscall.SIGINT, "interrupted: no more runs are started")
	close(h.release)
	h.end(130, 2, "rows: 2 items in ")
	h.resumed()
}

func TestTerminationSignal(t *testing.T) {
	h := startHeld(t, "")
	h.signalled(syscall.SIGTERM, "terminated: ending the runs")
	h.end(143, 0, "interrupted, 2 runs terminated")
	h.resumed()
}

// Cron, and a shell that starts a job in the background, hand SIGINT down as
// ignored; it must be heard all the same.
func TestInterruptInheritedAsIgnored(t *testing.T) {
	h := startHeld(t, `trap "" INT; exec "$@"`)
	h.signalled(syscall.SIGINT, "interrupted: no more runs are started")
	close(h.release)
	h.end(130, 2, "; interrupted")
	h.resumed()
}

// TestInterruptBeforeAnythingRuns: while the batches are looked at, also where the
// signal was inherited as ignored.
func TestInterruptBeforeAnythingRuns(t *testing.T) {
	for name, sent := range map[string]struct {
		signal syscall.Signal
		code   int
	}{"SIGINT": {syscall.SIGINT, exitInterrupt}, "SIGTERM": {syscall.SIGTERM, exitTerm}} {
		t.Run(name, func(t *testing.T) {
			h := newHeld(t, 400_000) // reading them takes a while
			h.start(`trap "" INT; exec "$@"`)
			lock := filepath.Join(h.dir, "results", "rows.jsonl.lock")
			for _, err := os.Stat(lock); err != nil; _, err = os.Stat(lock) { // it is about to read them
				select {
				case <-h.ended:
					t.Fatalf("it ended:\n%s", h.err.String())
				case <-time.After(time.Millisecond):
				}
			}
			h.signal(sent.signal)
			<-h.ended
			if code := h.cmd.ProcessState.ExitCode(); code != sent.code {
				t.Errorf("exit code %d, want %d", code, sent.code)
			}
			if said := h.err.String(); !strings.Contains(said, "interrupted before anything was run") || h.count > 0 {
				t.Errorf("%d runs were started; it said:\n%s", h.count, said)
			}
		})
	}
}
