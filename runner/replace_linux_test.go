package runner

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReplaceFileOnAFullDisk(t *testing.T) {
	dir := mount(t)
	path := filepath.Join(dir, "a")
	put(t, path, "old", 0o600)
	err := ReplaceFile(path, text(strings.Repeat("x", 1<<20)))
	want(t, "message", fmt.Sprint(err), "cannot write results to "+path+": no space left on device")
	want(t, "old one", contents(t, path), "old")
	want(t, "names", namesIn(t, dir), "a")
}

func TestFolderThatIsReadOnly(t *testing.T) {
	dir := mount(t)
	path := filepath.Join(dir, "a")
	put(t, path, "old", 0o600)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skip(err)
	}
	message := "cannot write results to " + path + ": read-only file system"
	want(t, "replace", fmt.Sprint(ReplaceFile(path, text("new"))), message)
	_, err := createJournal(path, journalHeader{}, nil, FsyncGroup)
	want(t, "journal", fmt.Sprint(err), message)
	_, err = lockResults(path)
	want(t, "lock", fmt.Sprint(err), "cannot write results to "+path+": its lock "+path+".lock: read-only file system")
	want(t, "current", fmt.Sprint(WriteCurrent(filepath.Join(dir, "state"), "b", path, Current{})),
		"cannot write results to "+filepath.Join(dir, "state")+": read-only file system")
}

// The devices are the test's own: what should go wrong here would otherwise take
// those of the machine away.
func TestReplaceFileThatIsADevice(t *testing.T) {
	dir := t.TempDir()
	pipe, full := filepath.Join(dir, "pipe"), filepath.Join(dir, "full")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // does not wait for a writer
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	want(t, "pipe", ReplaceFile(pipe, text("one")), nil)
	got := make([]byte, 3)
	if modeOf(t, pipe).Type() != os.ModeNamedPipe {
		t.Fatal("the pipe was replaced")
	}
	_, err = io.ReadFull(reader, got)
	want(t, "error", err, nil)
	want(t, "read", string(got), "one")

	const fullDevice = 1<<8 | 7 // as /dev/full
	if err := syscall.Mknod(full, syscall.S_IFCHR|0o600, fullDevice); err != nil {
		t.Skipf("a device cannot be made here: %v", err)
	}
	if file, err := os.OpenFile(full, os.O_WRONLY, 0); err != nil {
		t.Skipf("devices cannot be used here: %v", err)
	} else {
		file.Close()
	}
	want(t, "full", fmt.Sprint(ReplaceFile(full, text("one"))), "cannot write results to "+full+": no space left on device")
	want(t, "kept", modeOf(t, full).Type(), os.ModeDevice|os.ModeCharDevice)
	want(t, "names", namesIn(t, dir), "full pipe")
}
