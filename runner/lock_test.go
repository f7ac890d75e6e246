package runner

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "er", "r.jsonl")
	l, err := lockResults(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockResults(path)
	if _, locked := errors.AsType[*LockedError](err); !locked {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	message := fmt.Sprintf("^%s: another nightshift writes these results \\(process %d on %s since [0-9-]{0,10} ?[0-9]{2}:[0-9]{2}:[0-9]{2}\\); "+
		"wait for it, or choose another file with --output$", regexp.QuoteMeta(path), os.Getpid(), regexp.QuoteMeta(host))
	if !regexp.MustCompile(message).MatchString(err.Error()) {
		t.Errorf("%q is not like %q", err, message)
	}
	want(t, "names while it is held", namesIn(t, filepath.Dir(path)), "r.jsonl.lock")
	l.release()
	want(t, "names after", namesIn(t, filepath.Dir(path)), "")

	next, err := lockResults(path)
	if err != nil {
		t.Fatal(err)
	}
	l.release() // once more takes nothing from the next
	if _, err := lockResults(path); err == nil {
		t.Error("two have it")
	}
	next.release()
	(*resultsLock)(nil).release()
}

func TestLockOfResultsBehindALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("r.jsonl", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	l, err := lockResults(filepath.Join(dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	if _, err := lockResults(filepath.Join(dir, "r.jsonl")); err == nil {
		t.Error("two have it, under two names")
	}
}

func TestLockThatWasTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	first, err := lockResults(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path + ".lock"); err != nil { // by somebody who thought that it was in the way
		t.Fatal(err)
	}
	second, err := lockResults(path)
	if err != nil {
		t.Fatal(err)
	}
	first.release()
	if _, err := lockResults(path); err == nil {
		t.Error("the first took the lock of the second along")
	}
	second.release()
}

func TestHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	now := time.Now()
	tests := map[string]string{
		"": "", "garbage": "", "{}": "", `{"process":`: "", "\x00\x00": "",
		`{"process":7,"host":"h","since":"` + now.Format(time.RFC3339) + `"}`: "process 7 on h since " + now.Format("15:04:05"),
		`{"process":7,"host":"h","since":"2026-01-02T03:04:05.6Z"}`: "process 7 on h since " +
			time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local().Format("2006-01-02 15:04:05"),
	}
	for text, wanted := range tests {
		put(t, path, text, 0o600)
		want(t, text, readHolder(path), wanted)
	}
	want(t, "no file", readHolder(path+"x"), "")
	want(t, "message", (&LockedError{Path: "r"}).Error(),
		"r: another nightshift writes these results; wait for it, or choose another file with --output")
}

func TestLockThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	put(t, file, "", 0o600)
	path := filepath.Join(file, "r.jsonl")
	_, err := lockResults(path)
	want(t, "below a file", fmt.Sprint(err), "cannot write results to "+path+": not a directory")

	path = filepath.Join(dir, "r.jsonl")
	if err := os.Mkdir(path+".lock", 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err = lockResults(path); err == nil {
		t.Error("a folder is a lock")
	} else if _, ok := errors.AsType[*ResultsError](err); !ok {
		t.Error(err)
	}
}

// What others keep under that name is not written over, nor removed.
func TestLockThatIsNoLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	lock := path + ".lock"
	message := "cannot write results to " + path + ": its lock " + lock + " is another program's file; choose another results path"
	for _, text := range []string{"garbage", "# my packages\n", `{"name":"x"}`, "1234\n", strings.Repeat("x", 5000), `{"process":` + strings.Repeat(" ", 5000), "{}", "\n"} {
		put(t, lock, text, 0o600)
		_, err := lockResults(path)
		want(t, fmt.Sprintf("%.20q", text), fmt.Sprint(err), message)
		want(t, "text", contents(t, lock), text)
		want(t, "names", namesIn(t, filepath.Dir(path)), "r.jsonl.lock")
	}
	for _, text := range []string{"", "{", `{"process":7,"ho`, `{"process":7,"host":"h","since":"2026-01-02T03:04:05.6Z"}` + "\n", "\x00\x00\x00"} {
		put(t, lock, text, 0o600)
		l, err := lockResults(path)
		want(t, fmt.Sprintf("%q", text), err, nil)
		l.release()
		want(t, "names", namesIn(t, filepath.Dir(path)), "")
	}
}

// contend takes the lock again and again, until it had it so many times, and
// finds out whether it has it alone.
func contend(path string, times int) error {
	for had := 0; had < times; {
		l, err := lockResults(path)
		if _, locked := errors.AsType[*LockedError](err); locked {
			continue
		} else if err != nil {
			return err
		}
		inside, err := os.OpenFile(path+".inside", os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err // not alone
		}
		inside.Close()
		if err := os.Remove(path + ".inside"); err != nil {
			return err
		}
		l.release()
		had++
	}
	return nil
}

func TestLockAmongGoroutines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { want(t, "alone", contend(path, 50), nil) })
	}
	all.Wait()
	want(t, "names", namesIn(t, filepath.Dir(path)), "")

	var holders atomic.Int32
	for range 16 {
		all.Go(func() {
			if _, err := lockResults(path); err == nil {
				holders.Add(1) // never given back
			}
		})
	}
	all.Wait()
	want(t, "holders", holders.Load(), int32(1))
}

// TestLockOfAnotherProcess is that process: it is not a test by itself.
func TestLockOfAnotherProcess(t *testing.T) {
	path, what := os.Getenv("NIGHTSHIFT_TEST_LOCK"), os.Getenv("NIGHTSHIFT_TEST_LOCK_DOES")
	switch what {
	case "hold":
		if _, err := lockResults(path); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "contend":
		if err := contend(path, 50); err != nil {
			t.Fatal(err)
		}
	}
}

// otherProcess runs this test binary for something to do with a lock.
func otherProcess(t *testing.T, path, what string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), program, "-test.run=^TestLockOfAnotherProcess$")
	c.Env = append(os.Environ(), "NIGHTSHIFT_TEST_LOCK="+path, "NIGHTSHIFT_TEST_LOCK_DOES="+what)
	return c
}

func TestLockAmongProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	var all sync.WaitGroup
	for range 4 {
		c := otherProcess(t, path, "contend")
		all.Go(func() {
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	want(t, "names", namesIn(t, filepath.Dir(path)), "")
}

func TestLockOfAProcessThatIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	c := otherProcess(t, path, "hold")
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	want(t, "child", line, "held\n")
	_, err = lockResults(path)
	if holder := fmt.Sprintf("(process %d on ", c.Process.Pid); err == nil || !strings.Contains(err.Error(), holder) {
		t.Errorf("%v does not say %s", err, holder)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	put(t, path+".new-"+strings.Repeat("A", 26), "half", 0o600)
	want(t, "names it left", namesIn(t, filepath.Dir(path)), "r.jsonl.lock r.jsonl.new-"+strings.Repeat("A", 26))
	l, err := lockResults(path)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "names", namesIn(t, filepath.Dir(path)), "r.jsonl.lock")
	if who := readHolder(path + ".lock"); !strings.HasPrefix(who, fmt.Sprintf("process %d on ", os.Getpid())) {
		t.Error(who)
	}
	l.release()
	want(t, "names at last", namesIn(t, filepath.Dir(path)), "")
}
