package llm

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// cacheChild runs this test binary as another process that uses a cache: see
// TestCacheChild.
func cacheChild(t testing.TB, path, task string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCacheChild$", "-test.v")
	cmd.Env = append(os.Environ(), "NIGHTSHIFT_TEST_CACHE="+path, "NIGHTSHIFT_TEST_TASK="+task,
		"GORACE=atexit_sleep_ms=0") // else each takes a second more to end
	return cmd
}

// TestCacheChild is what another process does. `hang` puts one answer, says so
// and waits to be killed; `from N` puts the 200 answers from N on.
func TestCacheChild(t *testing.T) {
	path := os.Getenv("NIGHTSHIFT_TEST_CACHE")
	if path == "" {
		t.Skip("this is for TestCacheSurvivesKill and TestCacheIsSharedByProcesses")
	}
	c := openTestCache(t, path, 0)
	task := os.Getenv("NIGHTSHIFT_TEST_TASK")
	if task == "hang" {
		fillCache(t, c, 100)
		fmt.Println("\nkept")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	from, err := strconv.Atoi(task)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { mustPut(t, c, from+i) })
	}
	wg.Wait()
	for i := range 200 {
		wantKept(t, c, from+i)
	}
}

func TestCacheSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "answers.db")
	cmd := cacheChild(t, path, "hang")
	if _, err := cmd.StdinPipe(); err != nil { // keeps it waiting
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []byte
	for buf := make([]byte, 100); !strings.Contains(string(said), "\nkept\n"); {
		n, err := out.Read(buf)
		if said = append(said, buf[:n]...); err != nil {
			t.Fatalf("the other process ended: %v\n%s", err, said)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	c := openTestCache(t, path, 0)
	for i := range 100 {
		wantKept(t, c, i)
	}
}

func TestCacheIsSharedByProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "answers.db")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if out, err := cacheChild(t, path, strconv.Itoa(1000*i)).CombinedOutput(); err != nil {
				t.Errorf("process %d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	c := openTestCache(t, path, 0)
	for i := range 4 {
		for j := range 200 {
			wantKept(t, c, 1000*i+j)
		}
	}
}
