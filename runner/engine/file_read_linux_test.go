package engine

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"nightshift/runner"
)

// A file that cannot be opened for as long as the test holds a lease on it: the run can
// be ended all the same.
func TestReadsThatWaitAreGivenUp(t *testing.T) {
	t.Parallel()
	for nodes, in := range map[string]runner.Inputs{`
		in: {type: input, inputs: {input_type: file}}
		out: {type: output, inputs: {value: "{{ in.processed_text }}"}}
	`: {"in": "a.txt"}, `
		read: {type: file_to_text, inputs: {file: a.txt}}
		out: {type: output, inputs: {value: "{{ read.processed_text }}"}}
	`: nil} {
		dir := t.TempDir()
		f, err := os.Create(filepath.Join(dir, "a.txt"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		e := New(Options{Dir: dir})
		id := save(t, e, nodes)
		if _, _, no := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_SETLEASE, syscall.F_WRLCK); no != 0 {
			t.Skip("no leases here: ", no)
		}
		h := start(t, e, id, in)
		time.Sleep(20 * time.Millisecond) // or it is ended before it reads, which it is too
		ended := make(chan error, 1)
		go func() { ended <- e.Terminate(t.Context(), h) }()
		select {
		case err := <-ended:
			if status, _ := e.Status(t.Context(), h); err != nil || status.State != runner.Cancelled {
				t.Errorf("%v, %v", status, err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the run waits for its file")
		}
		_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_SETLEASE, syscall.F_UNLCK)
	}
}
