//go:build integration

package temporal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// server is a development server of Temporal that tests start, kill and start again.
type server struct {
	address string
	dir     string
	process *exec.Cmd
}

// shared is the server of tests that leave it alone.
var shared *server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "temporal")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if shared, err = newServer(dir); err != nil {
			panic(err)
		}
		defer shared.kill()
		return m.Run()
	}())
}

// ownServer is one for a test alone.
func ownServer(t *testing.T) *server {
	t.Helper()
	s, err := newServer(t.TempDir())
	fine(t, err)
	t.Cleanup(s.kill)
	return s
}

func newServer(dir string) (*server, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{address: free.Addr().String(), dir: dir}
	_ = free.Close()
	return s, s.start()
}

// start starts the server, with what it knew before, and returns when it answers.
func (s *server) start() error {
	binary := os.Getenv("TEMPORAL")
	if binary == "" {
		return errors.New("set TEMPORAL to the path of the temporal CLI")
	}
	_, port, _ := net.SplitHostPort(s.address)
	s.process = exec.Command(binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", port, "--headless",
		"--db-filename", filepath.Join(s.dir, "temporal.db"), "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=1", "--log-level", "error")
	if err := s.process.Start(); err != nil {
		return err
	}
	for range 300 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, err := Dial(ctx, Options{Address: s.address, Env: noVariables})
		cancel()
		if err == nil {
			c.Close()
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.kill()
	return fmt.Errorf("no server at %s", s.address)
}

// kill ends the server as a power loss would.
func (s *server) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

// dial connects to a server for a test.
func (s *server) dial(t *testing.T, say func(string)) *Client {
	t.Helper()
	c, err := Dial(t.Context(), Options{Address: s.address, Env: noVariables, Say: say})
	fine(t, err)
	t.Cleanup(c.Close)
	return c
}

// leaksNothing looks that the goroutines go that a test starts from here on.
func leaksNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 50 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, and %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	})
}
