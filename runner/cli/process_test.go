package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is the command as a process of its own.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err transcript
	ended    chan struct{} // closed when it has ended
}

// startProcess starts the command in a folder. The wrapper, if any, is a shell
// command that runs "$@".
func startProcess(t *testing.T, dir, wrapper string, env []string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	args = append([]string{os.Args[0]}, args...)
	if wrapper != "" {
		args = append([]string{"sh", "-c", wrapper, "sh"}, args...)
	}
	p := &process{t: t, cmd: exec.CommandContext(ctx, args[0], args[1:]...), ended: make(chan struct{})}
	p.out.grew, p.err.grew = make(chan struct{}, 1), make(chan struct{}, 1)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), asCommand+"=1", "NIGHTSHIFT_STATE=")
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its state
		cancel()
		close(p.ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-p.ended
	})
	return p
}

// signal sends a signal; one that has ended already does not mind.
func (p *process) signal(sig os.Signal) {
	_ = p.cmd.Process.Signal(sig)
}

// kill ends the process as a crash does, and tells whether it was still there.
func (p *process) kill() bool {
	p.signal(syscall.SIGKILL)
	<-p.ended
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}

// until waits until the process has said something on standard error.
func (p *process) until(words string) {
	p.t.Helper()
	for !strings.Contains(p.err.String(), words) {
		select {
		case <-p.err.grew:
		case <-p.ended:
			if !strings.Contains(p.err.String(), words) {
				p.t.Fatalf("it ended without having said %q, but:\n%s", words, p.err.String())
			}
		}
	}
}

// ends waits for the end, and checks the exit code and what was said.
func (p *process) ends(code int, words ...string) {
	p.t.Helper()
	<-p.ended
	said := p.err.String()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("nightshift %s: exit code %d, want %d; it said:\n%s", strings.Join(p.cmd.Args[1:], " "), got, code, said)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			p.t.Errorf("nightshift %s: it did not say %q, but:\n%s", strings.Join(p.cmd.Args[1:], " "), w, said)
		}
	}
}

// transcript is what a process has printed so far.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{} // has a token when there is more
}

func (s *transcript) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.grew <- struct{}{}:
	default:
	}
	return s.text.Write(text)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
