package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"unicode/utf8"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
	"nightshift/schema"
	"nightshift/spec"
)

// model is what all nodes that ask a language model have in common: which one,
// at whom, and how it is to answer.
type model struct {
	client *llm.Client
	prices *llm.PriceList

	provider, name, apiKey, baseURL, otherBaseURL input
	maxTokens, temperature, topP, thinking        input
	sampling, effort, verbosity, tuned, useTuned  input
	json, schema, otherSchema, stream             input
	fixedProvider                                 string // of the nodes that know one only

	last atomic.Pointer[compiled] // it is the same for all runs, as a rule
}

// compiled is a schema that answers are to fit.
type compiled struct {
	text   string
	schema *schema.Written
}

// model compiles them, and refuses what can be seen to be wrong. Nodes have some
// of the inputs only; the others are empty then. fixed is the provider where the
// node's type decides on it.
func (s *setup) model(fixed string) *model {
	m := &model{
		client: s.engine.models, prices: s.engine.prices, fixedProvider: fixed,
		provider: s.in("provider"), name: s.in("model"), apiKey: s.in("api_key"), baseURL: s.in("base_url"), otherBaseURL: s.in("baseUrl"),
		maxTokens: s.in("max_tokens"), temperature: s.in("temperature"), topP: s.in("top_p"), sampling: s.in("sampling"),
		thinking: s.given("thinking_token_limit"), effort: s.in("reasoning_effort"), verbosity: s.in("verbosity"),
		tuned: s.in("finetuned_model"), useTuned: s.in("use_finetuned_model"),
		json: s.in("json_response"), schema: s.in("json_schema"), otherSchema: s.in("jsonSchema"), stream: s.in("stream"),
	}
	s.refuseSwitches()
	m.check(s)
	m.checkPrice(s)
	return m
}

// settings are the inputs that do not change from run to run, as a rule.
func (m *model) settings() []input {
	return []input{
		m.provider, m.name, m.apiKey, m.baseURL, m.otherBaseURL, m.maxTokens, m.temperature, m.topP, m.thinking, m.sampling,
		m.effort, m.verbosity, m.tuned, m.useTuned, m.json, m.schema, m.otherSchema, m.stream,
	}
}

// asked is the provider.
func (m *model) asked(c *call) string {
	if m.fixedProvider != "" {
		return m.fixedProvider
	}
	return m.provider.text(c)
}

// request makes what is asked of the settings; the question itself is added by
// the node.
func (m *model) request(c *call) (llm.Request, error) {
	r := llm.Request{
		Provider: m.asked(c), Model: m.name.text(c), APIKey: m.apiKey.text(c),
		BaseURL: m.baseURL.text(c), ReasoningEffort: m.effort.text(c), Verbosity: m.verbosity.text(c),
	}
	if r.BaseURL == "" {
		r.BaseURL = m.otherBaseURL.text(c)
	}
	group, _ := m.sampling.value(c).(map[string]any)
	var err error
	read := func(in input, key string) *float64 {
		v := in.value(c)
		if spec.IsEmpty(v) {
			v = group[key]
		}
		if spec.IsEmpty(v) || err != nil {
			return nil
		}
		number, e := spec.ToNumber(v)
		if e != nil {
			err = fmt.Errorf("input %q: %w", key, e)
			return nil
		}
		f, e := strconv.ParseFloat(string(number), 64)
		if e != nil {
			err = fmt.Errorf("input %q: %s is too large", key, number)
		}
		return &f
	}
	count := func(in input, key string) int {
		f := read(in, key)
		if f == nil || err != nil {
			return 0
		}
		if *f < 1 || *f > 1<<31 || *f != float64(int(*f)) {
			err = fmt.Errorf("input %q: %v is no number of tokens", key, *f)
		}
		return int(*f)
	}
	r.MaxTokens, r.ThinkingTokens = count(m.maxTokens, "max_tokens"), count(m.thinking, "thinking_token_limit")
	r.Temperature, r.TopP = read(m.temperature, "temperature"), read(m.topP, "top_p")
	flag := func(in input) bool {
		if v := in.value(c); spec.IsEmpty(v) || err != nil {
			return false
		}
		var set bool
		set, err = in.boolean(c)
		return set
	}
	if flag(m.useTuned) {
		if r.Model = m.tuned.text(c); r.Model == "" && err == nil {
			err = errors.New("finetuned_model is missing: use_finetuned_model asks for it")
		}
	}
	r.Stream = flag(m.stream)
	if r.JSON = flag(m.json); r.JSON && err == nil {
		r.Schema, err = m.wanted(c)
	}
	return r, err
}

