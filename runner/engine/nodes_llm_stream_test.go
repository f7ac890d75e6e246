package engine

import (
	"fmt"
	"strings"
	"testing"

	"nightshift/runner"
)

// heard runs a pipeline, and gives what those who watch it are told: output,
// a = where it is a piece, and the value.
func heard(t *testing.T, e *Engine, nodes string, in runner.Inputs) ([]string, runner.Status) {
	t.Helper()
	var chunks []string
	_, status, err := e.Stream(t.Context(), save(t, e, nodes), in, runner.StartOptions{}, func(c runner.Chunk) {
		sign := ""
		if c.Piece {
			sign = "="
		}
		chunks = append(chunks, fmt.Sprintf("%s%s %v", c.Output, sign, c.Value))
	})
	if err != nil {
		t.Fatal(err)
	}
	return chunks, status
}

const streamed = `
	in: {type: input}
	n: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ in.text }}", stream: true}}
	live: {type: output, inputs: {output_type: stream<string>, value: "{{ n.response }}"}}
	whole: {type: output, inputs: {value: "<{{ n.response }}>"}}
`

func pieces(list ...string) func(int, question) reply {
	return func(int, question) reply { return reply{pieces: list} }
}

func TestStream(t *testing.T) {
	t.Parallel()
	m := newModel(t, pieces("Hel", "lo", "!"))
	chunks, status := heard(t, m.engine(t, Options{}), streamed, runner.Inputs{"in": "hi"})
	if status.Err != nil {
		t.Fatal(status.Err)
	}
	same(t, "chunks", chunks, []string{
		"n.response= Hel", "live= Hel", "n.response= lo", "live= lo", "n.response= !", "live= !",
		"n.tokens_used 15", "n.input_tokens 10", "n.output_tokens 5", "whole <Hello!>",
	})
	same(t, "outputs", asJSON(status.Outputs), `{"live":"Hello!","whole":"<Hello!>"}`)
	same(t, "usage", status.Usage.OutputTokens, int64(5))
}

// A kept answer comes as one piece, and what is not streamed as a whole.
func TestStreamOfAKeptAnswer(t *testing.T) {
	t.Parallel()
	m := newModel(t, pieces("Hel", "lo"))
	e := m.engine(t, Options{Cache: openCache(t)})
	heard(t, e, streamed, runner.Inputs{"in": "hi"})
	chunks, status := heard(t, e, streamed, runner.Inputs{"in": "hi"})
	same(t, "cached", status.Usage.Cached, true)
	same(t, "first chunks", chunks[:2], []string{"n.response= Hello", "live= Hello"})

	chunks, _ = heard(t, e, strings.ReplaceAll(streamed, ", stream: true", ""), runner.Inputs{"in": "hi"})
	if !strings.HasPrefix(strings.Join(chunks, "|"), "n.response Hello|") || strings.Contains(strings.Join(chunks, "|"), "=") {
		t.Errorf("chunks of a node that does not stream: %q", chunks)
	}
	same(t, "requests", len(m.questions()), 1)
}

// The watchers of a run that nobody may see the pieces of see the end of it: an
// output on a branch is not told before the branch is taken.
func TestStreamOnABranch(t *testing.T) {
	t.Parallel()
	m := newModel(t, pieces("a", "b"))
	chunks, status := heard(t, m.engine(t, Options{}), `
		in: {type: input}
		n: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ in.text }}", stream: true}}
		c: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ n.response }}", ab]]}]}}
		yes: {type: output, inputs: {output_type: stream<string>, value: "{{ n.response }}", dependencies: ["{{ c.path_0 }}"]}}
		no: {type: output, inputs: {output_type: stream<string>, value: "{{ n.response }}", dependencies: ["{{ c.path_else }}"]}}
	`, runner.Inputs{"in": "hi"})
	if status.Err != nil {
		t.Fatal(status.Err)
	}
	same(t, "chunks", chunks[:2], []string{"n.response= a", "n.response= b"})
	if all := strings.Join(chunks, "|"); !strings.HasSuffix(all, "|yes ab") || strings.Contains(all, "|no") {
		t.Errorf("chunks: %q", chunks)
	}
}

// An answer that somebody has seen the beginning of cannot be begun again.
func TestStreamThatBreaksOff(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(int, question) reply { return reply{pieces: []string{"Hé", "llo"}, breaks: true} })
	e := m.engine(t, Options{})
	chunks, status := heard(t, e, streamed, runner.Inputs{"in": "hi"})
	if status.State != runner.Failed || status.Suspended != nil || !strings.HasPrefix(status.Err.Error(), "node n (llm): the answer broke off after 5 characters: ") {
		t.Errorf("status %+v", status)
	}
	same(t, "chunks", chunks, []string{"n.response= Hé", "live= Hé", "n.response= llo", "live= llo"})
	same(t, "requests", len(m.questions()), 1)

	// Without anybody who watches, it can.
	if status := wait(t, e, start(t, e, save(t, e, streamed), runner.Inputs{"in": "hi"})); status.Suspended == nil {
		t.Errorf("nobody has seen it, but %+v", status)
	}
}

// One that broke off before there was anything to see is asked for again, and a
// watcher goes on hearing.
func TestStreamThatBreaksOffAtOnce(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]reply{"no piece": {breaks: true}, "refused": {status: 429}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, func(n int, _ question) reply { return []reply{bad, {pieces: []string{"a", "b"}}}[min(n, 1)] })
			e := m.engine(t, Options{})
			var chunks []string
			h, status, err := e.Stream(t.Context(), save(t, e, streamed), runner.Inputs{"in": "hi"}, runner.StartOptions{}, func(c runner.Chunk) {
				chunks = append(chunks, c.Output)
			})
			if err != nil || status.Suspended == nil || chunks != nil {
				t.Fatalf("%v, %+v, chunks %q; want suspended", err, status, chunks)
			}
			if status := resume(t, e, h); status.Err != nil || len(chunks) != 8 {
				t.Errorf("resumed: %+v, chunks %q", status, chunks)
			}
		})
	}
}
