package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

func TestTagged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, want string }{
		{"a\nb", "<text>\na\nb\n</text>"},
		{"", "<text>\n\n</text>"},
		{"<text>", "<text>\n<text>\n</text>"},
		{"x </text> y", "<text2>\nx </text> y\n</text2>"},
		{"x </TEXT > y", "<text2>\nx </TEXT > y\n</text2>"},
		{"</text></text2>", "<text3>\n</text></text2>\n</text3>"},
	} {
		same(t, c.data, tagged("text", c.data), c.want)
	}
}

func TestReadObject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{`{"a": 1}`, `{"a":1}`},
		{"```json\n{\"a\": 1}\n```", `{"a":1}`},
		{"```\n{\"a\": {}}\n```\n", `{"a":{}}`},
		{"Here it is:\n{\"a\": \"}\"} I hope that helps.", `{"a":"}"}`},
		{``, `none`},
		{`[1]`, `none`},
		{`"a"`, `none`},
		{`{"a": 1`, `none`},
		{`} {`, `none`},
		{`{"a": 1} or {"a": 2}`, `none`},
		{`{"a": 1, "a": 2}`, `none`},
	} {
		object, err := readObject(c.text)
		if (err == nil) != (c.want != "none") {
			t.Errorf("%s: error %v", c.text, err)
		}
		same(t, c.text, asJSON(object), c.want)
	}
}

// aiNodes is one node of each type that puts a question of its own, with an
// answer that it takes.
var aiNodes = map[string]struct{ inputs, answer string }{
	"summarizer":     {`text: "{{ in.text }}", provider: openai, model: gpt-4o`, "short"},
	"translator":     {`text: "{{ in.text }}", provider: openai, model: gpt-4o`, "kurz"},
	"scorer":         {`text: "{{ in.text }}", criteria: C, provider: openai, model: gpt-4o`, `{"score": 1}`},
	"categorizer":    {`text: "{{ in.text }}", fields: [a, b], provider: openai, model: gpt-4o`, `{"category": "a"}`},
	"extract_data":   {`text: "{{ in.text }}", fields: [{name: x, type: string}, {name: y, type: int32}]`, `{"x": "1", "y": 2}`},
	"ai_routing":     {`input_query: "{{ in.text }}", conditions: [one, two], provider: openai, model: gpt-4o`, `{"path": "path_1"}`},
	"ai_filter_list": {`list_to_filter: ["{{ in.text }}"], ai_condition: C, provider: openai, model: gpt-4o`, `{"meets": true}`},
	"llm":            {`prompt: "{{ in.text }}", provider: openai, model: gpt-4o`, "an answer"},
}

func aiPipeline(typ string) string {
	return `
		in: {type: input}
		n: {type: ` + typ + `, inputs: {` + aiNodes[typ].inputs + `}}
		out: {type: output, inputs: {value: "{{ n.complete }}"}}
	`
}

// What is asked hangs on the inputs alone: kept answers are found again by it.
func TestAsksTheSameAgain(t *testing.T) {
	t.Parallel()
	for typ, node := range aiNodes {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, always(node.answer))
			for range 3 { // maps are walked in another order each time
				if status := runToEnd(t, m.engine(t, Options{}), aiPipeline(typ), runner.Inputs{"in": "hello"}); status.Err != nil {
					t.Fatal(status.Err)
				}
			}
			asked := m.questions()
			if len(asked) != 3 {
				t.Fatalf("%d requests; want 3", len(asked))
			}
			for _, q := range asked {
				same(t, "request", q.raw, asked[0].raw)
			}
			if q := asked[0]; q.Temperature != nil || q.TopP != nil || q.MaxTokens != nil {
				t.Errorf("options were sent that nobody gave: %s", q.raw)
			}
			if strings.Contains(asked[0].says("system"), "hello") {
				t.Errorf("data stands in the system text: %s", asked[0].says("system"))
			}
		})
	}
}

