//go:build integration || bench

package cli

import (
	"os"
	"syscall"
	"testing"
	"time"
)

const (
	serverStart = time.Minute      // until a server listens
	serverLife  = 20 * time.Minute // then it is ended, whatever the test does
)

// ownGroup lets a process be ended together with those that it starts, such as
// the runners of Ollama.
var ownGroup = syscall.SysProcAttr{Setpgid: true}

// logEnd is the last that a server said.
func logEnd(t *testing.T, path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const enough = 4 << 10
	return text[max(0, len(text)-enough):]
}

// tool gives the path of a server's command; the Makefile knows where it is.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := os.Getenv(name)
	if path == "" {
		t.Fatalf("%s is not set: run this with make integration, or make bench", name)
	}
	return path
}
