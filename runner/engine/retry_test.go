package engine

import (
	"encoding/json"
	"errors"
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

// pupil is a transport whose answers are said by their prompts: how it answers the
// n-th time that it is asked the same. Other than 200 is a refusal.
type pupil struct {
	calls
	answer func(prompt string, n int) (status int, text string)
}

func (p *pupil) RoundTrip(req *http.Request) (*http.Response, error) {
	var q question
	if err := json.NewDecoder(req.Body).Decode(&q); err != nil {
		return nil, err
	}
	prompt := q.says("user")
	p.add(prompt)
	status, text := p.answer(prompt, p.count1(prompt))
	content, _ := json.Marshal(text)
	body := fmt.Sprintf(`{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": %s}}], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}`, content)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func (p *pupil) engine() *Engine {
	env := func(name string) (string, bool) {
		if name == "OPENAI_API_KEY" {
			return "key-of-openai", true
		}
		return "", false
	}
	e := New(Options{Env: env})
	e.models = llm.New(llm.Options{Env: env, HTTP: &http.Client{Transport: p}})
	return e
}

// goodFrom answers badly until it is asked for the n-th time.
func goodFrom(good int) func(string, int) (int, string) {
	return func(_ string, n int) (int, string) {
		if n < good {
			return 200, "I cannot say."
		}
		return 200, `{"a": 1}`
	}
}

// strict is a node whose answer must be JSON.
func strict(retry string) string {
	return `
		in: {type: input}
		n: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ in.text }}", json_response: true, ` + retry + `}}
		out: {type: output, inputs: {value: "{{ n.response }}"}}
	`
}

// retried resumes a run like the runner does, when it is due, until it ends; parked
// are the pauses.
func retried(t *testing.T, e *Engine, h runner.Handle) (status runner.Status, parked []time.Duration) {
	t.Helper()
	for status = wait(t, e, h); status.Suspended != nil; status = resume(t, e, h) {
		pause := time.Duration(0)
		for _, err := range status.Suspended.Errs {
			if held, ok := errors.AsType[*runner.HeldBack](err); ok {
				pause = max(pause, held.For)
			}
		}
		if len(parked) > 50 {
			t.Fatalf("parked again and again: %v", status.Suspended.Errs)
		}
		parked = append(parked, pause)
		time.Sleep(pause)
	}
	return status, parked
}

func TestRetryOnFailure(t *testing.T) {
	const bad = `node n (llm): %sthe model's answer is of no use: it is not JSON: "I cannot say."`
	second := time.Second
	for _, c := range []struct {
		name, retry string
		answer      func(string, int) (int, string)
		asked       int
		parked      []time.Duration
		err         string
	}{
		{"off", `retry_on_failure: false, max_retries: 5`, goodFrom(2), 1, nil, fmt.Sprintf(bad, "")},
		{"not asked for", `max_retries: 5`, goodFrom(2), 1, nil, fmt.Sprintf(bad, "")},
		{"good at once", `retry_on_failure: true`, goodFrom(1), 1, nil, ""},
		{"three times, a second apart", `retry_on_failure: true`, goodFrom(4), 4, []time.Duration{second, second, second}, ""},
		{"and no more", `retry_on_failure: true`, goodFrom(5), 4, []time.Duration{second, second, second}, fmt.Sprintf(bad, "tried 4 times: ")},
		{"as often as is said", `retry_on_failure: true, max_retries: 1, retry_interval_ms: 250`, goodFrom(9), 2, []time.Duration{second / 4}, fmt.Sprintf(bad, "tried 2 times: ")},
		{"at once", `retry_on_failure: true, retry_interval_ms: 0`, goodFrom(2), 2, []time.Duration{0}, ""},
		{"no times", `retry_on_failure: true, max_retries: 0`, goodFrom(2), 1, nil, fmt.Sprintf(bad, "")},
		{"as a group", `retry: {retry_on_failure: true, max_retries: 1, retry_interval_ms: 3600000}`, goodFrom(2), 2, []time.Duration{time.Hour}, ""},
		{"the node before its group", `max_retries: 2, retry: {retry_on_failure: true, max_retries: 1}`, goodFrom(3), 3, []time.Duration{second, second}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pupil{answer: c.answer}
				e := p.engine()
				began := time.Now()
				status, parked := retried(t, e, start(t, e, save(t, e, strict(c.retry)), runner.Inputs{"in": "Q"}))
				if c.err != "" {
					checkError(t, status.Err, c.err)
				} else {
					same(t, "outputs", asJSON(status.Outputs), `{"out":"{\"a\": 1}"}`)
				}
				same(t, "requests", p.of["Q"], c.asked)
				same(t, "pauses", parked, c.parked)
				same(t, "usage", status.Usage.OutputTokens, int64(5*c.asked))
				var pauses time.Duration
				for _, pause := range c.parked {
					pauses += pause
				}
				same(t, "time", time.Since(began), pauses)
			})
		})
	}
}

