//go:build integration

package temporal

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"nightshift/runner/temporal/temporaltest"
)

// shared is the server of tests that leave it alone.
var shared *temporaltest.Server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "temporal")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if shared, err = temporaltest.New(dir); err != nil {
			panic(err)
		}
		defer shared.Kill()
		code := m.Run()
		if code != 0 {
			fmt.Fprintf(os.Stderr, "the last that the shared server said:\n%s", shared.Said())
		}
		return code
	}())
}

// dial connects to a server for a test.
func dial(t *testing.T, s *temporaltest.Server, say func(string)) *Client {
	t.Helper()
	c, err := Dial(t.Context(), Options{Address: s.Address, Env: noVariables, Say: say})
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
