package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// hostedBatch runs a pipeline of the platform for each of many rows.
const hostedBatch = `version: 1
pipeline:
  name: hosted
  nodes:
    in: {type: input}
    llm: {type: llm, inputs: {provider: openai, model: gpt-5.1, prompt: "{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ in.text }}: {{ llm.response }}"}}
batches:
  crowd: {from: rows.jsonl, map: {in: "{{ row.id }}"}, key: "{{ row.id }}"}
run:
  backend: vectorshift
  concurrency: 16
  poll_interval: 5ms
  rate: {requests_per_minute: 10000000}
  retry: {max_attempts: 20, backoff: {initial: 5ms, max: 20ms}}
`

const hostedConcurrency = 16

// hostedCrowd is a batch on a platform, run by one process after the other.
type hostedCrowd struct {
	t         *testing.T
	dir       string
	rows      int
	random    *rand.Rand
	server    *vectorshifttest.Server
	came      chan struct{} // a token for each start that comes
	processes []lifetime
	kills     int
	open      map[string]bool // intents at the last kill
	unsent    map[string]bool // items of which a kill has kept a start from being sent that was noted already
}

// lifetime is that of one process.
type lifetime struct {
	began  time.Time
	killed time.Time // zero: it was not
}

// newHostedCrowd makes the batch; more is put under run of the batch file. The test
// is run beside others, as it mostly waits.
func newHostedCrowd(t *testing.T, rows int, more string) *hostedCrowd {
	t.Parallel()
	const seed = 20261123
	c := &hostedCrowd{t: t, dir: t.TempDir(), rows: rows, random: rand.New(rand.NewPCG(seed, uint64(rows))), came: make(chan struct{}, 1<<16), unsent: map[string]bool{}}
	c.server = vectorshifttest.New()
	t.Cleanup(c.server.Close)
	c.set(vectorshifttest.Settings{})
	var text strings.Builder
	for i := range rows {
		fmt.Fprintf(&text, "{\"id\": \"row-%d\"}\n", i)
	}
	for name, text := range map[string]string{"batch.yaml": hostedBatch + more, "rows.jsonl": text.String()} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// set changes how the platform behaves.
func (c *hostedCrowd) set(to vectorshifttest.Settings) {
	before := to.Before
	to.Before = func(call vectorshifttest.Call) *vectorshifttest.Failure {
		if call.Op == vectorshifttest.Start {
			c.came <- struct{}{}
		}
		if before == nil {
			return nil
		}
		return before(call)
	}
	c.server.Set(to)
}

// takes says how long runs take that are started from now on; below 0: until they
// are terminated.
func (c *hostedCrowd) takes(d time.Duration) {
	c.set(vectorshifttest.Settings{Takes: func(vectorshifttest.Run) time.Duration { return d }})
}

func (c *hostedCrowd) results() string { return filepath.Join(c.dir, "results", "crowd.jsonl") }

// start starts a process that runs the batch.
func (c *hostedCrowd) start(flags ...string) *process {
	c.t.Helper()
	for len(c.came) > 0 {
		<-c.came
	}
	c.processes = append(c.processes, lifetime{began: time.Now()})
	return c.command(append([]string{"run", "batch.yaml"}, flags...)...)
}

// command starts a process that does something else with the platform.
func (c *hostedCrowd) command(args ...string) *process {
	c.t.Helper()
	env := []string{"VECTORSHIFT_API_KEY=" + c.server.Key, "VECTORSHIFT_BASE_URL=" + c.server.URL}
	return startProcess(c.t, c.dir, "", env, args...)
}

// underWay waits until so many starts have come, or the process has ended.
func (c *hostedCrowd) underWay(p *process, starts int) {
	c.t.Helper()
	for range starts {
		select {
		case <-c.came:
		case <-p.ended:
			return
		}
	}
}

// full runs the batch until as many runs are going as there may be, and all their
// starts are answered.
func (c *hostedCrowd) full(flags ...string) *process {
	c.t.Helper()
	p := c.start(flags...)
	c.underWay(p, hostedConcurrency)
	for len(c.intents()) > 0 || countStates(c.server)[runner.Running] < hostedConcurrency {
		select {
		case <-p.ended:
			c.t.Fatalf("it has ended:\n%s", p.err.String())
		case <-time.After(time.Millisecond):
		}
	}
	return p
}

// process is the place of the one that made a call.
func (c *hostedCrowd) process(at time.Time) int {
	later := slices.IndexFunc(c.processes, func(p lifetime) bool { return p.began.After(at) })
	if later < 0 {
		later = len(c.processes)
	}
	return later - 1
}

// kill runs the batch until so many starts have come and for a little longer, and
// kills it.
func (c *hostedCrowd) kill(starts int, longer time.Duration) {
	c.t.Helper()
	p := c.start()
	c.underWay(p, starts)
	select {
	case <-p.ended:
	case <-time.After(longer): // the moment is to be any
	}
	c.killed(p)
}

// killed kills a process, and notes which starts were not sent for that.
func (c *hostedCrowd) killed(p *process) {
	c.t.Helper()
	if !p.kill() {
		if code := p.cmd.ProcessState.ExitCode(); code > exitItems {
			c.t.Fatalf("it ended by itself with exit code %d:\n%s", code, p.err.String())
		}
		return
	}
	c.kills++
	this := &c.processes[len(c.processes)-1]
	this.killed = time.Now()
	sent := map[string]int{}
	for _, call := range c.server.Calls(vectorshifttest.Start) {
		if call.At.After(this.began) {
			sent[call.Body["inputs"].(map[string]any)["in"].(string)]++
		}
	}
	open := c.intents()
	for id, noted := range open {
		if noted > sent[id] && !c.open[id] {
			c.unsent[id] = true
		}
	}
	c.open = map[string]bool{}
	for id := range open {
		c.open[id] = true
	}
}

// intents are the items of which the journal says that a run was about to be started,
// but not that it was, and that have no result; with how often it says so.
func (c *hostedCrowd) intents() map[string]int {
	c.t.Helper()
	text, err := os.ReadFile(c.results() + ".journal")
	if err != nil {
		return nil // it was killed before there was one
	}
	open, noted := map[string]int{}, map[string]int{}
	for line := range bytes.Lines(text) {
		var record struct {
			Intent, Began *struct{ ID string }
			Dropped       string
		}
		if json.Unmarshal(line, &record) != nil {
			continue // torn
		}
		switch {
		case record.Intent != nil:
			noted[record.Intent.ID]++
			open[record.Intent.ID] = noted[record.Intent.ID]
		case record.Began != nil:
			delete(open, record.Began.ID)
		default:
			delete(open, record.Dropped)
		}
	}
	ended := c.ended()
	maps.DeleteFunc(open, func(id string, _ int) bool { return ended[id].ID != "" })
	return open
}

// hostedResult is what a line says of its run.
type hostedResult struct {
	ID                string
	PossibleDuplicate bool   `json:"possible_duplicate"`
	TaskID            string `json:"task_id"`
	TraceID           string `json:"trace_id"`
	Outputs           map[string]any
	Error             *struct{ Message string }
}

// ended gives the results by id, without a line that a kill has torn.
func (c *hostedCrowd) ended() map[string]hostedResult {
	c.t.Helper()
	text, err := os.ReadFile(c.results())
	if err != nil {
		return nil // there is none yet
	}
	results := map[string]hostedResult{}
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var r hostedResult
		if err := json.Unmarshal(line, &r); err != nil {
			c.t.Fatalf("%v: %.200s", err, line)
		}
		results[r.ID] = r
	}
	return results
}
