package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// crowdBatch asks a model about each of many rows. Its answers are not kept, so
// that whatever is run again is asked again.
const crowdBatch = `version: 1
pipeline:
  name: crowd
  nodes:
    in: {type: input}
    llm: {type: llm, inputs: {provider: openai, model: gpt-5.1, prompt: "{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ llm.response }}"}}
batches:
  crowd: {from: rows.jsonl, map: {in: "{{ row.text }}"}KEY}
run: {concurrency: 16, cache: false}
`

const crowdConcurrency = 16

// crowd is a batch that is run by one process after the other.
type crowd struct {
	t      *testing.T
	dir    string
	rows   int
	random *rand.Rand
	model  *modelServer
	came   chan struct{} // a token for each question
	failed atomic.Bool   // rows with "bad" in them are refused
	kills  int
}

// newCrowd makes the batch; pad is how long its rows are.
func newCrowd(t *testing.T, rows int, keyed bool, pad int) *crowd {
	const seed = 20261123
	t.Logf("seed %d", seed)
	c := &crowd{t: t, dir: t.TempDir(), rows: rows, random: rand.New(rand.NewPCG(seed, uint64(rows))), came: make(chan struct{}, 1<<16)}
	c.model = serveModel(t, 0, func(prompt string, _ int) int {
		c.came <- struct{}{}
		time.Sleep(rand.N(8 * time.Millisecond))
		if c.failed.Load() && strings.Contains(prompt, "bad") {
			return 400
		}
		return 0
	})
	key := ""
	if keyed {
		key = `, key: "{{ row.id }}"`
	}
	c.write("batch.yaml", strings.Replace(crowdBatch, "KEY", key, 1))
	var text strings.Builder
	for i := range rows {
		kind := "good"
		if i%5 < 2 {
			kind = "bad"
		}
		if !keyed && i%10 == 1 {
			i-- // the same inputs as the row before
		}
		fmt.Fprintf(&text, "{\"id\": \"row-%d\", \"text\": \"a %s row: number %d%s\"}\n", i, kind, i, strings.Repeat(" and", pad/4))
	}
	c.write("rows.jsonl", text.String())
	return c
}

func (c *crowd) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crowd) results() string { return filepath.Join(c.dir, "results", "crowd.jsonl") }

// start starts a process that runs the batch.
func (c *crowd) start(flags ...string) *process {
	c.t.Helper()
	for len(c.came) > 0 {
		<-c.came
	}
	env := []string{"OPENAI_API_KEY=a-key-that-is-of-no-use", "OPENAI_BASE_URL=" + c.model.URL + "/v1"}
	return startProcess(c.t, c.dir, "", env, append([]string{"run", "batch.yaml"}, flags...)...)
}

// killAfter runs the batch until the model was asked so many questions, and then
// for a little longer. The process may be faster, and end.
func (c *crowd) killAfter(questions int, longer time.Duration, flags ...string) *process {
	c.t.Helper()
	p := c.start(flags...)
	for range questions {
		select {
		case <-c.came:
		case <-p.ended:
		}
	}
	select {
	case <-p.ended:
	case <-time.After(longer): // the moment is to be any
	}
	if p.kill() {
		c.kills++
	}
	return p
}

// killMany kills the batch at many moments: most of them while it asks, some
// while it loads.
func (c *crowd) killMany(kills, stride int, flags ...string) {
	c.t.Helper()
	for i := range kills {
		questions, longer := 1+c.random.IntN(stride), time.Duration(c.random.IntN(4))*time.Millisecond
		if i%5 == 2 {
			questions, longer = 0, time.Duration(c.random.IntN(120))*time.Millisecond
		}
		p := c.killAfter(questions, longer, flags...)
		if code := p.cmd.ProcessState.ExitCode(); code > exitItems {
			c.t.Fatalf("kill %d: it ended by itself with exit code %d:\n%s", i, code, p.err.String())
		}
	}
}

// repeats is how many questions were asked more than once.
func (c *crowd) repeats(times int) int {
	c.model.mu.Lock()
	defer c.model.mu.Unlock()
	asked := 0
	for _, n := range c.model.asked {
		asked += n
	}
	return asked - times*c.rows
}

