package script

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// worker is a process that runs scripts, seen from the one that started it.
type worker struct {
	limits Limits
	cmd    *exec.Cmd
	stderr tail
	out    *gob.Encoder
	in     *gob.Decoder
	most   io.LimitedReader // what may still be read of an answer

	programs map[string]int // that it has, by name and code
	size     int            // of their texts
	since    time.Time      // when it became idle
	ending   sync.Once
	dead     atomic.Bool
}

const (
	// grace is how long a worker may take to notice by itself that a script has
	// run for too long: scripts cannot be interrupted inside of some functions.
	grace = 250 * time.Millisecond
	// starting is how long a process may take to begin, on a machine that is busy.
	starting = 30 * time.Second
	// keptPrograms is how large the texts of the programs that a worker keeps may
	// be together, in bytes; a program that is small counts as one of 4 KB.
	keptPrograms = 1 << 20
)

var (
	errDied     = errors.New("the process that ran it died")
	errNoWorker = errors.New("JavaScript cannot be run")
)

// startWorker starts a process and waits until it is ready.
func startWorker(ctx context.Context, limits Limits) (*worker, error) {
	if !prepared.Load() {
		return nil, fmt.Errorf("%w: %w", errNoWorker, errNotPrepared)
	}
	path, err := executable()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoWorker, err)
	}
	w := &worker{limits: limits, programs: map[string]int{}}
	w.cmd = exec.Command(path) //nolint:noctx // it outlives the call that needed it first
	w.cmd.Args = []string{workerName}
	w.cmd.Env = []string{marker + "=1"}
	w.cmd.Stderr = &w.stderr
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.most.R = stdout
	w.out, w.in = gob.NewEncoder(stdin), gob.NewDecoder(&w.most)
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoWorker, err)
	}
	if _, err := w.exchange(ctx, limits, starting); err != nil {
		w.end()
		return nil, fmt.Errorf("%w: %w", errNoWorker, err)
	}
	return w, nil
}

// executable is this program. On Linux it is named so that it is the same one
// even where another version has been put in its place since.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		if _, err := os.Stat("/proc/self/exe"); err == nil {
			return "/proc/self/exe", nil
		}
	}
	return os.Executable()
}

// ask has the worker do something.
func (w *worker) ask(ctx context.Context, r request, code string) (reply, error) {
	key := r.Name + "\x00" + code
	number, known := w.programs[key]
	if !known {
		if r.Forget = w.size > 0 && w.size+len(code) > keptPrograms; r.Forget {
			clear(w.programs)
			w.size = 0
		}
		number = len(w.programs)
		w.programs[key] = number
		w.size += len(code) + 4<<10
		r.Code, r.HasCode = code, true
	}
	r.Program = number
	return w.exchange(ctx, r, w.limits.Time+grace)
}

// exchange sends a message and waits for the answer to it. A worker that does
// not answer in time, or is not needed any more, is killed.
func (w *worker) exchange(ctx context.Context, message any, within time.Duration) (answer reply, err error) {
	var late atomic.Bool
	stop := context.AfterFunc(ctx, w.kill)
	timer := time.AfterFunc(within, func() { late.Store(true); w.kill() })
	w.most.N = int64(w.limits.Answer) + 1<<20
	if err = w.out.Encode(message); err == nil {
		err = w.in.Decode(&answer)
	}
	if stopped := stop(); !timer.Stop() || !stopped {
		w.kill() // it is on its way, in a goroutine of its own
	}
	if err == nil {
		if answer.Ends {
			w.kill()
		}
		return answer, nil
	}
	w.dead.Store(true)
	state := w.end()
	said := w.stderr.String()
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(said, word) })
	}
	switch {
	case ctx.Err() != nil:
		return answer, ctx.Err()
	case late.Load():
		return answer, w.limits.errTime()
	case w.most.N <= 0:
		return answer, w.limits.errAnswer()
	case has("out of memory", "cannot allocate memory", "failed to allocate", "pthread_create failed", "failed to create new OS thread"):
		return answer, w.limits.errMemory()
	case has("stack overflow", "stack exceeds"):
		return answer, errDeep
	}
	first, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	if first != "" {
		return answer, fmt.Errorf("%w: %v: %s", errDied, state, first)
	}
	return answer, fmt.Errorf("%w: %v", errDied, state)
}

// kill ends the process at once; nothing of what it does is worth keeping.
func (w *worker) kill() {
	w.dead.Store(true)
	_ = w.cmd.Process.Kill()
}

// end waits until the process is gone, which was killed or is ending by itself.
func (w *worker) end() *os.ProcessState {
	w.ending.Do(func() {
		hanging := time.AfterFunc(time.Second, w.kill)
		defer hanging.Stop()
		_ = w.cmd.Wait()
	})
	return w.cmd.ProcessState
}

// tail keeps the beginning of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[:min(len(p), 4096-len(t.text))]...)
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
