package script

import (
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestOrphan has a worker run a script without end, and leaves it alone.
func TestOrphan(t *testing.T) {
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Args = []string{workerName}
	cmd.Env = []string{marker + "=1"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready reply
	out := gob.NewEncoder(stdin)
	if err := out.Encode(Limits{Time: time.Hour}.withDefaults()); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(stdout).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	if err := out.Encode(request{HasCode: true, Code: "for (;;);", Name: "code", Inputs: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	select {
	case err := <-gone:
		t.Fatalf("it ended by itself: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	stdin.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		t.Error("it goes on although nobody waits for it")
	}
}

// TestWorkerByHand starts workers as nobody should.
func TestWorkerByHand(t *testing.T) {
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, stdin string
		args        []string
		works       bool
	}{
		{"the variable alone makes no worker", "", []string{"nightshift", "-test.run=^$"}, false},
		{"nor with its name, where there are arguments", "", []string{workerName, "-test.run=^$"}, false},
		{"nobody there", "", []string{workerName}, true},
		{"a text", `{"a": 1}`, []string{workerName}, true},
	} {
		cmd := exec.CommandContext(t.Context(), path)
		cmd.Args, cmd.Env, cmd.Stdin = test.args, []string{marker + "=1"}, strings.NewReader(test.stdin)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		err := cmd.Run()
		if said := strings.Contains(stderr.String(), "cannot be started in another way"); (err != nil) != test.works || said != test.works {
			t.Errorf("%s: %v, %q", test.name, err, stderr.String())
		}
	}
}

// children are the workers of this process that are there, by what the system says.
func children(t *testing.T) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		stat, _ := os.ReadFile(path) // one may be gone
		// PID (NAME) STATE PARENT ...
		before, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) || fields[0] == "Z" {
			continue
		}
		if args, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")); string(args) == workerName+"\x00" {
			number, _, _ := strings.Cut(before, " ")
			pid, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestKilledWhileItRuns has new workers die of what is not theirs.
func TestKilledWhileItRuns(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the system does not say which processes there are")
	}
	const work = "let end = Date.now() + 400; while (Date.now() < end); a = 1"
	for _, test := range []struct {
		kills int
		err   string
	}{
		{1, "<nil>"},
		{100, "the process that ran it died: signal: killed; so did the one before it, so the code may be what they died of, or this machine is short of memory"},
	} {
		p := newPool(t, Options{Workers: 1})
		others, seen, killed := children(t), map[int]time.Time{}, map[int]bool{}
		ended := make(chan error, 1)
		go func() {
			_, err := p.Run(t.Context(), Call{Name: "code", Code: work, Variables: true, Outputs: []string{"a"}})
			ended <- err
		}()
		var err error
		for running := true; running; {
			for _, pid := range children(t) {
				if seen[pid].IsZero() {
					seen[pid] = time.Now()
				}
				hasBegun := time.Since(seen[pid]) > 100*time.Millisecond // most likely; if not, it dies while it starts
				if hasBegun && len(killed) < test.kills && !slices.Contains(others, pid) && !killed[pid] {
					killed[pid] = true
					if process, err := os.FindProcess(pid); err == nil {
						_ = process.Kill()
					}
				}
			}
			select {
			case err = <-ended:
				running = false
			case <-time.After(5 * time.Millisecond):
			}
		}
		if message := fmt.Sprint(err); strings.TrimPrefix(message, "JavaScript cannot be run: ") != test.err || len(killed) != min(2, test.kills) {
			t.Errorf("%d were killed: %s\n want: %s", len(killed), message, test.err)
		}
	}
}

// TestDeathIsNotRemembered has the workers die that look at a code.
func TestDeathIsNotRemembered(t *testing.T) {
	p := newPool(t, Options{Workers: 1})
	prepared.Store(false)
	err := p.Check(t.Context(), "code", "a = 1")
	prepared.Store(true)
	if again := p.Check(t.Context(), "code", "a = 1"); err == nil || again != nil {
		t.Errorf("%v, then %v", err, again)
	}
}

// TestWorkerIsApart looks at a worker from outside.
func TestWorkerIsApart(t *testing.T) {
	p := newPool(t, Options{Workers: 1})
	t.Setenv("OPENAI_API_KEY", "sk-secret")
	one := Call{Name: "code", Code: "a = 1", Variables: true, Outputs: []string{"a"}}
	if _, err := p.Run(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	pids := p.pids()
	if runtime.GOOS == "linux" {
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(pids[0]) + "/environ")
		if want := marker + "=1\x00"; err != nil || string(environ) != want {
			t.Errorf("its environment: %q, %v, want %q", environ, err, want)
		}
	}
	if runtime.GOOS == "linux" {
		limits, err := os.ReadFile("/proc/" + strconv.Itoa(pids[0]) + "/limits")
		if err != nil || !regexp.MustCompile(`Max data size +\d+ `).Match(limits) {
			t.Errorf("its data is not limited: %v\n%s", err, limits)
		}
	}
	process, err := os.FindProcess(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(os.Interrupt); err != nil { // as all processes of a terminal get
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if _, err := p.Run(t.Context(), one); err != nil || !slices.Equal(p.pids(), pids) {
		t.Errorf("after an interrupt: %v, workers %v, which were %v", err, p.pids(), pids)
	}
}
