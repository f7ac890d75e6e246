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
// for a little longer; with no questions, at most until the first. The process may
// be faster, and end.
func (c *crowd) killAfter(questions int, longer time.Duration, flags ...string) *process {
	c.t.Helper()
	p := c.start(flags...)
	for range questions {
		select {
		case <-c.came:
		case <-p.ended:
		}
	}
	var first <-chan struct{}
	if questions == 0 {
		first = c.came
	}
	select {
	case <-first:
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
func (c *crowd) repeats() int {
	c.model.mu.Lock()
	defer c.model.mu.Unlock()
	asked := 0
	for _, n := range c.model.asked {
		asked += n
	}
	return asked - c.rows
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

// whole checks what a batch leaves behind that has succeeded: one line for each item,
// a summary that says what they say, and nothing else.
func (c *crowd) whole() {
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
	const reason = "all items succeeded"
	want := summaryFile{ExitCode: exitOK, Reason: reason, Batches: []batchSummary{{
		Batch: "crowd", Results: "crowd.jsonl", Generation: generation, Complete: true, ExitCode: exitOK, Reason: reason, Figures: tally.Figures(),
	}}}
	if diff := cmp.Diff(want, summary); diff != "" {
		t.Errorf("summary.json (-want as the results are, +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"crowd.jsonl", "crowd.jsonl.journal", "summary.json"}, c.files()); diff != "" {
		t.Errorf("files beside the results (-want +got):\n%s", diff)
	}
	c.model.takeRequests()
	c.start().ends(exitOK, fmt.Sprintf("crowd: %d already done, nothing to do", c.rows))
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