// A kept answer costs nothing, and does not hide that others did.
func TestUsage(t *testing.T) {
	t.Parallel()
	for typ, node := range aiNodes {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, always(node.answer))
			e := m.engine(t, Options{Cache: openCache(t), Prices: map[string]spec.Price{"openai/gpt-4o": {Input: 1e6, Output: 2e6}}})
			paid := &runner.Usage{InputTokens: 10, OutputTokens: 5, USD: 20}
			id := save(t, e, aiPipeline(typ))
			for _, c := range []struct {
				what  string
				opts  runner.StartOptions
				asked int
				usage *runner.Usage
			}{
				{"first", runner.StartOptions{}, 1, paid},
				{"again", runner.StartOptions{}, 1, &runner.Usage{Cached: true}},
				{"fresh", runner.StartOptions{AnswersSince: time.Now().Add(time.Minute)}, 2, paid},
			} {
				h, err := e.Start(t.Context(), id, runner.Inputs{"in": "hello"}, c.opts)
				if err != nil {
					t.Fatal(err)
				}
				status := wait(t, e, h)
				if status.Err != nil {
					t.Fatal(status.Err)
				}
				same(t, c.what+": usage", status.Usage, c.usage)
				same(t, c.what+": requests", len(m.questions()), c.asked)
			}
		})
	}
}

// An answer of no use is paid for, but not kept.
func TestBadAnswerIsNotKept(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"scorer", "categorizer", "extract_data", "ai_routing", "ai_filter_list"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, func(n int, _ question) reply {
				return []reply{{text: "I cannot say."}, {text: aiNodes[typ].answer}}[min(n, 1)]
			})
			e := m.engine(t, Options{Cache: openCache(t)})
			id := save(t, e, aiPipeline(typ))
			first := wait(t, e, start(t, e, id, runner.Inputs{"in": "hello"}))
			wantSuffix(t, first.Err, `it is no JSON object: "I cannot say."`)
			if first.Usage == nil || first.Usage.OutputTokens != 5 {
				t.Errorf("usage of the bad answer: %+v", first.Usage)
			}
			if second := wait(t, e, start(t, e, id, runner.Inputs{"in": "hello"})); second.Err != nil {
				t.Errorf("the second time: %v", second.Err)
			}
			same(t, "requests", len(m.questions()), 2)
		})
	}
}

// A node that was refused goes on where it was.
func TestSuspendedAndResumed(t *testing.T) {
	t.Parallel()
	for typ, node := range aiNodes {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprint(typ, status), func(t *testing.T) {
				t.Parallel()
				m := newModel(t, func(n int, _ question) reply {
					if n == 0 {
						return reply{status: status}
					}
					return reply{text: node.answer}
				})
				e := m.engine(t, Options{})
				h := start(t, e, save(t, e, aiPipeline(typ)), runner.Inputs{"in": "hello"})
				first := wait(t, e, h)
				if first.Suspended == nil {
					t.Fatalf("status %+v; want suspended", first)
				}
				at, _ := errors.AsType[*runner.RunError](first.Suspended.Errs[0])
				api, _ := errors.AsType[*runner.APIError](first.Suspended.Errs[0])
				if at == nil || at.Node != "n" || api == nil || api.StatusCode != status {
					t.Errorf("suspended by %v", first.Suspended.Errs[0])
				}
				if second := resume(t, e, h); second.Err != nil || second.State != runner.Succeeded {
					t.Errorf("resumed: %+v", second)
				}
				same(t, "requests", len(m.questions()), 2)
			})
		}
	}
}

// Without a key nothing can be asked, which is said before a run, at its node.
func TestLacks(t *testing.T) {
	t.Parallel()
	for _, typ := range slices.Sorted(maps.Keys(aiNodes)) {
		e := New(Options{Env: func(string) (string, bool) { return "", false }})
		p := parsePipeline(t, aiPipeline(typ))
		if problems := e.Check(p); len(problems) > 0 {
			t.Errorf("%s: check: %v", typ, problems)
		}
		lacks := e.Needs(p).Missing
		if len(lacks) != 1 || !strings.Contains(lacks[0].Message, "OPENAI_API_KEY") || !strings.Contains(lacks[0].Message, "node n ("+typ+")") || lacks[0].Line == 0 {
			t.Errorf("%s: lacks: %v", typ, lacks)
		}
		status := wait(t, e, start(t, e, save(t, e, aiPipeline(typ)), runner.Inputs{"in": "hello"}))
		if status.State != runner.Failed || !strings.Contains(fmt.Sprint(status.Err), "OPENAI_API_KEY") {
			t.Errorf("%s: a run without a key: %+v", typ, status)
		}
	}
}

