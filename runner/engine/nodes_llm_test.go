package engine

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// TestCutAnswers is about answers that end at max_tokens: text is given as it is,
// but not kept; half an object is of no use.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(int, question) reply { return reply{text: `{"label": "a"`, finish: "length"} })
	e := m.engine(t, Options{Cache: openCache(t)})
	for i := range 2 {
		status := runToEnd(t, e, aiPipeline("llm"), runner.Inputs{"in": "x"})
		if status.Err != nil || status.Usage.Cached {
			t.Errorf("text: %+v, usage %+v", status, status.Usage)
		}
		same(t, "requests", len(m.questions()), i+1)
	}
	status := runToEnd(t, e, `
		n:
		  type: llm
		  inputs:
		    provider: openai
		    model: gpt-4o
		    prompt: P
		    json_response: true
		    json_schema: '{"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"], "additionalProperties": false}'
		out: {type: output, inputs: {value: "{{ n.response }}"}}
	`, nil)
	wantSuffix(t, status.Err, `it was cut at max_tokens`)
	same(t, "usage", status.Usage.OutputTokens, int64(5))
}

// twoModels are nodes of which the second asks about the first's answer.
const twoModels = `
	in: {type: input}
	one: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "first {{ in.text }}"}}
	two: {type: llm, inputs: {provider: custom, model: own, prompt: "second {{ one.response }}"}}
	out: {type: output, inputs: {value: "{{ two.response }}"}}
`

func TestUsageOfTwoNodes(t *testing.T) {
	t.Parallel()
	prices := map[string]spec.Price{"openai/gpt-4o": {Input: 1e6, Output: 1e6}}
	for _, c := range []struct {
		name  string
		fails bool
		usage runner.Usage
	}{
		{"what has no price does not hide what has one", false, runner.Usage{InputTokens: 20, OutputTokens: 10, USD: 15, Unpriced: true}},
		{"a run that fails was paid for, too", true, runner.Usage{InputTokens: 10, OutputTokens: 5, USD: 15}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, func(n int, _ question) reply {
				if n > 0 && c.fails {
					return reply{status: 400}
				}
				return reply{text: "A"}
			})
			status := runToEnd(t, m.engine(t, Options{Prices: prices}), twoModels, runner.Inputs{"in": "x"})
			same(t, "failed", status.State == runner.Failed, c.fails)
			same(t, "usage", status.Usage, &c.usage)
		})
	}
	m := newModel(t, always("A"))
	if status := runToEnd(t, m.engine(t, Options{}), echoNodes, runner.Inputs{"in": "x"}); status.Usage != nil {
		t.Errorf("usage of a run that asked nobody: %+v", status.Usage)
	}
}

// One kept answer of two does not make the run one from the cache.
func TestUsageOfAKeptAnswer(t *testing.T) {
	t.Parallel()
	m := newModel(t, always("A"))
	e := m.engine(t, Options{Cache: openCache(t)})
	const one = `
		in: {type: input}
		one: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "first {{ in.text }}"}}
		out: {type: output, inputs: {value: "{{ one.response }}"}}
	`
	runToEnd(t, e, one, runner.Inputs{"in": "x"})
	status := runToEnd(t, e, twoModels, runner.Inputs{"in": "x"})
	same(t, "usage", status.Usage, &runner.Usage{InputTokens: 10, OutputTokens: 5, Unpriced: true})
	again := runToEnd(t, e, twoModels, runner.Inputs{"in": "x"})
	same(t, "usage of the same again", again.Usage, &runner.Usage{Cached: true})
}

// What was done before a node that is refused is not done again.
func TestRefusedAtTheSecondNode(t *testing.T) {
	t.Parallel()
	asked := map[string]int{}
	m := newModel(t, func(_ int, q question) reply { // one question at a time
		which, _, _ := strings.Cut(q.says("user"), " ")
		asked[which]++
		if which == "second" && asked[which] <= 2 {
			return reply{status: 429}
		}
		return reply{text: "A"}
	})
	e := m.engine(t, Options{})
	h := start(t, e, save(t, e, twoModels), runner.Inputs{"in": "x"})
	for range 2 {
		status := wait(t, e, h)
		at, ok := errors.AsType[*runner.RunError](status.Suspended.Errs[0])
		if status.State != runner.Running || !ok || at.Node != "two" {
			t.Fatalf("status %+v", status)
		}
		same(t, "usage", status.Usage.OutputTokens, int64(5))
		if err := e.Resume(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	status := wait(t, e, h)
	same(t, "outputs", asJSON(status.Outputs), `{"out":"A"}`)
	same(t, "requests", asked, map[string]int{"first": 1, "second": 3})
	same(t, "usage", status.Usage.OutputTokens, int64(10))
}

// Where one of two branches is refused, the other is finished, and kept.
func TestRefusedInOneBranch(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{}
	m := newModel(t, func(_ int, q question) reply {
		mu.Lock()
		defer mu.Unlock()
		prompt := q.says("user")
		if asked[prompt]++; prompt == "left" && asked[prompt] == 1 {
			return reply{status: 503}
		}
		return reply{text: "A" + prompt}
	})
	e := m.engine(t, Options{})
	h := start(t, e, save(t, e, `
		left: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: left}}
		right: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: right}}
		after: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ right.response }}"}}
		out: {type: output, inputs: {value: "{{ left.response }} {{ after.response }}"}}
	`), nil)
	if status := wait(t, e, h); status.Suspended == nil {
		t.Fatalf("status %+v", status)
	}
	same(t, "requests", asked, map[string]int{"left": 1, "right": 1, "Aright": 1})
	status := resume(t, e, h)
	same(t, "outputs", asJSON(status.Outputs), `{"out":"Aleft AAright"}`)
	same(t, "requests", asked, map[string]int{"left": 2, "right": 1, "Aright": 1})
	same(t, "usage", status.Usage.OutputTokens, int64(15))
}

func TestTerminateASuspendedRun(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(n int, _ question) reply {
		if n == 0 {
			return reply{text: "A"}
		}
		return reply{status: 429}
	})
	e := m.engine(t, Options{})
	h := start(t, e, save(t, e, twoModels), runner.Inputs{"in": "x"})
	if status := wait(t, e, h); status.Suspended == nil {
		t.Fatalf("status %+v", status)
	}
	if err := e.Terminate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if err := e.Resume(t.Context(), h); err == nil {
		t.Error("a cancelled run was resumed")
	}
	status := wait(t, e, h)
	if status.State != runner.Cancelled || status.Suspended != nil || status.Usage == nil || status.Usage.OutputTokens != 5 {
		t.Errorf("status %+v, usage %+v", status, status.Usage)
	}
	same(t, "requests", len(m.questions()), 2)
}

func TestTerminateWhileAModelAnswers(t *testing.T) {
	t.Parallel()
	asked, stay := make(chan struct{}), make(chan struct{})
	m := newModel(t, func(int, question) reply {
		close(asked)
		<-stay
		return reply{text: "A"}
	})
	t.Cleanup(func() { close(stay) }) // before the server closes, which waits
	e := m.engine(t, Options{})
	h := start(t, e, save(t, e, twoModels), runner.Inputs{"in": "x"})
	<-asked
	began := time.Now()
	if err := e.Terminate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	same(t, "state", wait(t, e, h).State, runner.Cancelled)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
}
