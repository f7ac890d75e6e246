package engine

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/schema"
)

// counter is a loop that appends an x in every round until there are five.
const counter = `
	in: {type: input}
	t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ more.text }}"}}
	c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthGreaterThan, "{{ t.text }}", 4]]}]}}
	more: {type: text, inputs: {text: "{{ t.text }}x", dependencies: ["{{ c.path_else }}"]}}
	done: {type: text, inputs: {text: "<{{ t.text }}>", dependencies: ["{{ c.path_0 }}"]}}
	out: {type: output, inputs: {value: "{{ done.text }}"}}
`

func TestLoops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, nodes, in, want, err string }{
		{"ends when its path is not taken", counter, "", `{"out":"<xxxxx>"}`, ""},
		{"one round", counter, "abcdef", `{"out":"<abcdef>"}`, ""},
		{"an entry that is not on a path, and a last node that is skipped", `
			in: {type: input}
			t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ more.text }}"}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ t.text }}", 3]]}]}}
			more: {type: text, inputs: {text: "{{ t.text }}x", dependencies: ["{{ c.path_0 }}"]}}
			last: {type: output, inputs: {value: "{{ more.text }}"}}
			out: {type: output, inputs: {value: "{{ t.text }}"}}
		`, "a", `{"last":null,"out":"axx"}`, ""},
		{"a path as the cyclic input", `
			in: {type: input}
			t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ more.text }}", dependencies: "{{ c.path_0 }}"}}
			more: {type: text, inputs: {text: "{{ t.text }}x"}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ more.text }}", 4]]}]}}
			out: {type: output, inputs: {value: "{{ more.text }} of {{ t.text }}"}}
		`, "a", `{"out":"axxx of axx"}`, ""},
		{"what runs in every other round leaves nothing behind", `
			in: {type: input}
			t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ next.text }}"}}
			odd: {type: condition, inputs: {conditions: [{clauses: [[TextEndsWith, "{{ t.text }}", o]]}]}}
			o: {type: text, inputs: {text: "e", dependencies: ["{{ odd.path_0 }}"]}}
			e: {type: text, inputs: {text: "o", dependencies: ["{{ odd.path_else }}"]}}
			m: {type: merge, inputs: {function: join, fields: ["{{ o.text }}", "{{ e.text }}"]}}
			j: {type: join_list_item, inputs: {list: "{{ m.output }}", join_by_newline: false, join_characters: "+"}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthGreaterThan, "{{ t.text }}", 6]]}]}}
			next: {type: text, inputs: {text: "{{ t.text }}{{ j.joined_text }}", dependencies: ["{{ c.path_else }}"]}}
			was_o: {type: output, inputs: {value: "{{ o.text }}"}}
			was_e: {type: output, inputs: {value: "{{ e.text }}"}}
			out: {type: output, inputs: {value: "{{ t.text }}"}}
		`, "o", `{"out":"oeoeoeo","was_e":null,"was_o":"e"}`, ""},
		{"a merge as the entry", `
			in: {type: input}
			m: {type: merge, inputs: {fields: ["{{ in.text }}"]}, cyclic_inputs: {fields: "{{ j.output }}"}}
			j: {type: merge, inputs: {function: join, fields: ["{{ a.text }}", "{{ b.text }}"]}}
			c:
			  type: condition
			  inputs:
			    conditions:
			      - {clauses: [[TextLengthLessThan, "{{ m.output }}", 3]]}
			      - {clauses: [[TextLengthLessThan, "{{ m.output }}", 5]]}
			a: {type: text, inputs: {text: "{{ m.output }}a", dependencies: ["{{ c.path_0 }}"]}}
			b: {type: text, inputs: {text: "{{ m.output }}b", dependencies: ["{{ c.path_1 }}"]}}
			out: {type: output, inputs: {value: "{{ m.output }}"}}
		`, "-", `{"out":"-aabb"}`, ""},
		{"an entry on a path", `
			in: {type: input}
			way: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ in.text }}", go]]}]}}
			t: {type: text, inputs: {text: a, dependencies: ["{{ way.path_0 }}"]}, cyclic_inputs: {text: "{{ more.text }}"}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthGreaterThan, "{{ t.text }}", 2]]}]}}
			more: {type: text, inputs: {text: "{{ t.text }}x", dependencies: ["{{ c.path_else }}"]}}
			out: {type: output, inputs: {value: "{{ t.text }}"}}
		`, "go", `{"out":"axx"}`, ""},
		{"an entry that is skipped", `
			in: {type: input}
			way: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ in.text }}", go]]}]}}
			t: {type: text, inputs: {text: a, dependencies: ["{{ way.path_0 }}"]}, cyclic_inputs: {text: "{{ more.output }}"}}
			more: {type: merge, inputs: {function: first, fields: ["{{ t.text }}", "{{ in.text }}"]}}
			out: {type: output, inputs: {value: "{{ more.output }}"}}
			not: {type: output, inputs: {value: "{{ t.text }}"}}
		`, "stay", `{"not":null,"out":"stay"}`, ""},
		{"an entry that is skipped, and could go on", `
			in: {type: input}
			way: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ in.text }}", go]]}]}}
			t: {type: text, inputs: {text: a, dependencies: ["{{ way.path_0 }}"]}, cyclic_inputs: {text: "{{ more.output }}", dependencies: "{{ more.complete }}"}}
			more: {type: merge, inputs: {function: first, fields: ["{{ t.text }}", "{{ in.text }}"]}}
			out: {type: output, inputs: {value: "{{ more.output }}"}}
			not: {type: output, inputs: {value: "{{ t.text }}"}}
		`, "stay", `{"not":null,"out":"stay"}`, ""},
		{"a node by itself", `
			in: {type: input}
			t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ t.text }}x"}}
			out: {type: output, inputs: {value: "{{ t.text }}"}}
		`, "", "none", "node t (text): its loop went round 100 times; a condition in it must stop it"},
		{"two loops, one after the other", `
			in: {type: input}
			t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ tx.text }}"}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ t.text }}", 3]]}]}}
			tx: {type: text, inputs: {text: "{{ t.text }}x", dependencies: ["{{ c.path_0 }}"]}}
			u: {type: text, inputs: {text: "{{ t.text }}-"}, cyclic_inputs: {text: "{{ ux.text }}"}}
			d: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ u.text }}", 6]]}]}}
			ux: {type: text, inputs: {text: "{{ u.text }}y{{ t.text }}", dependencies: ["{{ d.path_0 }}"]}}
			out: {type: output, inputs: {value: "{{ u.text }}"}}
		`, "", `{"out":"xxx-yxxx"}`, ""},
		{"a list in batch mode", `
			in: {type: input}
			l: {type: split_text, inputs: {text: "{{ in.text }}"}}
			t: {type: text_formatter, execution_mode: batch, inputs: {text: "{{ l.processed_text }}", formatter: To Uppercase}, cyclic_inputs: {text: "{{ x.text }}"}}
			x: {type: text, execution_mode: batch, inputs: {text: "{{ t.output }}x", dependencies: ["{{ c.path_0 }}"]}}
			j: {type: join_list_item, inputs: {list: "{{ t.output }}", join_by_newline: false, join_characters: " "}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ j.joined_text }}", 6]]}]}}
			out: {type: output, inputs: {value: "{{ j.joined_text }}"}}
		`, "a b", `{"out":"AXX BXX"}`, ""},
		{"an output in it is the last round's", `
			in: {type: input}
			t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ more.text }}"}}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ t.text }}", 3]]}]}}
			out: {type: output, inputs: {value: "{{ t.text }}"}}
			early: {type: output, inputs: {value: "{{ t.text }}", dependencies: ["{{ c.path_0 }}"]}}
			more: {type: text, inputs: {text: "{{ t.text }}x", dependencies: ["{{ out.complete }}", "{{ early.complete }}"]}}
		`, "a", `{"early":null,"out":"axx"}`, ""},
		{"a failure in a round", `
			in: {type: input}
			t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ more.output }}"}}
			more: {type: get_list_item, inputs: {list: ["oh", "0", "1"], index: "{{ t.text }}"}}
			out: {type: output, inputs: {value: "{{ more.output }}"}}
		`, "2", "none", `node more (get_list_item): input "index": "oh" is not a number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			outputs, err := runNodes(t, c.nodes, runner.Inputs{"in": c.in})
			if c.err != "" {
				checkError(t, err, c.err)
			} else if got := asJSON(outputs); err != nil || got != c.want {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}

// calls counts those of each node.
type calls struct {
	mu sync.Mutex
	of map[string]int
}

func (n *calls) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]int{}
	}
	n.of[name]++
}

// count counts the calls of all nodes of a pipeline.
func (n *calls) count(e *Engine, id string) {
	p := e.pipelines[id].program
	counted := func(name string, once step) step {
		return func(c *call) error {
			n.add(name)
			return once(c)
		}
	}
	for _, made := range p.nodes {
		made.step = counted(made.name, made.step)
	}
	for _, l := range p.loops {
		l.step = counted(p.nodes[l.entry].name, l.step)
	}
}

// What stands before and behind a loop runs once, however often it goes round.
func TestCallsOfALoop(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := save(t, e, counter+`
	beside: {type: text, inputs: {text: "{{ t.text }}"}}
	all: {type: output, inputs: {value: "{{ beside.text }} {{ in.text }}"}}
	`)
	var n calls
	n.count(e, id)
	status := wait(t, e, start(t, e, id, runner.Inputs{"in": "xxx"}))
	same(t, "outputs", asJSON(status.Outputs), `{"all":"xxxxx xxx","out":"<xxxxx>"}`)
	same(t, "calls", n.of, map[string]int{"in": 1, "t": 3, "c": 3, "more": 2, "done": 1, "beside": 1, "out": 1, "all": 1})
}

// The limit is on rounds: with one fewer the loop ends well.
func TestRoundsOfALoop(t *testing.T) {
	t.Parallel()
	for rounds, want := range map[string]string{"99": "", "100": "node t (text): its loop went round 100 times; a condition in it must stop it"} {
		_, err := runNodes(t, strings.Replace(counter, "4]", rounds+"]", 1), runner.Inputs{"in": "x"})
		if want != "" {
			checkError(t, err, want)
		} else if err != nil {
			t.Errorf("%s: %v", rounds, err)
		}
	}
}

// rewrite asks a model to make a text better until it says that it is good.
const rewrite = `
	in: {type: input}
	draft: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ better.response }}"}}
	verdict: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "judge {{ draft.text }}"}}
	c: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ verdict.response }}", good]]}]}}
	better: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "mend {{ draft.text }}", dependencies: ["{{ c.path_else }}"]}}
	out: {type: output, inputs: {value: "{{ draft.text }}"}}
