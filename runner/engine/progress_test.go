package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// once is a run by itself, whose calls are made again after at most half a second.
func once(id string, in runner.Inputs, attempts int, elapsed time.Duration) *runner.Single {
	one := &runner.Single{PipelineID: id, Inputs: in}
	one.Retry.MaxAttempts, one.Retry.MaxElapsed = attempts, elapsed
	one.Retry.Backoff.Initial, one.Retry.Backoff.Factor, one.Retry.Backoff.Max = time.Second/2, 1, time.Second/2
	return one
}

// A run is not given up while any part of it gets on, however often it is suspended.
func TestNotGivenUpWhileItGetsOn(t *testing.T) {
	t.Parallel()
	const ask = `{type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "%s"}}`
	chain := "\nq: {type: input}\nl0: " + fmt.Sprintf(ask, "{{ q.text }}")
	for i := range 5 {
		chain += fmt.Sprintf("\nl%d: "+ask, i+1, fmt.Sprintf("{{ l%d.response }}+", i))
	}
	chain += "\na: {type: output, inputs: {value: \"{{ l5.response }}\"}}\n"
	words, _ := numbered(60)
	failsOnce := func(prompt string, n int) (int, string) {
		if n == 1 {
			return 503, ""
		}
		return 200, prompt
	}
	for _, c := range []struct {
		name, nodes, in string
		attempts        int
		answer          func() func(string, int) (int, string)
		asked           int
		err             string
	}{
		{"nodes of another pipeline", useSub, "x", 2, func() func(string, int) (int, string) { return failsOnce }, 12, ""},
		{"rounds of a loop", `
			in: {type: input}
			t: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ in.text }}"}, cyclic_inputs: {prompt: "{{ more.text }}"}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ t.response }}", 6]]}]}}
			more: {type: text, inputs: {text: "{{ t.response }}x", dependencies: ["{{ c.path_0 }}"]}}
			out: {type: output, inputs: {value: "{{ t.response }}"}}
		`, "x", 2, func() func(string, int) (int, string) { return failsOnce }, 12, ""},
		{"elements of a list", askEach, words, 2, func() func(string, int) (int, string) {
			var mu sync.Mutex
			taken, second := 0, time.Time{}
			return func(prompt string, _ int) (int, string) { // 4 a second
				mu.Lock()
				defer mu.Unlock()
				if now := time.Now().Truncate(time.Second); now != second {
					taken, second = 0, now
				}
				if taken++; taken > 4 {
					return 429, ""
				}
				return 200, prompt
			}
		}, -1, ""},
		{"one element that never succeeds", askEach, words, 2, func() func(string, int) (int, string) {
			return func(prompt string, _ int) (int, string) {
				if strings.HasSuffix(prompt, "7") {
					return 503, ""
				}
				return 200, prompt
			}
		}, -1, "given up after 2 tries: "},
		{"one node", `
			in: {type: input}
			t: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ in.text }}"}}
			out: {type: output, inputs: {value: "{{ t.response }}"}}
		`, "x", 3, func() func(string, int) (int, string) {
			return func(string, int) (int, string) { return 503, "" }
		}, 3, "given up after 3 tries: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pupil{answer: c.answer()}
				e := p.engine()
				id := saveFiles(t, e, c.nodes, map[string]string{"sub.yaml": chain})
				_, status, err := runner.Stream(t.Context(), once(id, runner.Inputs{"in": c.in}, c.attempts, 4*time.Second), e, func(runner.Chunk) {})
				switch {
				case err != nil:
					t.Fatal(err)
				case c.err == "" && status.State != runner.Succeeded, c.err != "" && (status.State != runner.Failed || !strings.HasPrefix(status.Err.Error(), c.err)):
					t.Errorf("%s: %v; want %q", status.State, status.Err, c.err)
				}
				if asked := 0; c.asked >= 0 {
					for _, n := range p.of {
						asked += n
					}
					same(t, "requests", asked, c.asked)
				}
			})
		})
	}
}

