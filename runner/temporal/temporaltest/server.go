//go:build unix

package temporaltest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

const (
	startLimit = time.Minute      // until a server answers
	lifeLimit  = 20 * time.Minute // then it is ended, whatever the test does
)

// Server is a development server on loopback. It is not for several goroutines at once.
type Server struct {
	Address string // host:port, the same at each start
	Home    string // the folder of its database and its log; in another one a start finds nothing

	process *exec.Cmd     // nil: it is down
	ended   chan struct{} // closed when the process has
}

// New starts a server in a folder. It is to be killed.
func New(home string) (*Server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{Address: address, Home: home}
	return s, s.Start()
}

// Own starts a server of the test's own. It is killed with the test, and the last that it
// said is shown if that failed.
func Own(t testing.TB) *Server {
	t.Helper()
	s, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the last that the server said:\n%s", s.Said())
		}
	})
	return s
}

// freeAddress is one on loopback that nobody listens at. It is below those that the kernel
// gives to whoever connects: one of these may be taken while the server is away, even
// by who tries to reach it.
func freeAddress() (string, error) {
	var last error
	for range 100 {
		var config net.ListenConfig
		listener, err := config.Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.N(10_000)))
		if err == nil {
			defer listener.Close()
			return listener.Addr().String(), nil
		}
		last = err
	}
	return "", fmt.Errorf("no address is free: %w", last)
}

// Start starts the server, with what it knew before, and returns when it answers. One that
// does not answer in time is killed, and the error has the last that it said.
func (s *Server) Start() error {
	command := os.Getenv("TEMPORAL")
	if command == "" {
		return errors.New("TEMPORAL is not set: run this with make integration, or make bench")
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lifeLimit)
	cmd := exec.CommandContext(ctx, command, "server", "start-dev", "--ip", "127.0.0.1", "--port", port, "--headless",
		"--db-filename", filepath.Join(s.Home, "temporal.db"), "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=1", "--log-level", "error")
	group := ownGroup
	cmd.SysProcAttr = &group
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		cancel()
		return fmt.Errorf("%w; make integration installs it", err)
	}
	ended := make(chan struct{})
	s.process, s.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // how it ended is in its log, or of our doing
		cancel()
		close(ended)
	}()
	late := time.After(startLimit)
	for !s.answers() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ended:
			s.process = nil
			return fmt.Errorf("the server ended before it answered:\n%s", s.Said())
		case <-late:
			s.Kill()
			return fmt.Errorf("the server does not answer at %s after %v:\n%s", s.Address, startLimit, s.Said())
		}
	}
	return nil
}

// answers tells whether the server does what it is asked.
func (s *Server) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := s.Dial(ctx, client.Options{})
	if err != nil {
		return false
	}
	defer c.Close()
	_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: client.DefaultNamespace})
	return err == nil
}

// Kill ends the server as a power loss would. One that is down stays so.
func (s *Server) Kill() {
	if s.process != nil {
		_ = syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL)
		<-s.ended
		s.process = nil
	}
}

// Dial connects to the server with a client of the SDK, which logs nothing. It is to be
// closed.
func (s *Server) Dial(ctx context.Context, o client.Options) (client.Client, error) {
	o.HostPort, o.Logger = s.Address, log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	return client.DialContext(ctx, o)
}

func (s *Server) log() string { return filepath.Join(s.Home, "log") }

// Said is the last that the server said, or why that is not known.
func (s *Server) Said() string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	const enough = 4 << 10
	return string(text[max(0, len(text)-enough):])
}
