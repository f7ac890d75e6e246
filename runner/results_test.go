package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallOutput is a file on a disk with room for so many bytes.
type smallOutput struct {
	room        int
	text        []byte
	truncateErr error
	syncErr     error
	writes      int
}

func (o *smallOutput) Write(p []byte) (int, error) {
	o.writes++
	n := min(len(p), o.room-len(o.text))
	o.text = append(o.text, p[:n]...)
	if n < len(p) {
		return n, &os.PathError{Op: "write", Path: "elsewhere", Err: syscall.ENOSPC}
	}
	return n, nil
}

func (o *smallOutput) Truncate(size int64) error {
	if o.truncateErr == nil {
		o.text = o.text[:size]
	}
	return o.truncateErr
}

func (o *smallOutput) Sync() error  { return o.syncErr }
func (o *smallOutput) Close() error { return nil }

func record(f *ResultsFile, ids ...string) {
	for _, id := range ids {
		f.Record(&Result{ID: id, Generation: "g", Status: Succeeded})
	}
}

// idsIn reads the ids of lines that must all be whole.
func idsIn(t *testing.T, text []byte) string {
	t.Helper()
	var ids []string
	for line := range bytes.Lines(text) {
		var r struct{ ID string }
		if err := json.Unmarshal(line, &r); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("line %q: %v", line, err)
		}
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestResultsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	for _, mode := range []Fsync{FsyncOff, FsyncGroup, FsyncEach} {
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		f := newResultsFile(path, out, 0, mode)
		record(f, "a", "b")
		want(t, "before the commit", contents(t, path), "")
		for _, wanted := range []int{2, 0} {
			n, err := f.Commit()
			want(t, "written", n, wanted)
			want(t, "error", err, nil)
		}
		record(f, "c")
		if n, err := f.Commit(); n != 1 || err != nil {
			t.Error(n, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		want(t, "ids", idsIn(t, []byte(contents(t, path))), "a b c")
	}
}

// TestWriteThatIsCutShort fills the disk up after every possible number of bytes.
func TestWriteThatIsCutShort(t *testing.T) {
	line := len((&Result{ID: "a", Generation: "g", Status: Succeeded}).AppendJSON(nil))
	for room := range 3 * line {
		out := &smallOutput{room: line + room}
		f := &ResultsFile{path: "out.jsonl", out: out}
		record(f, "a")
		if n, err := f.Commit(); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		record(f, "b", "c", "d")
		n, err := f.Commit()
		want(t, "lines written", n, room/line)
		want(t, "error", fmt.Sprint(err), "cannot write results to out.jsonl: no space left on device")
		want(t, "ids", idsIn(t, out.text), "a b c d"[:1+2*(room/line)])

		// Nothing more is written, even if it were to fit: the lines in between are lost.
		out.room = 100 * line
		record(f, "e")
		n, again := f.Commit()
		if n != 0 || !errors.Is(again, err) || out.writes != 2 {
			t.Fatalf("%d lines and %v after %d writes", n, again, out.writes)
		}
		want(t, "closed", f.Close(), nil) // the error has been told
	}
}

func TestTruncateFails(t *testing.T) {
	for half, wanted := range map[int]string{
		0: "cannot write results to out.jsonl: no space left on device",
		9: "cannot write results to out.jsonl: no space left on device; and the file may end with half a line: read-only file system",
	} {
		line := len((&Result{ID: "a", Generation: "g", Status: Succeeded}).AppendJSON(nil))
		out := &smallOutput{room: line + half, truncateErr: &os.PathError{Op: "truncate", Path: "x", Err: syscall.EROFS}}
		f := &ResultsFile{path: "out.jsonl", out: out}
		record(f, "a", "b")
		n, err := f.Commit()
		want(t, "written", n, 1)
		want(t, "message", fmt.Sprint(err), wanted)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error %v", err)
		}
	}
}

func TestCloseSyncs(t *testing.T) {
	for syncErr, wanted := range map[error]string{
		syscall.EIO:     "cannot write results to out.jsonl: input/output error",
		syscall.EINVAL:  "<nil>", // of a pipe
		syscall.ENOTSUP: "<nil>",
	} {
		f := &ResultsFile{path: "out.jsonl", out: &smallOutput{syncErr: &os.PathError{Op: "sync", Path: "x", Err: syncErr}}}
		want(t, "error", fmt.Sprint(f.Close()), wanted)
	}
}

func TestStreamResults(t *testing.T) {
	var out bytes.Buffer
	f := StreamResults("standard output", &out)
	record(f, "a", "b")
	if n, err := f.Commit(); n != 2 || err != nil {
		t.Error(n, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	want(t, "ids", idsIn(t, out.Bytes()), "a b")
}
