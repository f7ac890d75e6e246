package engine

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// listed gives the nodes of a pipeline that has a list of four texts, l.processed_text,
// and ends with the output of n.
func listed(input, n, output string) string {
	return `
		` + input + `: {type: input}
		l: {type: split_text, inputs: {text: "{{ ` + input + `.text }} b c d"}}
		n: ` + n + `
		a: {type: output, inputs: {output_type: json, value: "{{ n.` + output + ` }}"}}
	`
}

const (
	eachBySub  = `{type: pipeline, execution_mode: batch, inputs: {pipeline: {file: sub.yaml}, q: "{{ l.processed_text }}"}}`
	eachByAsk  = `{type: pipeline, execution_mode: batch, inputs: {pipeline: {file: ask.yaml}, q: "{{ l.processed_text }}"}}`
	onceByAsk  = `{type: pipeline, inputs: {pipeline: {file: ask.yaml}, q: "{{ q.text }}"}}`
	askForEach = `{type: llm, execution_mode: batch, inputs: {provider: openai, model: gpt-4o, prompt: "{{ l.processed_text }}"}}`
	askOnce    = `{type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ q.text }}"}}`
	filterEach = `{type: ai_filter_list, execution_mode: batch, inputs: {provider: openai, model: gpt-4o, ai_condition: "is {{ l.processed_text }}", list_to_filter: [x, y, z]}}`
)

// However lists stand in one another, a run has 8 calls for their elements under way,
// two runs have 16.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, nodes string
		files       map[string]string
		requests    int
	}{
		{"lists in lists in lists", listed("in", eachBySub, "a"), map[string]string{"sub.yaml": listed("q", eachByAsk, "a"), "ask.yaml": listed("q", askForEach, "response")}, 64},
		{"one call in lists in lists", listed("in", eachBySub, "a"), map[string]string{"sub.yaml": listed("q", eachByAsk, "a"), "ask.yaml": listed("q", askOnce, "response")}, 16},
		{"one pipeline in between", listed("in", eachBySub, "a"), map[string]string{"sub.yaml": listed("q", onceByAsk, "a"), "ask.yaml": listed("q", askForEach, "response")}, 16},
		{"filters", listed("in", filterEach, "output"), nil, 12},
		{"filters in a list", listed("in", eachByAsk, "a"), map[string]string{"ask.yaml": listed("q", filterEach, "output")}, 48},
		{"side by side", listed("in", askForEach, "response") + "m: " + askForEach + "\no: " + askForEach, nil, 12},
	} {
		for runs := 1; runs <= 2; runs++ {
			t.Run(fmt.Sprintf("%s, %d runs", c.name, runs), func(t *testing.T) {
				t.Parallel()
				want := int64(runs * atOnce)
				var now, most atomic.Int64
				full := make(chan struct{}) // closed when as many as may be are under way
				once := sync.OnceFunc(func() { close(full) })
				m := newModel(t, func(int, question) reply {
					n := now.Add(1)
					defer now.Add(-1)
					for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
					}
					if n == want {
						once()
					}
					select {
					case <-full:
						time.Sleep(time.Millisecond) // lets one too many be seen
					case <-time.After(10 * time.Second):
					}
					return reply{text: `{"meets": true}`}
				})
				e := m.engine(t, Options{})
				id := saveFiles(t, e, c.nodes, c.files)
				var handles []runner.Handle
				for range runs {
					handles = append(handles, start(t, e, id, runner.Inputs{"in": "a"}))
				}
				for _, h := range handles {
					if status := wait(t, e, h); status.Err != nil {
						t.Error(status.Err)
					}
				}
				same(t, "most requests under way", most.Load(), want)
				same(t, "requests", len(m.questions()), runs*c.requests)
			})
		}
	}
}

// Time tells, too: 64 minutes of waiting by eights. Who waits for a turn hears of the
// run's end at once.
func TestTurnsOfWaiting(t *testing.T) {
	waits := `{type: wait_node, execution_mode: batch, inputs: {wait_time: "{{ l.processed_text }}", wait_time_type: seconds}}`
	minutes := strings.NewReplacer(" b c d", " 60 60 60")
	files := map[string]string{"sub.yaml": minutes.Replace(listed("q", eachByAsk, "a")), "ask.yaml": minutes.Replace(strings.Replace(listed("q", waits, "x"), `value: "{{ n.x }}"`, `value: "{{ l.processed_text }}", dependencies: ["{{ n.complete }}"]`, 1))}
	nodes := minutes.Replace(listed("in", eachBySub, "a"))
	pipeline, _ := loadPipeline(t, nodes, files)
	for _, c := range []struct {
		until, took time.Duration
		state       runner.State
	}{{time.Hour, 8 * time.Minute, runner.Succeeded}, {90 * time.Second, 90 * time.Second, runner.Cancelled}} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			e := New(Options{})
			saved, err := e.Save(t.Context(), pipeline, runner.SaveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			h := start(t, e, saved.PipelineID, runner.Inputs{"in": "60"})
			stop := time.AfterFunc(c.until, func() { _ = e.Terminate(t.Context(), h) })
			defer stop.Stop()
			_, p, _ := e.phase(h)
			<-p.done
			same(t, "state", p.status.State, c.state)
			same(t, "time", time.Since(began), c.took)
		})
	}
}
