package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// mount makes a file system of two pages in memory.
func mount(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDiskThatFillsUp(t *testing.T) {
	path := filepath.Join(mount(t), "out.jsonl")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f := newResultsFile(path, out, 0, FsyncOff)
	var items []string
	for i := range 100 {
		items = append(items, fmt.Sprintf("i%d %ds", i, i%7))
	}
	synctest.Test(t, func(t *testing.T) {
		outcome, err := Run(t.Context(), newPlan(t, items...), waiting{newFake(t)}, f)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error %v", err)
		}
		ids := strings.Fields(idsIn(t, []byte(contents(t, path))))
		want(t, "counted", outcome.Total(), len(ids))
		if len(ids) < 5 || len(ids) > 50 {
			t.Errorf("%d lines in 8 KB", len(ids))
		}
	})
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
