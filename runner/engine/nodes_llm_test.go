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

const wantsLabel = `, json_response: true, json_schema: '{"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"], "additionalProperties": false}'`

func TestLLM(t *testing.T) {
	t.Parallel()
	testAI(t, "llm", "response", []aiCase{
		{name: "usual", node: `prompt: "Say {{ v.a }}", system: "Be {{ v.b }}."` + onModel, given: `{"a": "hi", "b": "kind"}`, answer: " Hi.\n", want: `" Hi.\n"`,
			asks: func(t *testing.T, q question) {
				same(t, "prompt", q.says("user"), "Say hi")
				same(t, "system", q.says("system"), "Be kind.")
				if q.Temperature != nil || q.TopP != nil || q.MaxTokens != nil || q.ResponseFormat != nil || q.Stream {
					t.Errorf("request: %s", q.raw)
				}
			}},
		{name: "no system", node: `prompt: P` + onModel, answer: "A", want: `"A"`,
			asks: func(t *testing.T, q question) { same(t, "messages", len(q.Messages), 1) }},
		{name: "tokens", node: `prompt: P` + onModel, answer: "A", out: "tokens_used", want: `15`},
		{name: "options", node: `prompt: P, temperature: "{{ v.a }}", top_p: 0.5, max_tokens: 100` + onModel, given: `{"a": "0.25"}`, answer: "A", want: `"A"`,
			asks: func(t *testing.T, q question) {
				if *q.Temperature != 0.25 || *q.TopP != 0.5 || *q.MaxTokens != 100 {
					t.Errorf("request: %s", q.raw)
				}
			}},
		{name: "a group of options", node: `prompt: P, sampling: {temperature: 0, top_p: 1, max_tokens: "{{ v.a }}"}, top_p: 0.5` + onModel, given: `{"a": 7}`, answer: "A", want: `"A"`,
			asks: func(t *testing.T, q question) {
				if *q.Temperature != 0 || *q.TopP != 0.5 || *q.MaxTokens != 7 {
					t.Errorf("request: %s", q.raw)
				}
			}},
		{name: "words", node: `prompt: P, reasoning_effort: low, verbosity: default` + onModel, answer: "A", want: `"A"`,
			asks: func(t *testing.T, q question) {
				if !strings.Contains(q.raw, `"reasoning_effort":"low"`) || strings.Contains(q.raw, "verbosity") {
					t.Errorf("request: %s", q.raw)
				}
			}},
		{name: "key", node: `prompt: P, api_key: "{{ v.a }}"` + onModel, given: `{"a": "another-key"}`, answer: "A", want: `"A"`,
			asks: func(t *testing.T, q question) { same(t, "key", q.key, "Bearer another-key") }},
		{name: "tuned model", node: `prompt: P, use_finetuned_model: true, finetuned_model: mine` + onModel, answer: "A", want: `"A"`,
			asks: func(t *testing.T, q question) { same(t, "model", q.Model, "mine") }},
		{name: "a model of the run", node: `prompt: P, provider: openai, model: "{{ v.a }}"`, given: `{"a": "gpt-5"}`, answer: "A", want: `"A"`,
			asks: func(t *testing.T, q question) { same(t, "model", q.Model, "gpt-5") }},

		{name: "JSON", node: `prompt: P, json_response: true` + onModel, answer: `{"x": 1}`, want: `"{\"x\": 1}"`,
			asks: func(t *testing.T, q question) { same(t, "format", q.ResponseFormat.Type, "json_object") }},
		{name: "JSON of a form", node: `prompt: P` + wantsLabel + onModel, answer: `{"label": "b"}`, want: `"{\"label\": \"b\"}"`,
			asks: func(t *testing.T, q question) { same(t, "format", q.ResponseFormat.Type, "json_schema") }},
		{name: "JSON of a form of the run", node: `prompt: P, json_response: true, jsonSchema: "{{ v.a }}"` + onModel, given: `{"a": {"type": "object", "required": ["y"]}}`,
			answer: `{"x": 1}`, err: `it does not fit the schema: missing properties: 'y': "{\"x\": 1}"`},
		{name: "no JSON where it was asked for", node: `prompt: P, json_response: true` + onModel, answer: `Hi`, err: `it is not JSON: "Hi"`},
		{name: "no object where it was asked for", node: `prompt: P, json_response: true` + onModel, answer: `[1]`, err: `it is no JSON object: "[1]"`},
		{name: "JSON of another form", node: `prompt: P` + wantsLabel + onModel, answer: `{"label": "c"}`,
			err: `it does not fit the schema: at /label: value must be one of "a", "b": "{\"label\": \"c\"}"`},

		{name: "nothing is asked", node: `prompt: "{{ v.a }}"` + onModel, given: `{"a": ""}`, err: `node n (llm): prompt and system are both empty`},
		{name: "no such provider", node: `prompt: P, provider: "{{ v.a }}", model: m`, given: `{"a": "opnai"}`, err: `provider "opnai" is unknown; did you mean "openai"?`},
		{name: "no model", node: `prompt: P, provider: openai, model: "{{ v.a }}"`, given: `{"a": ""}`, err: `no model of openai is given`},
		{name: "no number", node: `prompt: P, top_p: "{{ v.a }}"` + onModel, given: `{"a": "much"}`, err: `input "top_p": "much" is not a number`},
		{name: "no schema", node: `prompt: P, json_response: true, json_schema: "{{ v.a }}"` + onModel, given: `{"a": "{"}`, err: `unexpected end of JSON input`},
		{name: "no address", node: `prompt: P, base_url: "{{ v.a }}"` + onModel, given: `{"a": "here"}`, err: `base_url must begin with http:// or https:// and name a host`},
	})
}