// What the run tries again by itself is not counted; what is denied is not tried again.
func TestRetryIsOfBadAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pupil{answer: func(_ string, n int) (int, string) {
			return []int{429, 200, 503, 429, 503, 200}[n-1], []string{"", "bad", "", "", "", `{}`}[n-1]
		}}
		e := p.engine()
		status, _ := retried(t, e, start(t, e, save(t, e, strict("retry_on_failure: true, max_retries: 1")), runner.Inputs{"in": "Q"}))
		same(t, "error", status.Err, nil)
		same(t, "requests", p.of["Q"], 6)

		p = &pupil{answer: func(string, int) (int, string) { return 401, "" }}
		e = p.engine()
		status, parked := retried(t, e, start(t, e, save(t, e, strict("retry_on_failure: true")), runner.Inputs{"in": "Q"}))
		if status.State != runner.Failed || parked != nil || p.of["Q"] != 1 {
			t.Errorf("%+v after %d requests; want failed at once", status, p.of["Q"])
		}
	})
}

// Every run, every element and every round has its own tries.
func TestRetriesAreOfOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		once := func(prompt string, n int) (int, string) {
			if n == 1 {
				return 200, "bad"
			}
			return 200, fmt.Sprintf(`{"of": %q}`, prompt)
		}
		p := &pupil{answer: once}
		e := p.engine()
		id := save(t, e, strict("retry_on_failure: true, max_retries: 1"))
		for _, in := range []string{"one", "two"} {
			status, _ := retried(t, e, start(t, e, id, runner.Inputs{"in": in}))
			same(t, "error", status.Err, nil)
		}

		p = &pupil{answer: once}
		e = p.engine()
		nodes := strings.Replace(askEach, "prompt:", "retry_on_failure: true, max_retries: 1, json_response: true, prompt:", 1)
		words, _ := numbered(20)
		status, parked := retried(t, e, start(t, e, save(t, e, nodes), runner.Inputs{"in": words}))
		same(t, "error", status.Err, nil)
		same(t, "pauses of a batch", parked, []time.Duration{time.Second}) // the others do not wait
		same(t, "usage of a batch", status.Usage.OutputTokens, int64(5*40))
		for word, n := range p.of {
			same(t, "requests for "+word, n, 2)
		}

		p = &pupil{answer: once}
		e = p.engine()
		status, parked = retried(t, e, start(t, e, save(t, e, `
			in: {type: input}
			t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ t.text }}x", dependencies: "{{ c.path_0 }}"}}
			n: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ t.text }}", json_response: true, retry_on_failure: true, max_retries: 1}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ t.text }}", 4]]}], dependencies: ["{{ n.complete }}"]}}
			out: {type: output, inputs: {value: "{{ n.response }}"}}
		`), runner.Inputs{"in": "Q"}))
		same(t, "outputs of a loop", asJSON(status.Outputs), `{"out":"{\"of\": \"Qxxx\"}"}`)
		same(t, "pauses of a loop", len(parked), 4)
		same(t, "requests of a loop", p.of, map[string]int{"Q": 2, "Qx": 2, "Qxx": 2, "Qxxx": 2})
	})
}

// Of several that pause, each is tried again when it is due, not with the first.
func TestPausesOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		at := map[string][]time.Duration{}
		p := &pupil{answer: func(prompt string, n int) (int, string) {
			mu.Lock()
			defer mu.Unlock()
			at[prompt] = append(at[prompt], time.Since(began))
			if prompt == "refused" && n < 3 {
				return 503, ""
			}
			if n == 1 {
				return 200, "bad"
			}
			return 200, "{}"
		}}
		e := p.engine()
		words := `{type: llm, execution_mode: batch, inputs: {provider: openai, model: gpt-4o, prompt: [slow, refused], json_response: true, retry_on_failure: true, retry_interval_ms: 60000}}`
		h := start(t, e, save(t, e, `
			n: `+words+`
			out: {type: output, inputs: {output_type: json, value: "{{ n.response }}"}}
		`), nil)
		for status := wait(t, e, h); status.Suspended != nil; status = resume(t, e, h) {
			time.Sleep(7 * time.Second) // as somebody would for the sake of the one refused
		}
		same(t, "asked", at["slow"], []time.Duration{0, 63 * time.Second})
		same(t, "asked", at["refused"], []time.Duration{0, 7 * time.Second, 14 * time.Second})
	})
}

func TestCancelledInThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pupil{answer: goodFrom(9)}
		e := p.engine()
		h := start(t, e, save(t, e, strict("retry_on_failure: true, retry_interval_ms: 60000")), runner.Inputs{"in": "Q"})
		if status := wait(t, e, h); status.Suspended == nil || status.State != runner.Running {
			t.Fatalf("%+v; want suspended", status)
		}
		if err := e.Terminate(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		status, err := e.Status(t.Context(), h)
		if err != nil || status.State != runner.Cancelled || status.Usage.OutputTokens != 5 {
			t.Errorf("%+v, usage %+v, %v", status, status.Usage, err)
		}
	})
}

func TestRetriesThatAreRefused(t *testing.T) {
	t.Parallel()
	for retry, want := range map[string]string{
		`retry_on_failure: "{{ in.text }}"`:                             "retry_on_failure must be written out; it cannot come from another node",
		`retry_on_failure: true, max_retries: "{{ in.text }}"`:          "max_retries must be written out; it cannot come from another node",
		`retry_on_failure: true, max_retries: -1`:                       "max_retries is -1, but must be a whole number from 0 to 100",
		`retry_on_failure: true, max_retries: 101`:                      "max_retries is 101, but must be a whole number from 0 to 100",
		`retry_on_failure: true, retry_interval_ms: 3600001`:            "retry_interval_ms is 3600001, but must be a whole number from 0 to 3600000",
		`retry: {retry_on_failure: true, max_retries: -2}`:              "max_retries is -2, but must be a whole number from 0 to 100",
		`retry: {retry_on_failure: true, max_retries: "{{ in.text }}"}`: "max_retries must be written out; it cannot come from another node",
	} {
		problems := New(Options{}).Check(parsePipeline(t, strict(retry)))
		if len(problems) != 1 || problems[0].Message != want || problems[0].Line != 6 || problems[0].Col < 100 {
			t.Errorf("%s: %v\nwant: %s", retry, problems, want)
		}
	}
}

// parkings keeps why runs were parked.
type parkings struct{ reasons []string }

func (p *parkings) Handle(e runner.Event) {
	if e.Kind == runner.Parked {
		p.reasons = append(p.reasons, e.Reason)
	}
}

// Pauses take no slot, are not told as refusals, and are neither bounded by
// max_elapsed nor a sign that all runs fail alike.
func TestRetriesOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := `
version: 1
pipeline:
  name: p
  nodes:
    in: {type: input}
    n: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ in.text }}", json_response: true, retry_on_failure: true, max_retries: 2, retry_interval_ms: 600000}}
    out: {type: output, inputs: {value: "{{ n.response }}"}}
batches:
  b:
    inputs: [` + strings.Repeat("{in: Q}, ", 10) + `]
`
		file, problems := spec.Parse("batch.yaml", []byte(text), spec.Options{Env: func(string) (string, bool) { return "", false }})
		if errs, _ := problems.Split(); len(errs) > 0 {
			t.Fatal(errs)
		}
		p := &pupil{answer: goodFrom(21)} // the first two tries of all ten
		e := p.engine()
		saved, err := e.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		retry := file.Run.Retry
		retry.MaxAttempts, retry.MaxElapsed = 1, time.Minute
		kept, parked := &results{}, &parkings{}
		began := time.Now()
		outcome, err := runner.Run(t.Context(), &runner.Plan{
			Batch: file.Batches[0], PipelineID: saved.PipelineID, Generation: "g", Total: -1, Rows: -1, Concurrency: 1,
			PollInterval: time.Second, Retry: retry, Redactor: file.Redactor,
		}, e, kept, parked)
		if err != nil || outcome.Counts[runner.Succeeded] != 10 {
			t.Fatalf("%+v, %v; the last: %+v", outcome, err, kept.all[len(kept.all)-1].Error)
		}
		same(t, "time", time.Since(began), 20*time.Minute)
		same(t, "parked", len(parked.reasons), 20)
		same(t, "reason", parked.reasons[0], `node n (llm): the model's answer is of no use: it is not JSON: "I cannot say."; it is tried again after 10m0s`)
		same(t, "usage", kept.all[9].Usage.OutputTokens, int64(15))
	})
}
