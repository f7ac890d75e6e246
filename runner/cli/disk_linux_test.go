package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"nightshift/runner"
)

// mountResults puts a file system in memory where results go, which remount
// changes.
func (c *crowd) mountResults(options string) (remount func(flags uintptr, options string)) {
	c.t.Helper()
	dir := filepath.Dir(c.results())
	if err := os.Mkdir(dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		c.t.Skipf("a file system cannot be mounted here: %v", err)
	}
	c.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			c.t.Error(err)
		}
	})
	return func(flags uintptr, options string) {
		c.t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, options); err != nil {
			c.t.Fatal(err)
		}
	}
}

// keeps checks that the results hold whole lines, and all that were there.
func (c *crowd) keeps(before map[string]runner.Line) map[string]runner.Line {
	c.t.Helper()
	now, _ := resultLines(c.t, c.results())
	for id := range before {
		if _, there := now[id]; !there {
			c.t.Errorf("the result of item %s is lost", id)
		}
	}
	return now
}

func TestFullDisk(t *testing.T) {
	const rows = 200
	c := newCrowd(t, rows, true, 0)
	remount := c.mountResults("size=64k")
	c.failed.Store(true)
	c.start().ends(exitResults, "nightshift: cannot write results to results/crowd.jsonl: no space left on device")
	first := c.keeps(nil)
	if n := len(first); n < 20 || n > 120 {
		t.Errorf("%d results in 64 KB", n)
	}
	c.start().ends(exitResults, "no space left on device") // there is no more than there was
	c.keeps(first)
	remount(0, "size=256k")
	c.start().ends(exitItems, fmt.Sprintf("crowd: %d already done, 0 re-attached, %d to do", len(first), rows-len(first)))
	before := c.keeps(first)
	if len(before) != rows {
		t.Fatalf("%d items have a line, want %d", len(before), rows)
	}

	// There is space for the new lines, and none to join them.
	c.failed.Store(false)
	info, err := os.Stat(c.results())
	if err != nil {
		t.Fatal(err)
	}
	remount(0, fmt.Sprintf("size=%d", info.Size()*2))
	c.start("--retry-failed").ends(exitResults, "no space left on device")
	c.keeps(before)
	remount(0, "size=1m")
	c.model.takeRequests()
	c.start().ends(exitOK, fmt.Sprintf("crowd: %d already done, nothing to do", rows))
	if n := c.model.takeRequests(); n != 0 {
		t.Errorf("new lines were there, and the model was asked %d times for them", n)
	}
	c.whole()
}

func TestReadOnlyFolder(t *testing.T) {
	const rows = 40
	c := newCrowd(t, rows, true, 0)
	remount := c.mountResults("size=1m")
	remount(syscall.MS_RDONLY, "size=1m")
	c.start().ends(exitResults, "nightshift: cannot write results to results/crowd.jsonl: ", "read-only file system")
	remount(0, "size=1m")
	c.killAfter(20, 0)
	before := c.keeps(nil)
	asked := c.model.takeRequests()
	remount(syscall.MS_RDONLY, "size=1m")
	for _, flags := range [][]string{nil, {"--fresh"}, {"--retry-failed"}} {
		c.start(flags...).ends(exitResults, "read-only file system")
	}
	startProcess(t, c.dir, "", nil, "plan", "batch.yaml").ends(exitOK)
	if now := c.keeps(before); len(now) != len(before) || c.model.takeRequests() != 0 || asked == 0 {
		t.Errorf("%d items have a line, want %d", len(now), len(before))
	}
	remount(0, "size=1m")
	c.start().ends(exitOK)
	c.whole()
}