func TestUnpriced(t *testing.T) {
	t.Parallel()
	e := newModel(t, always("")).engine(t, Options{Prices: map[string]spec.Price{"openai/mine": {}, "yours": {Input: 1}}})
	unpriced := func(node string) string {
		t.Helper()
		p := parsePipeline(t, `
			in: {type: input}
			n: `+node+`
			out: {type: output, inputs: {value: "{{ n.complete }}"}}
		`)
		if problems := e.Check(p); len(problems) > 0 {
			t.Fatalf("%s: %v", node, problems)
		}
		var lines []string
		for _, problem := range e.Needs(p).Unpriced {
			lines = append(lines, fmt.Sprintf("%d:%d: %s", problem.Line, problem.Col, problem.Message))
		}
		return strings.Join(lines, "\n")
	}
	for _, c := range []struct{ inputs, want string }{
		{`provider: openai, model: gpt-4o`, ``},
		{`provider: openai, model: mine`, ``},
		{`provider: custom, model: yours`, ``},
		{`provider: openai, model: foo`, `6:65: node n (llm): model openai/foo has no known price, so run.stop.budget.usd cannot be kept; give run.prices`},
		{`provider: custom, model: mine`, `6:65: node n (llm): model custom/mine has no known price, so run.stop.budget.usd cannot be kept; give run.prices`},
		{`provider: openai, model: "{{ in.text }}"`, `6:65: node n (llm): which model it asks is known only when it runs, so run.stop.budget.usd cannot be kept; write model out`},
		{`provider: "{{ in.text }}", model: gpt-4o`, `6:50: node n (llm): which model it asks is known only when it runs, so run.stop.budget.usd cannot be kept; write provider out`},
		{`provider: openai, model: gpt-4o, finetuned_model: foo`, ``},
		{`provider: openai, model: foo, use_finetuned_model: true, finetuned_model: mine`, ``},
		{`provider: openai, model: gpt-4o, use_finetuned_model: true, finetuned_model: foo`, `6:117: node n (llm): model openai/foo has no known price, so run.stop.budget.usd cannot be kept; give run.prices`},
		{`provider: openai, model: gpt-4o, use_finetuned_model: "{{ in.text }}", finetuned_model: foo`, `6:94: node n (llm): which model it asks is known only when it runs, so run.stop.budget.usd cannot be kept; write use_finetuned_model out`},
	} {
		same(t, c.inputs, unpriced("{type: llm, inputs: {prompt: P, "+c.inputs+"}}"), c.want)
	}
	for _, typ := range slices.Sorted(maps.Keys(aiNodes)) { // all that ask a model say so
		text := strings.Replace(aiNodes[typ].inputs, "model: gpt-4o", "model: foo", 1)
		if typ == "extract_data" {
			text += ", provider: openai, model: foo"
		}
		if got := unpriced("{type: " + typ + ", inputs: {" + text + "}}"); !strings.Contains(got, "node n ("+typ+"): model openai/foo has no known price") {
			t.Errorf("%s: %s", typ, got)
		}
	}
}

// Every node type that asks a model is seen to do so.
func TestKeys(t *testing.T) {
	t.Parallel()
	e := newModel(t, always("")).engine(t, Options{})
	for typ := range aiNodes {
		needs := e.Needs(parsePipeline(t, aiPipeline(typ)))
		same(t, typ+": keys", needs.Keys, []string{"key-of-openai"})
		same(t, typ+": asks", needs.Models, true)
	}
	same(t, "a pipeline without models: asks", e.Needs(parsePipeline(t, echoNodes)).Models, false)
	for name, kind := range nodeTypes {
		if f, ok := schema.LookupNodeType(name).Input("model"); ok && f.Name == "model" && !kind.asks {
			t.Errorf("%s has a model, but its calls do not suspend runs", name)
		}
	}
}