// Who pauses for an hour keeps nobody else waiting, in its own pipeline or in another.
func TestPausesSideBySide(t *testing.T) {
	t.Parallel()
	const sides = `
		q: {type: input}
		slow: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: slow, json_response: true, retry_on_failure: true, retry_interval_ms: 3600000}}
		fast: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: fast, json_response: true, retry_on_failure: true, retry_interval_ms: 1000}}
		refused: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ fast.response }}"}}
		a: {type: output, inputs: {value: "{{ slow.response }}{{ refused.response }}"}}
	`
	for name, nodes := range map[string]string{"here": strings.Replace(sides, "q:", "in:", 1), "inside": useSub} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var mu sync.Mutex
				at := map[string][]time.Duration{}
				p := &pupil{answer: func(prompt string, n int) (int, string) {
					mu.Lock()
					defer mu.Unlock()
					at[prompt] = append(at[prompt], time.Since(began).Truncate(time.Second))
					switch {
					case n > 1:
						return 200, "{}"
					case prompt == "{}":
						return 503, ""
					}
					return 200, "bad"
				}}
				e := p.engine()
				id := saveFiles(t, e, nodes, map[string]string{"sub.yaml": sides})
				_, status, err := runner.Stream(t.Context(), once(id, runner.Inputs{"in": "x"}, 4, time.Minute), e, func(runner.Chunk) {})
				if err != nil || status.State != runner.Succeeded {
					t.Fatalf("%+v, %v", status, err)
				}
				same(t, "asked", at, map[string][]time.Duration{
					"slow": {0, time.Hour}, "fast": {0, time.Second}, "{}": {time.Second, time.Second}, // half a second later at most
				})
			})
		})
	}
}

// Nothing of a suspended run is kept that is terminated.
func TestTerminatedRunsAreForgotten(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(_ int, q question) reply {
		if strings.HasPrefix(q.says("user"), "left") {
			return reply{text: "L"}
		}
		return reply{status: 429}
	})
	e := m.engine(t, Options{})
	h := start(t, e, saveFiles(t, e, useSub, map[string]string{"sub.yaml": askSub}), runner.Inputs{"in": "x"})
	if status := wait(t, e, h); status.Suspended == nil {
		t.Fatalf("status %+v", status)
	}
	r, _, err := e.phase(h)
	if err != nil || r.kept == nil {
		t.Fatalf("%v, keeps %v", err, r.kept)
	}
	if err := e.Terminate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if r.values != nil || r.kept != nil || r.rounds != nil || r.variables != nil || r.outputs != nil || r.refusals != nil {
		t.Errorf("it keeps %v, %v, %v, %v, %v, %v", r.values, r.kept, r.rounds, r.variables, r.outputs, r.refusals)
	}
}

// A run that is resumed while it is terminated has ended when that returns.
func TestTerminateWhileItIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		id := save(t, e, hourNodes)
		called := 0
		inject(e, id, "w", func(*call) error {
			if called++; called == 1 {
				return &runner.APIError{StatusCode: 429}
			}
			time.Sleep(time.Second) // and cannot be cancelled
			return nil
		})
		nodeOf(e, id, "w").suspends = true
		h := start(t, e, id, nil)
		if status := wait(t, e, h); status.Suspended == nil {
			t.Fatalf("status %+v", status)
		}
		r, _, err := e.phase(h)
		if err != nil {
			t.Fatal(err)
		}
		cancel := r.cancel
		r.cancel = func() { // that Terminate calls when it has looked at the phase
			r.cancel = cancel
			if err := e.Resume(t.Context(), h); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			cancel()
		}
		if err := e.Terminate(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if status, err := e.Status(t.Context(), h); err != nil || status.State != runner.Cancelled {
			t.Errorf("%+v, %v; want cancelled", status, err)
		}
	})
}

// Only what cancels the run itself makes it a cancelled one.
func TestSomethingElseIsCancelled(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	inner := save(t, e, `
		w: {type: text, inputs: {text: x}}
		a: {type: output, inputs: {value: "{{ w.text }}"}}
	`)
	inject(e, inner, "w", func(*call) error { return fmt.Errorf("the tool gave up: %w", context.Canceled) })
	outer := saveFiles(t, e, `
		sub: {type: pipeline, inputs: {pipeline: {name: p}}}
		out: {type: output, inputs: {value: "{{ sub.a }}"}}
	`, nil)
	for id, want := range map[string]string{
		inner: "node w (text): the tool gave up: context canceled",
		outer: "node sub (pipeline): node w (text): the tool gave up: context canceled",
	} {
		status := wait(t, e, start(t, e, id, nil))
		same(t, "state", status.State, runner.Failed)
		checkError(t, status.Err, want)
	}
}
