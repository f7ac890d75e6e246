package engine

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
	"nightshift/spec"
)

// clerk is a transport that answers after a second, and keeps when it was asked.
type clerk struct {
	mu    sync.Mutex
	began time.Time
	asked []time.Duration
}

func (c *clerk) RoundTrip(*http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.asked = append(c.asked, time.Since(c.began))
	c.mu.Unlock()
	time.Sleep(time.Second)
	body := `{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// results keeps them.
type results struct{ all []*runner.Result }

func (r *results) Record(result *runner.Result) { r.all = append(r.all, result) }
func (r *results) Commit() (int, error)         { return 1000, nil }

// However long a line there is before the budget of calls, nobody gives up: the
// calls go out as they may, and every item gets its turn.
func TestRateGivesNobodyUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perMinute, items, concurrency int
		took                          time.Duration // of two calls an item
	}{
		{60, 60, 200, 2 * time.Minute},
		{600, 100, 8, 26 * time.Second}, // eight calls a second, as one takes a second
		{1, 3, 50, 5*time.Minute + time.Second},
	} {
		t.Run(fmt.Sprint(c.perMinute), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var text bytes.Buffer
				text.WriteString(`
version: 1
pipeline:
  name: p
  nodes:
    in: {type: input}
    one: {type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}"}}
    two: {type: llm, inputs: {provider: groq, model: n, prompt: "{{ one.response }}"}}
    out: {type: output, inputs: {value: "{{ two.response }}"}}
batches:
  b:
    inputs:
`)
				for i := range c.items {
					fmt.Fprintf(&text, "      - in: item %d\n", i)
				}
				file, problems := spec.Parse("batch.yaml", text.Bytes(), spec.Options{Env: func(string) (string, bool) { return "", false }})
				if errs, _ := problems.Split(); len(errs) > 0 {
					t.Fatal(errs)
				}
				env := func(name string) (string, bool) {
					key, ok := map[string]string{"OPENAI_API_KEY": "sk-0123456789", "GROQ_API_KEY": "sk-9876543210"}[name]
					return key, ok
				}
				calls := &clerk{began: time.Now()}
				e := New(Options{Env: env})
				e.models = llm.New(llm.Options{Env: env, HTTP: &http.Client{Transport: calls}, RequestsPerMinute: c.perMinute})
				saved, err := e.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
				if err != nil {
					t.Fatal(err)
				}
				retry := file.Run.Retry
				retry.MaxAttempts, retry.MaxElapsed = 1, time.Second // whoever is impatient shows it
				kept := &results{}
				began := time.Now()
				outcome, err := runner.Run(t.Context(), &runner.Plan{
					Batch: file.Batches[0], PipelineID: saved.PipelineID, Generation: "g", Total: -1, Rows: -1, Concurrency: c.concurrency,
					PollInterval: time.Second, Retry: retry, Redactor: file.Redactor,
				}, e, kept)
				if err != nil || outcome.Counts[runner.Succeeded] != c.items || outcome.Total() != c.items {
					t.Fatalf("%+v, %v; the last: %+v", outcome, err, kept.all[len(kept.all)-1].Error)
				}
				for i := range calls.asked {
					burst := max(1, c.perMinute/60)
					if earliest := time.Duration(max(0, i-burst+1)) * time.Minute / time.Duration(c.perMinute); calls.asked[i] < earliest-time.Microsecond {
						t.Errorf("call %d at %v, before %v", i, calls.asked[i], earliest)
					}
				}
				same(t, "calls", len(calls.asked), 2*c.items)
				same(t, "time", time.Since(began), c.took)
			})
		})
	}
}