// wanted is the schema that a JSON answer is to fit, or nil.
func (m *model) wanted(c *call) (json.RawMessage, error) {
	in := m.schema
	if spec.IsEmpty(in.value(c)) {
		in = m.otherSchema
	}
	text := in.text(c)
	if text == "" {
		return nil, nil
	}
	if _, err := m.compile(text); err != nil {
		return nil, fmt.Errorf("input %q: %w", in.name, err)
	}
	return json.RawMessage(text), nil
}

// compile makes a schema of its text, unless it has just done so.
func (m *model) compile(text string) (*schema.Written, error) {
	if last := m.last.Load(); last != nil && last.text == text {
		return last.schema, nil
	}
	made, err := schema.Compile(text)
	if err == nil {
		m.last.Store(&compiled{text, made})
	}
	return made, err
}

// fits gives a check of answers where JSON is asked for: that they are an
// object, and fit the schema; nil where any text will do.
func (m *model) fits(r llm.Request) func(text string) error {
	if !r.JSON {
		return nil
	}
	return func(text string) error {
		v, err := spec.ParseJSON([]byte(text))
		if err != nil {
			return fmt.Errorf("it is not JSON: %s", quote(text))
		}
		if len(r.Schema) == 0 {
			if _, ok := v.(map[string]any); !ok {
				return fmt.Errorf("it is no JSON object: %s", quote(text))
			}
			return nil
		}
		wanted, err := m.compile(string(r.Schema))
		if err != nil {
			return err
		}
		if err := wanted.Check(v); err != nil {
			return fmt.Errorf("it does not fit the schema: %w: %s", err, quote(text))
		}
		return nil
	}
}

// ask puts a request to its model. Those who watch the run are told the answer
// piece by piece, as the output of that name; "" tells them nothing before the
// node has ended, nor do those rounds of a loop and elements of a list that come under
// one name. check says why an answer is of no use.
func (m *model) ask(c *call, r llm.Request, output string, check func(text string) error) (llm.Answer, error) {
	how := llm.Call{Since: c.run.answersSince, Check: check}
	shown := 0
	if w := c.run.watcher; w != nil && r.Stream && output != "" && !c.element && c.node.loop == nil {
		how.Text = func(piece string) {
			shown += utf8.RuneCountInString(piece)
			w.piece(c.node, output, piece)
		}
	}
	answer, err := m.client.Ask(c.ctx, r, how)
	if bad, ok := errors.AsType[*llm.BadAnswer](err); err == nil || ok && bad != nil {
		m.count(c, r, answer)
	}
	if err != nil && shown > 0 && passes(err) {
		return answer, &brokenOff{shown, err} // to ask again would show two beginnings
	}
	return answer, err
}

// count puts what an answer took to the usage of the node.
func (m *model) count(c *call, r llm.Request, a llm.Answer) {
	var took runner.Usage
	if took.Cached = a.FromCache; !a.FromCache {
		usd, known := m.prices.Cost(r.Provider, r.Model, a)
		took.InputTokens, took.OutputTokens, took.USD, took.Unpriced = a.InputTokens, a.OutputTokens, usd, !known
	}
	c.usage = c.usage.Add(took)
}

// brokenOff is the end of an answer that somebody has seen the beginning of. It
// does not wrap its cause: the run is not to be suspended for it.
type brokenOff struct {
	shown int
	err   error
}

func (e *brokenOff) Error() string {
	return fmt.Sprintf("the answer broke off after %d characters: %v", e.shown, e.err)
}

// number is a count as a plain value.
func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