// resultLines reads a results file: every line fits the schema, no item has two. It
// gives them by id, and what they add up to.
func resultLines(t *testing.T, path string) (map[string]runner.Line, *runner.Tally) {
	t.Helper()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &runner.Tally{}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	validator := schema.ResultValidator()
	lines, tally := map[string]runner.Line{}, &runner.Tally{}
	err = runner.ScanLines(file, func(s *runner.ScannedLine) bool {
		v, err := spec.ParseJSON(s.Raw)
		if err == nil {
			err = validator.Validate(v)
		}
		if s.Err != nil || err != nil {
			t.Fatalf("%s:%d: %v, %v\n%.200s", path, s.Number, s.Err, err, s.Raw)
		}
		if _, twice := lines[s.Line.ID]; twice {
			t.Errorf("%s:%d: item %s has two lines", path, s.Number, s.Line.ID)
		}
		lines[s.Line.ID] = s.Line
		tally.Add(&s.Line)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, tally
}

// readSummary reads a summary.json.
func readSummary(t *testing.T, path string) summaryFile {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s summaryFile
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, text)
	}
	return s
}

// whole checks what a batch leaves behind that has ended: one line for each item,
// a summary that says what they say, and nothing else.
func (c *crowd) whole(code int) {
	t := c.t
	t.Helper()
	lines, tally := resultLines(t, c.results())
	file, problems := spec.Load(filepath.Join(c.dir, "batch.yaml"), spec.Options{})
	if file == nil {
		t.Fatal(problems)
	}
	missing := map[string]bool{}
	generation := ""
	err := file.Batches[0].Items(nil, func(it spec.Item) bool {
		missing[it.ID] = true
		generation = lines[it.ID].Generation
		return true
	})
	if err != nil || len(missing) != c.rows {
		t.Fatalf("the batch has %d ids, want %d (%v)", len(missing), c.rows, err)
	}
	for id, l := range lines {
		if !missing[id] {
			t.Errorf("item %s is not of the batch", id)
		}
		if l.Generation != generation {
			t.Errorf("item %s is of generation %s, others of %s", id, l.Generation, generation)
		}
		delete(missing, id)
	}
	if len(missing) > 0 {
		t.Errorf("%d items have no line: %v", len(missing), slices.Sorted(maps.Keys(missing)))
	}
	summary := readSummary(t, filepath.Join(c.dir, "results", "summary.json"))
	reason := map[int]string{exitOK: "all items succeeded", exitItems: "some items did not succeed"}[code]
	want := summaryFile{ExitCode: code, Reason: reason, Batches: []batchSummary{{
		Batch: "crowd", Results: "crowd.jsonl", Generation: generation, Complete: true, ExitCode: code, Reason: reason, Figures: tally.Figures(),
	}}}
	if diff := cmp.Diff(want, summary); diff != "" {
		t.Errorf("summary.json (-want as the results are, +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"crowd.jsonl", "crowd.jsonl.journal", "summary.json"}, c.files()); diff != "" {
		t.Errorf("files beside the results (-want +got):\n%s", diff)
	}
	c.model.takeRequests()
	c.start().ends(code, fmt.Sprintf("crowd: %d already done, nothing to do", c.rows))
	if n := c.model.takeRequests(); n != 0 {
		t.Errorf("with nothing to do, the model was asked %d times", n)
	}
}

// files are the names of what is in the folder of the results.
func (c *crowd) files() []string {
	c.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(c.results()))
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A batch is killed at thirty moments and resumed each time; nothing is lost,
// and nothing is paid twice but what was under way.
func TestKilledAndResumed(t *testing.T) {
	rows, kills, aboutEnd := 2000, 30, 4
	if testing.Short() {
		rows, kills, aboutEnd = 400, 8, 2
	}
	c := newCrowd(t, rows, true, 0)
	c.killMany(kills-aboutEnd, 2*rows/kills)
	if c.kills < kills-aboutEnd {
		t.Errorf("killed %d times, want %d", c.kills, kills-aboutEnd)
	}
	for range aboutEnd { // while the last items end, and while the files are closed
		done, _ := resultLines(t, c.results())
		c.killAfter(rows-len(done), time.Duration(c.random.IntN(12))*time.Millisecond)
	}
	done, _ := resultLines(t, c.results())
	c.start().ends(exitOK, fmt.Sprintf("crowd: %d already done", len(done)))
	t.Logf("%d kills, %d repeats", c.kills, c.repeats(1))
	if n, most := c.repeats(1), c.kills*crowdConcurrency; n < 1 || n > most {
		t.Errorf("%d questions were asked again, want up to %d", n, most)
	}
	c.whole(exitOK)
}

// The same, however results are forced onto the disk, and however items get
// their ids.
func TestKilledWhateverTheIDs(t *testing.T) {
	const rows, kills = 240, 6
	for _, fsync := range []string{"each", "off"} {
		for name, keyed := range map[string]bool{"keys": true, "hashes": false} {
			t.Run(fsync+" "+name, func(t *testing.T) {
				c := newCrowd(t, rows, keyed, 0)
				c.killMany(kills, rows/kills, "--fsync", fsync)
				c.start("--fsync", fsync).ends(exitOK, "already done, 0 re-attached, ")
				if n, most := c.repeats(1), c.kills*crowdConcurrency; c.kills < kills || n < 1 || n > most {
					t.Errorf("%d questions were asked again, want up to %d", n, most)
				}
				c.whole(exitOK)
			})
		}
	}
}

// Items that failed are run again; kills in the middle neither lose their first
// lines, nor give them second ones.
func TestKilledWhileRetrying(t *testing.T) {
	const rows, bad, kills = 600, 240, 8
	c := newCrowd(t, rows, true, 0)
	c.failed.Store(true)
	c.start().ends(exitItems, "240 failed")
	c.failed.Store(false)
	c.killMany(kills, 2*bad/kills, "--retry-failed=bad_request")
	if c.kills < kills || !slices.Contains(c.files(), "crowd.jsonl.retry") {
		t.Errorf("killed %d times, want %d; the last one left %v", c.kills, kills, c.files())
	}
	lines, _ := resultLines(t, c.results())
	if len(lines) != rows {
		t.Errorf("%d items have a line, want %d", len(lines), rows)
	}
	if n, most := c.repeats(1), c.kills*crowdConcurrency+bad; n <= bad/2 || n > most {
		t.Errorf("%d questions were asked again, want more than %d and up to %d", n, bad/2, most)
	}

	// Without the flag nothing more is run again, but what was is kept.
	c.model.takeRequests()
	c.start().ends(exitItems, "crowd: 600 already done, nothing to do, ", "; --retry-failed runs those again")
	_, tally := resultLines(t, c.results())
	left := tally.Statuses[runner.Failed]
	if n := c.model.takeRequests(); left == 0 || left >= bad || n != 0 {
		t.Errorf("%d failed items are left of %d; the model was asked %d times", left, bad, n)
	}
	c.start("--retry-failed").ends(exitOK, fmt.Sprintf("crowd: %d already done, 0 re-attached, %d to do (%d again)", rows-left, left, left))
	c.whole(exitOK)
	lines, _ = resultLines(t, c.results())
	again := 0
	for _, l := range lines {
		if l.Attempts > 1 {
			again++
		}
	}
	if again != bad {
		t.Errorf("%d items have had several attempts, want those %d that failed", again, bad)
	}
}

// The join of new lines with those that stay is cut off: the results are the old
// ones or the new ones, and the next invocation goes on from there.
func TestKilledWhileJoining(t *testing.T) {
	const rows = 100
	c := newCrowd(t, rows, true, 1<<14)
	c.failed.Store(true)
	c.start().ends(exitItems, "40 failed")
	cut := 0
	for range 6 {
		p := c.start("--retry-failed", "--only", "row-0")
		for joining := false; !joining; {
			select {
			case <-p.ended:
				joining = true
			default:
				joining = slices.ContainsFunc(c.files(), func(name string) bool { return strings.HasPrefix(name, "crowd.jsonl.new-") })
			}
		}
		p.kill()
		names := strings.Join(c.files(), " ")
		if strings.Contains(names, "crowd.jsonl.new-") && strings.Contains(names, "crowd.jsonl.retry") {
			cut++
		}
		if lines, _ := resultLines(t, c.results()); len(lines) != rows {
			t.Fatalf("%d items have a line, want %d", len(lines), rows)
		}
	}
	if cut == 0 {
		t.Error("no join was cut off")
	}
	t.Logf("%d joins were cut off", cut)
	c.failed.Store(false)
	c.start("--retry-failed").ends(exitOK, "crowd: 60 already done, 0 re-attached, 40 to do (40 again)")
	c.whole(exitOK)
}