`

// A run that is suspended in the middle of a round goes on there.
func TestSuspendedInARound(t *testing.T) {
	t.Parallel()
	var n calls
	m := newModel(t, func(_ int, q question) reply {
		prompt := q.says("user")
		n.add(prompt)
		what, draft, _ := strings.Cut(prompt, " ")
		switch {
		case n.of[prompt] == 1 && draft != "a": // from the second round on, everything is refused once
			return reply{status: 429}
		case what == "mend":
			return reply{text: draft + "+"}
		case draft == "a+++":
			return reply{text: "good"}
		}
		return reply{text: "bad"}
	})
	e := m.engine(t, Options{})
	status := runToEnd(t, e, rewrite, runner.Inputs{"in": "a"})
	same(t, "outputs", asJSON(status.Outputs), `{"out":"a+++"}`)
	same(t, "requests", n.of, map[string]int{"judge a": 1, "mend a": 1, "judge a+": 2, "mend a+": 2, "judge a++": 2, "mend a++": 2, "judge a+++": 2})
	same(t, "usage", status.Usage.OutputTokens, int64(7*5))
}

// A path that a model took in an earlier round is not taken any more.
func TestRoutesOfALoop(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(n int, _ question) reply {
		return reply{text: []string{`{"path": "path_0"}`, `{"path": "path_0"}`, `{"path": "none"}`}[min(n, 2)]}
	})
	status := runToEnd(t, m.engine(t, Options{}), `
		in: {type: input}
		t: {type: text, inputs: {text: "{{ in.text }}"}, cyclic_inputs: {text: "{{ more.text }}"}}
		way: {type: ai_routing, inputs: {provider: openai, model: gpt-4o, input_query: "{{ t.text }}", conditions: [go on]}}
		more: {type: text, inputs: {text: "{{ t.text }}x", dependencies: ["{{ way.path_0 }}"]}}
		not: {type: output, inputs: {value: x, dependencies: ["{{ way.path_0 }}"]}}
		out: {type: output, inputs: {value: "{{ t.text }}"}}
	`, runner.Inputs{"in": "a"})
	same(t, "outputs", asJSON(status.Outputs), `{"not":null,"out":"axx"}`)
}

// Whoever watches is told of the last round only, once, as what comes under one name is
// one value; what stands beside the loop comes in pieces as ever.
func TestStreamOfALoop(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(_ int, q question) reply {
		switch q.says("user") {
		case "P":
			return reply{pieces: []string{"o", "ne"}}
		case "one":
			return reply{pieces: []string{"tw", "o"}}
		case "two":
			return reply{pieces: []string{"go", "od"}}
		}
		return reply{pieces: []string{"be", "hind"}}
	})
	chunks, status := heard(t, m.engine(t, Options{}), `
		t: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: P, stream: true}, cyclic_inputs: {prompt: "{{ t.response }}", dependencies: "{{ early.complete }}"}}
		c: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ t.response }}", good]]}], dependencies: ["{{ inside.complete }}", "{{ note.complete }}"]}}
		inside: {type: output, inputs: {output_type: stream<string>, value: "{{ t.response }}"}}
		note: {type: text, inputs: {text: "<{{ t.response }}>"}}
		early: {type: output, inputs: {value: "{{ t.response }}", dependencies: ["{{ c.path_else }}"]}}
		out: {type: output, inputs: {output_type: stream<string>, value: "{{ t.response }}"}}
		more: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ note.text }}", stream: true}}
		live: {type: output, inputs: {output_type: stream<string>, value: "{{ more.response }}"}}
	`, nil)
	if status.Err != nil {
		t.Fatal(status.Err)
	}
	same(t, "outputs", asJSON(status.Outputs), `{"early":null,"inside":"good","live":"behind","out":"good"}`)
	slices.Sort(chunks) // nodes that are ready at once come in no order that matters here
	same(t, "chunks", chunks, []string{
		"inside good", "live= be", "live= hind", "more.input_tokens 10", "more.output_tokens 5", "more.response= be", "more.response= hind", "more.tokens_used 15",
		"note.text <good>", "out good", "t.input_tokens 10", "t.output_tokens 5", "t.response good", "t.tokens_used 15",
	})
}

// An output in a loop is the answer of a node before it in the first round only.
func TestRelayIntoALoop(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(n int, _ question) reply {
		return []reply{{pieces: []string{"Hel", "lo"}}, {text: "again"}, {text: "stop"}}[min(n, 2)]
	})
	chunks, status := heard(t, m.engine(t, Options{}), `
		n: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: P, stream: true}}
		out: {type: output, inputs: {output_type: stream<string>, value: "{{ n.response }}"}, cyclic_inputs: {value: "{{ q.response }}", dependencies: "{{ c.path_0 }}"}}
		q: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: Q, dependencies: ["{{ out.complete }}"]}}
		c: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ q.response }}", again]]}]}}
	`, nil)
	if status.Err != nil {
		t.Fatal(status.Err)
	}
	same(t, "outputs", asJSON(status.Outputs), `{"out":"again"}`)
	same(t, "chunks", slices.DeleteFunc(chunks, func(c string) bool { return strings.Contains(c, "tokens") }), []string{
		"n.response= Hel", "n.response= lo", "out again", "q.response stop",
	})
}

// Nodes that wait may be in a loop, and are cancelled there.
func TestTerminateALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		id := save(t, e, `
			w: {type: wait_node, inputs: {wait_time: 60, wait_time_type: seconds}, cyclic_inputs: {dependencies: "{{ x.complete }}"}}
			x: {type: text, inputs: {text: x, dependencies: ["{{ w.complete }}"]}}
			out: {type: output, inputs: {value: x, dependencies: ["{{ w.complete }}"]}}
		`)
		var n calls
		n.count(e, id)
		h := start(t, e, id, nil)
		time.Sleep(150 * time.Second) // which is in the third round
		if err := e.Terminate(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		same(t, "calls", n.of, map[string]int{"w": 3, "x": 2})
		status, err := e.Status(t.Context(), h)
		if err != nil || status.State != runner.Cancelled {
			t.Errorf("%+v, %v; want cancelled", status, err)
		}
	})
}

// An override is of the first round, as the input is; one that opens a loop is refused.
func TestOverridesOfALoop(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := save(t, e, counter)
	for _, c := range []struct {
		overrides map[string]any
		want, err string
	}{
		{map[string]any{"t.text": "yyy"}, `{"out":"<yyyxx>"}`, ""},
		{map[string]any{"more.text": "{{ t.text }}zz"}, `{"out":"<azzzz>"}`, ""},
		{map[string]any{"c.conditions": []any{map[string]any{"clauses": []any{[]any{"Equal", "a", "a"}}}}, "more.text": "x"}, "",
			"with node_input_overrides: batch.yaml:6:69: node t: {{ more.text }} closes no loop, as node more does not use what node t makes"},
	} {
		h, err := e.Start(t.Context(), id, runner.Inputs{"in": "a"}, runner.StartOptions{NodeInputOverrides: c.overrides})
		if c.err != "" {
			checkError(t, err, c.err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		same(t, "outputs", asJSON(wait(t, e, h).Outputs), c.want)
	}
}

// What a node of a loop needs is told once, and what cannot be is refused.
func TestChecksOfALoop(t *testing.T) {
	t.Parallel()
	e := New(Options{Env: func(string) (string, bool) { return "", false }})
	needs := e.Needs(parsePipeline(t, `
		t: {type: llm, inputs: {provider: openai, model: foo, prompt: P}, cyclic_inputs: {prompt: "{{ t.response }}", dependencies: "{{ c.path_0 }}"}}
		c: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ t.response }}", good]]}]}}
	`))
	if len(needs.Missing) != 1 || len(needs.Unpriced) != 1 || !needs.Models {
		t.Errorf("needs %+v; want one missing key, and one model without a price", needs)
	}
	problems := e.Check(parsePipeline(t, `
		t: {type: text, inputs: {text: a}, cyclic_inputs: {text: "{{ u.text }}"}}
		late: {type: input, inputs: {use_default_value: true, default_value: D, dependencies: ["{{ t.complete }}"]}}
		u: {type: text, inputs: {text: "{{ late.text }}"}}
	`))
	want := "node late is in the loop of node t; an input is the same in every round, so it must not wait for a node of it"
	if !slices.ContainsFunc(problems, func(p schema.Problem) bool { return p.Message == want && p.Line == 6 }) || len(problems) != 1 {
		t.Errorf("%v\nwant: %s", problems, want)
	}
}

// Every run has rounds of its own.
func TestManyLoopsAtOnce(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := save(t, e, counter)
	want := map[string]string{"": "<xxxxx>", "a": "<axxxx>", "ab": "<abxxx>", "abcdefgh": "<abcdefgh>"}
	var group sync.WaitGroup
	for range 50 {
		for in, out := range maps.All(want) {
			group.Go(func() {
				if status := wait(t, e, start(t, e, id, runner.Inputs{"in": in})); status.Outputs["out"] != out {
					t.Errorf("%q: %v, want %s", in, status, out)
				}
			})
		}
	}
	group.Wait()
}
