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

func TestDeviceThatIsFull(t *testing.T) {
	f, _, err := CreateResults("/dev/full", false)
	if err != nil {
		t.Fatal(err)
	}
	record(f, "a")
	n, err := f.Commit()
	want(t, "written", n, 0)
	want(t, "message", fmt.Sprint(err), "cannot write results to /dev/full: no space left on device")
	want(t, "closed", f.Close(), nil)
}

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
	f, _, err := CreateResults(path, false)
	if err != nil {
		t.Fatal(err)
	}
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

func TestReadOnlyFileSystem(t *testing.T) {
	dir := mount(t)
	if err := os.WriteFile(filepath.Join(dir, "out.jsonl"), []byte("kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"out.jsonl", "new.jsonl", "deep/out.jsonl"} {
		_, moved, err := CreateResults(filepath.Join(dir, path), true)
		if _, ok := errors.AsType[*ResultsError](err); !ok || !errors.Is(err, syscall.EROFS) || moved != "" {
			t.Errorf("%s: %v, moved to %q", path, err, moved)
		}
	}
	want(t, "kept", contents(t, filepath.Join(dir, "out.jsonl")), "kept\n")
}
