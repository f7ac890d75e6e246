package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// tree gives all files and folders below a path.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var paths []string
	fine(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != root {
			paths = append(paths, strings.TrimPrefix(path, root+"/"))
		}
		return err
	}))
	return paths
}

func TestFolderModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	s := open(t)
	putItems(t, s, 1)
	for _, path := range tree(t, s.String()) {
		info, err := os.Stat(filepath.Join(s.String(), path))
		fine(t, err)
		mode := fs.FileMode(0o600)
		if info.IsDir() {
			mode = 0o700
		}
		want(t, path, info.Mode().Perm(), mode)
	}
}

// TestFolderHalf are writes that end in the middle.
func TestFolderHalf(t *testing.T) {
	s := open(t)
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	fine(t, s.put(t.Context(), "specs/old", []byte("old")))
	for _, key := range []string{"specs/new", "specs/old"} {
		err := s.write(t.Context(), key, func(w io.Writer) error {
			_, _ = w.Write([]byte("half"))
			return broken
		})
		if !errors.Is(err, broken) {
			t.Error(err)
		}
		if err := s.put(cancelled, key, []byte("late")); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	want(t, "files", tree(t, s.String()), []string{"specs", "specs/old"})
	text, err := s.get(t.Context(), "specs/old")
	fine(t, err)
	want(t, "old", string(text), "old")
}

// TestFolderKilled leaves the files of a process that was killed while it wrote.
func TestFolderKilled(t *testing.T) {
	s := open(t)
	record(t, sinkOf(t, s, 1), result("i1", 1e9))
	folder := resultsFolder(passKey, 1)
	fine(t, os.WriteFile(filepath.Join(s.String(), folder, temporary("0002-x-000001.part.jsonl")), []byte(`{"id":`), 0o600))
	fine(t, os.WriteFile(filepath.Join(s.String(), passKey, temporary("pass.json")), []byte(`{"id":`), 0o600))
	entries, err := s.list(t.Context(), passKey+"/")
	fine(t, err)
	want(t, "objects", len(entries), 1) // the folder of results
	ids, whole := resultsOf(t, s)
	want(t, "ids", ids, []string{"i1"})
	want(t, "whole", whole, false)
	fine(t, s.Forget(t.Context(), passKey))
	want(t, "left", tree(t, s.String()), []string{"passes"})
	fine(t, s.Forget(t.Context(), passKey)) // nothing is there
}

// TestForgetLeavesOthers forgets one of two passes, and a run.
func TestForgetLeavesOthers(t *testing.T) {
	s := open(t)
	for _, key := range []string{"passes/g/b/n1", "passes/g/b/n2", "passes/g/b/n11", "runs/r1", "runs/r2"} {
		fine(t, s.PutFile(t.Context(), key, "/a", strings.NewReader("a")))
	}
	fine(t, s.Forget(t.Context(), "passes/g/b/n1"))
	fine(t, s.Forget(t.Context(), "runs/r1"))
	passes, err := s.Passes(t.Context(), "g", "b")
	fine(t, err)
	want(t, "passes", passes, []string{"passes/g/b/n11", "passes/g/b/n2"})
	_, err = s.File(t.Context(), "runs/r1", "/a")
	says(t, "forgotten", err, "there is no runs/r1/files/")
	text, err := s.File(t.Context(), "runs/r2", "/a")
	fine(t, err)
	want(t, "file", string(text), "a")
}

// TestForgetBesideWriters forgets passes, and with them folders that would be empty,
// while others write beside them.
func TestForgetBesideWriters(t *testing.T) {
	s := open(t)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 50 {
				key := fmt.Sprintf("passes/g/b/%d-%d", n, i)
				if err := s.put(t.Context(), passObject(key), []byte("{}")); err != nil {
					t.Error(err)
				}
				if err := s.Forget(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// TestFolderUnreadable is a folder that cannot be listed: that is not an empty one.
func TestFolderUnreadable(t *testing.T) {
	s := open(t)
	fine(t, os.MkdirAll(filepath.Join(s.String(), passKey, "results"), 0o700))
	fine(t, os.WriteFile(filepath.Join(s.String(), resultsFolder(passKey, 1)[:len(resultsFolder(passKey, 1))-1]), nil, 0o600))
	_, _, err := s.Results(t.Context(), passKey, 1)
	says(t, "results", err, "cannot list passes/g/b/n/results/000001/")
	_, err = s.ShardSink(t.Context(), passKey, 1, 1)
	says(t, "sink", err, "cannot list passes/g/b/n/results/000001/")
}

// TestFullDisk writes to a disk without room: /dev/full stands for it.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	_, err = full.Write([]byte("a"))
	s := open(t)
	says(t, "full", s.fail("write", "a/b", err), "store "+s.String()+": cannot write a/b: no space left on device; make room on its disk; what was written before is whole")
}
