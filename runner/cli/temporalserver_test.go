//go:build integration || bench

package cli

import (
	"context"
	"fmt"
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

// temporalServer is a development server of Temporal, which can be killed and started
// again where it was.
type temporalServer struct {
	t       *testing.T
	address string
	home    string // has its database and its log
	process *exec.Cmd
	ended   chan struct{}
}

// startTemporal starts a server of the test's own. It is ended with the test, and its log
// is shown if that failed.
func startTemporal(t *testing.T) *temporalServer {
	t.Helper()
	s := &temporalServer{t: t, address: freeAddress(t), home: t.TempDir()}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the last that the server said:\n%s", logEnd(t, s.log()))
		}
	})
	s.start()
	return s
}

// freeAddress is one on loopback that nobody listens at. It is below those that the kernel
// gives to whoever connects: one of these may be taken while the server is away, even
// by who tries to reach it.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.N(10_000)))
		if err != nil {
			continue
		}
		defer listener.Close()
		return listener.Addr().String()
	}
	t.Fatal("no address is free")
	return ""
}

func (s *temporalServer) log() string { return filepath.Join(s.home, "log") }

// start starts the server, with what it knew before, and returns when it answers.
func (s *temporalServer) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), serverLife) // the end of the test kills it
	_, port, _ := net.SplitHostPort(s.address)
	cmd := exec.CommandContext(ctx, tool(s.t, "TEMPORAL"), "server", "start-dev", "--ip", "127.0.0.1", "--port", port, "--headless",
		"--db-filename", filepath.Join(s.home, "temporal.db"), "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=1", "--log-level", "error")
	group := ownGroup
	cmd.SysProcAttr = &group
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		cancel()
		s.t.Fatalf("%v; make integration installs it", err)
	}
	s.process, s.ended = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log, or of our doing
		cancel()
		close(s.ended)
	}()
	late := time.After(serverStart)
	for !s.answers() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.ended:
			s.t.Fatalf("the server ended before it answered:\n%s", logEnd(s.t, s.log()))
		case <-late:
			s.t.Fatalf("the server does not answer after %v:\n%s", serverStart, logEnd(s.t, s.log()))
		}
	}
}

// answers tells whether the server does what it is asked.
func (s *temporalServer) answers() bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return false
	}
	defer c.Close()
	_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: client.DefaultNamespace})
	return err == nil
}

// kill ends the server as a power loss would.
func (s *temporalServer) kill() {
	if s.process != nil {
		_ = syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL)
		<-s.ended
		s.process = nil
	}
}

func (s *temporalServer) dial(ctx context.Context) (client.Client, error) {
	return client.DialContext(ctx, client.Options{HostPort: s.address, Logger: silent{}})
}

// silent is a log that keeps nothing.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

var _ log.Logger = silent{}