func TestLLMThatIsWrong(t *testing.T) {
	t.Parallel()
	const begin = "prompt: x\nprovider: openai\nmodel: m\n"
	testRefused(t, "llm", []refusedCase{
		{"no model", "prompt: x\nprovider: openai", `10:19: node n (llm): no model of openai is given`},
		{"a model of the run", "prompt: x\nprovider: openai\nmodel: '{{ in.text }}'\ntemperature: 2", ``},
		{"tokens", begin + "max_tokens: -1", `12:21: node n (llm): input "max_tokens": -1 is no number of tokens`},
		{"tokens in a group", begin + "sampling: {max_tokens: 0}", `10:19: node n (llm): input "max_tokens": 0 is no number of tokens`},
		{"an option that is not taken", begin + "thinking_token_limit: 100", `12:31: node n (llm): provider openai takes no thinking_token_limit: leave it out`},
		{"an address", begin + "base_url: ftp://x", `12:19: node n (llm): base_url must begin with http:// or https:// and name a host`},
		{"no schema", begin + "json_response: true\njson_schema: '{\"type\": \"objekt\"}'",
			`13:22: node n (llm): input "json_schema": not a JSON Schema: at /type: value must be one of "array", "boolean", "integer", "null", "number", "object", "string"`},
		{"search", begin + "enable_web_search: true", `12:28: enable_web_search is not done by this engine yet; leave it out`},
		{"a filter of the run", begin + "enable_pii_name: '{{ in.text }}'", `12:26: enable_pii_name is not done by this engine yet; leave it out`},
		{"a group of filters", begin + "safety: {enable_moderation: true}", `12:17: safety is not done by this engine yet; leave it out`},
		{"what is off", begin + "enable_web_search: false\nsafety: {enable_moderation: false}\nretry_on_failure: false\ncitation_metadata: []", ``},
		{"retries", begin + "retry: {retry_on_failure: true}", `12:16: retry is not done by this engine yet; leave it out`},
	})
}

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
		n: {type: llm, inputs: {prompt: P`+wantsLabel+onModel+`}}
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
