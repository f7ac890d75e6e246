//go:build bench

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"nightshift/runner"
)

// syncs holds a batch that forces its results onto the disk against one that does
// not, on this disk and on a slower one.
func (b *bench) syncs() {
	b.syncCost("2,000 items, 64 in flight, fsync group beside off", b.command)
	slow := b.slowDisk()
	made, each := b.asksSynced(slow, runner.FsyncEach, 200)
	if len(made) < 4 || slices.Min(made) < slowSync {
		b.Fatalf("the slower disk is not in effect: fsyncs took %v", made)
	}
	b.syncCost("  the same, 5 ms added to each fsync", slow)
	b.row("  200 items on it, fsync each", fmt.Sprintf("%.2f s, %d fsyncs", each.Seconds(), len(made)), "-", true)
}

// syncCost compares pairs of batches, of which now the one and now the other goes
// first.
func (b *bench) syncCost(what, command string) {
	const pairs = 5
	modes := [2]runner.Fsync{runner.FsyncOff, runner.FsyncGroup}
	var walls [2][]time.Duration
	var ratios []float64
	made := 0
	for i := range pairs {
		for k := range modes {
			m := (i + k) % len(modes)
			syncs, wall := b.asksSynced(command, modes[m], modelItems)
			walls[m] = append(walls[m], wall)
			if modes[m] == runner.FsyncGroup {
				made = len(syncs)
			}
		}
		ratios = append(ratios, walls[1][i].Seconds()/walls[0][i].Seconds())
	}
	slices.Sort(ratios)
	for m := range walls {
		slices.Sort(walls[m])
	}
	middle := pairs / 2
	b.row(what, fmt.Sprintf("%.3f x", ratios[middle]), "<= 1.050 x", ratios[middle] <= 1.05)
	b.row("  group and off", fmt.Sprintf("%.2f s, %.2f s", walls[1][middle].Seconds(), walls[0][middle].Seconds()), "-", true)
	if made > 0 {
		b.row("  fsyncs of group", fmt.Sprint(made), "-", true)
	}
}

// asksSynced runs a batch of n items with a model, and gives the time that it took
// and, of a command with a slow disk, that each of its fsyncs took.
func (b *bench) asksSynced(command string, mode runner.Fsync, n int) (syncs []time.Duration, wall time.Duration) {
	b.Helper()
	dir := b.asking(n)
	s := serveModel(b, modelLatency, never)
	defer s.Close()
	log := filepath.Join(dir, "fsyncs")
	p := b.process(append(modelAt(s), asSyncLog+"="+log), command, "run", filepath.Join(dir, "batch.yaml"), "--quiet", "--fsync", string(mode))
	if lines := countLines(b.T, filepath.Join(dir, "results", "asks.jsonl")); p.code != 0 || lines != n {
		b.Fatalf("fsync %s: exit code %d, %d lines\n%s", mode, p.code, lines, p.said)
	}
	if sizeOf(log) > 0 {
		b.eachLine(log, func(line []byte) {
			took, err := time.ParseDuration(string(line))
			if err != nil {
				b.Fatal(err)
			}
			syncs = append(syncs, took)
		})
	}
	return syncs, p.wall
}

// asking makes a folder with a batch of n questions to a model, none kept.
func (b *bench) asking(n int) (dir string) {
	b.Helper()
	return b.folder(map[string]string{"asks.csv": numbered(n), "batch.yaml": fmt.Sprintf(modelBatch, modelAtOnce, "false")})
}

// modelAt is the environment of a process whose models are at a server.
func modelAt(s *modelServer) []string {
	return []string{"OPENAI_API_KEY=a-key-that-opens-nothing", "OPENAI_BASE_URL=" + s.URL + "/v1"}
}

const (
	slowSync  = 5 * time.Millisecond
	asSyncLog = "NIGHTSHIFT_BENCH_SYNC_LOG"
)

var syncCall = regexp.MustCompile(`\b[\w.]+\.Sync\(\)`)

// slowDisk builds a command of which each fsync takes longer, and is noted in a
// file. The sources stay as they are: the compiler reads others in their stead.
func (b *bench) slowDisk() (command string) {
	b.Helper()
	sources, err := filepath.Glob("../*.go")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.folder(map[string]string{"slow_sync.go": fmt.Sprintf(`package runner

import (
	"fmt"
	"os"
	"time"
)

func slowSync(f interface{ Sync() error }) error {
	began := time.Now()
	time.Sleep(%d)
	err := f.Sync()
	if log, openErr := os.OpenFile(os.Getenv(%q), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); openErr == nil {
		fmt.Fprintln(log, time.Since(began))
		log.Close()
	}
	return err
}
`, slowSync, asSyncLog)})
	folder, err := filepath.Abs("..")
	if err != nil {
		b.Fatal(err)
	}
	replace := map[string]string{filepath.Join(folder, "slow_sync.go"): filepath.Join(dir, "slow_sync.go")}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			b.Fatal(err)
		}
		if name := filepath.Base(source); !strings.HasSuffix(name, "_test.go") && syncCall.Match(text) {
			replace[filepath.Join(folder, name)] = filepath.Join(dir, name)
			slow := syncCall.ReplaceAllFunc(text, func(call []byte) []byte {
				return fmt.Appendf(nil, "slowSync(%s)", bytes.TrimSuffix(call, []byte(".Sync()")))
			})
			if err := os.WriteFile(filepath.Join(dir, name), slow, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		b.Fatal(err)
	}
	command = filepath.Join(dir, "nightshift")
	build := exec.CommandContext(b.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", command, "../..")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return command
}
