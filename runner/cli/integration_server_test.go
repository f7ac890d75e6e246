//go:build integration

package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// startServer starts a command that listens on a loopback port of its own
// choosing, and waits until it says which: the first group of ready, in its log.
// It is ended with the test; its log is shown if that failed.
func startServer(t *testing.T, ready *regexp.Regexp, env []string, name string, args ...string) (address string) {
	t.Helper()
	// A file: a pipe would end with the test, and a server that writes into a
	// broken one dies at once, without ending what it started.
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(t.Context(), serverLife)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	group := ownGroup
	cmd.SysProcAttr = &group
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("%v; make integration installs it", err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // how it ended is in its log, or of our doing
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("the last that %s said:\n%s", filepath.Base(name), logEnd(t, log.Name()))
		}
	})
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.After(serverStart)
	for {
		select {
		case <-look.C:
			if found := ready.FindSubmatch(logEnd(t, log.Name())); found != nil {
				return string(found[1])
			}
		case <-ended:
			t.Fatalf("%s ended before it listened", name)
		case <-late:
			t.Fatalf("%s does not listen after %v", name, serverStart)
		}
	}
}

var (
	ollamaListens = regexp.MustCompile(`Listening on (127\.0\.0\.1:\d+) `)
	llmockListens = regexp.MustCompile(`server listening on (http://127\.0\.0\.1:\d+)\s`)
)

// startOllama serves the model of testdata/model, under the names given.
func startOllama(t *testing.T, models ...string) (url string) {
	t.Helper()
	home := t.TempDir()
	env := []string{"HOME=" + home, "OLLAMA_MODELS=" + filepath.Join(home, "models"), "OLLAMA_NUM_PARALLEL=4", "OLLAMA_HOST=127.0.0.1:0"}
	address := startServer(t, ollamaListens, env, tool(t, "OLLAMA"), "serve")
	for _, model := range models {
		cmd := exec.CommandContext(t.Context(), tool(t, "OLLAMA"), "create", model, "-f", "../../testdata/model/Modelfile")
		cmd.Env = append(append(os.Environ(), env...), "OLLAMA_HOST="+address)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ollama create %s: %v\n%s", model, err, out)
		}
	}
	return "http://" + address
}

// startLLMock puts a server in front of another that answers the given shares
// of requests with faults of its own, and passes the rest on; those that it
// answers with malformed text it passes on first. Its counts are at /metrics.
func startLLMock(t *testing.T, behind string, chaos ...string) (url string) {
	t.Helper()
	args := []string{"--port", "0", "--host", "127.0.0.1", "--fixtures", t.TempDir(), "--metrics", "--proxy-only", "--provider-openai", behind}
	return startServer(t, llmockListens, nil, tool(t, "LLMOCK"), append(args, chaos...)...)
}

// counter passes requests on to a server, and counts them.
type counter struct {
	*httptest.Server
	requests atomic.Int64
}

func startCounter(t *testing.T, behind string) *counter {
	t.Helper()
	target, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	c := &counter{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}
