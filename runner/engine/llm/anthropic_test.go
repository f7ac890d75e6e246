package llm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"nightshift/runner"
)

// event is one event of a streamed message.
func event(data string) string {
	var e struct{ Type string }
	_ = json.Unmarshal([]byte(data), &e)
	return fmt.Sprintf("event: %s\ndata: %s\n\n", e.Type, data)
}

// The parts of a streamed message.
var (
	messageStart = event(`{"type": "message_start", "message": {"id": "x", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 5, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300, "output_tokens": 1}}}`) +
		event(`{"type": "ping"}`) + event(`{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}`)
	messageEnd = event(`{"type": "content_block_stop", "index": 0}`) +
		event(`{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4000}}`) + event(`{"type": "message_stop"}`)
)

func delta(text string) string {
	return event(`{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ` + quoted(text) + `}}`)
}

func TestMessageRequests(t *testing.T) {
	t.Parallel()
	const held = `{"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}, "required": ["z", "a"], "additionalProperties": false}`
	for _, test := range []struct {
		name   string
		change func(*Request)
		want   string // the body beside what does not change
	}{
		{"least", func(*Request) {}, `{}`},
		{"an old model", func(r *Request) { r.Model = "claude-3-haiku-20240307" }, `{"max_tokens": 4096, "model": "claude-3-haiku-20240307"}`},
		{"a model less old", func(r *Request) { r.Model = "claude-3-5-haiku-20241022" }, `{"max_tokens": 8192, "model": "claude-3-5-haiku-20241022"}`},
		{"an old model at a gateway", func(r *Request) { r.Model = "anthropic/claude-3-opus" }, `{"max_tokens": 4096, "model": "anthropic/claude-3-opus"}`},
		{"an old model that thinks", func(r *Request) { r.Model, r.ThinkingTokens = "claude-3-5-sonnet", 2000 },
			`{"max_tokens": 10192, "model": "claude-3-5-sonnet", "thinking": {"type": "enabled", "budget_tokens": 2000}}`},
		{"system", func(r *Request) { r.System = "be kind" }, `{"system": [{"type": "text", "text": "be kind"}]}`},
		{"images", func(r *Request) {
			r.Images = []Image{{URL: "https://h/i.png"}, {MIME: "image/png", Data: []byte{1, 2, 3}}, {URL: "data:image/gif;base64,AAAA"}}
		}, `{"messages": [{"role": "user", "content": [
			{"type": "image", "source": {"type": "url", "url": "https://h/i.png"}},
			{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AQID"}},
			{"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "AAAA"}},
			{"type": "text", "text": "hello"}]}]}`},
		{"sampling", func(r *Request) { r.MaxTokens, r.Temperature, r.TopP = 7, new(0.0), new(0.9) }, `{"max_tokens": 7, "temperature": 0, "top_p": 0.9}`},
		{"thinking", func(r *Request) { r.ThinkingTokens = 2000 }, `{"max_tokens": 34000, "stream": true, "thinking": {"type": "enabled", "budget_tokens": 2000}}`},
		{"thinking, and how much in all", func(r *Request) { r.ThinkingTokens, r.MaxTokens = 2000, 3000 }, `{"max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 2000}}`},
		{"JSON", func(r *Request) { r.JSON = true }, `{"system": [{"type": "text", "text": "Answer with one JSON object and nothing else."}]}`},
		{"JSON and system", func(r *Request) { r.JSON, r.System = true, "be kind" },
			`{"system": [{"type": "text", "text": "be kind\n\nAnswer with one JSON object and nothing else."}]}`},
		{"schema", func(r *Request) { r.JSON, r.Schema = true, json.RawMessage(held) },
			`{"output_config": {"format": {"type": "json_schema", "schema": ` + held + `}}}`},
		{"schema that is not taken as it is", func(r *Request) {
			r.JSON, r.Schema = true, json.RawMessage(`{"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}`)
		}, `{"output_config": {"format": {"type": "json_schema", "schema":
			{"type": "object", "properties": {"n": {"type": "integer", "description": "{minimum: 1}"}}, "additionalProperties": false}}}}`},
		{"schema that cannot be remade", func(r *Request) {
			r.JSON, r.Schema = true, json.RawMessage(`{"type": ["object", "null"]}`)
		}, `{"output_config": {"format": {"type": "json_schema", "schema": {"type": ["object", "null"]}}}}`},
		{"effort", func(r *Request) { r.ReasoningEffort = "xhigh" }, `{"output_config": {"effort": "xhigh"}}`},
		{"effort that is the default", func(r *Request) { r.ReasoningEffort = "default" }, `{}`},
		{"effort and schema", func(r *Request) { r.JSON, r.Schema, r.ReasoningEffort = true, json.RawMessage(held), "low" },
			`{"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": ` + held + `}}}`},
		{"stream", func(r *Request) { r.Stream, r.MaxTokens = true, 7 }, `{"max_tokens": 7, "stream": true}`},
		{"as long as one waits for without a word", func(r *Request) { r.MaxTokens = 16000 }, `{"max_tokens": 16000}`},
		{"longer", func(r *Request) { r.MaxTokens = 16001 }, `{"max_tokens": 16001, "stream": true}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := provide(t, says("ok"))
			r := s.at("anthropic")
			test.change(&r)
			if _, err := newClient(t, Options{}).Ask(t.Context(), r, Call{}); err != nil {
				t.Error(err)
			}
			if len(s.requests()) != 1 {
				t.Fatalf("%d requests", len(s.requests()))
			}
			got := s.requests()[0]
			want(t, "request", got.path, "POST /v1/messages")
			want(t, "credential", got.header["X-Api-Key"], []string{testKey})
			want(t, "version", got.header["Anthropic-Version"], []string{"2023-06-01"})
			wanted := decoded(t, test.want).(map[string]any)
			if wanted["max_tokens"] == nil { // so many are not waited for in silence
				wanted["max_tokens"], wanted["stream"] = 32000.0, true
			}
			for name, value := range decoded(t, `{"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}`).(map[string]any) {
				if wanted[name] == nil {
					wanted[name] = value
				}
			}
			want(t, "body", decoded(t, got.body), any(wanted))
		})
	}
}

func TestMessageAnswers(t *testing.T) {
	t.Parallel()
	s := provide(t, func(w http.ResponseWriter, r *http.Request, n int) {
		content := `[{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]`
		reason := []string{"end_turn", "max_tokens", "refusal", "model_context_window_exceeded", "stop_sequence"}[n-1]
		reply(w, `{"content": %s, "stop_reason": %q, "usage": {"input_tokens": 5, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300, "output_tokens": 4000}}`, content, reason)
	})
	c := newClient(t, Options{})
	for i, cut := range []string{"", "length", "content_filter", "length", ""} {
		r := s.at("anthropic")
		r.MaxTokens = 4000
		a, err := c.Ask(t.Context(), r, Call{})
		if cut == "content_filter" {
			wantError(t, "refusal", err, `the model's answer is of no use: it is not whole: it ended with "content_filter"`)
		} else if err != nil {
			t.Error(i, err)
		}
		want(t, "answer", a, Answer{Text: "ab", Cut: cut, InputTokens: 325, CachedInputTokens: 300, OutputTokens: 4000})
	}
}

// An answer that is cut where the author said is what was asked for; one that is
// cut where nobody said is not.
func TestMessagesCutByDefault(t *testing.T) {
	t.Parallel()
	const cut = "the model's answer is of no use: it was cut at %d tokens, which is the most that is asked for where max_tokens is left out: set max_tokens"
	for _, test := range []struct {
		name, model string
		change      func(*Request)
		text, end   string
		err         string
	}{
		{name: "old", model: "claude-3-haiku-20240307", text: "half", end: "max_tokens", err: fmt.Sprintf(cut, 4096)},
		{name: "less old", model: "claude-3-5-sonnet-20241022", text: "half", end: "max_tokens", err: fmt.Sprintf(cut, 8192)},
		{name: "new", model: "claude-sonnet-4-5", text: "half", end: "max_tokens", err: fmt.Sprintf(cut, 32000)},
		{name: "thinking", model: "claude-sonnet-4-5", change: func(r *Request) { r.ThinkingTokens = 2000 }, text: "half", end: "max_tokens", err: fmt.Sprintf(cut, 34000)},
		{name: "JSON", model: "claude-sonnet-4-5", change: func(r *Request) { r.JSON = true }, text: "{", end: "max_tokens", err: fmt.Sprintf(cut, 32000)},
		{name: "where the author said", model: "claude-sonnet-4-5", change: func(r *Request) { r.MaxTokens = 9 }, text: "half", end: "max_tokens"},
		{name: "where there is no more room", model: "claude-sonnet-4-5", text: "half", end: "model_context_window_exceeded"},
		{name: "no text", model: "claude-sonnet-4-5", end: "max_tokens",
			err: "the model's answer is of no use: there is no text in it: all tokens went into thinking, or max_tokens is too low"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := provide(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				reply(w, `{"content": [{"type": "text", "text": %s}], "stop_reason": %q, "usage": {"input_tokens": 5, "output_tokens": 4000}}`, quoted(test.text), test.end)
			})
			r := s.at("anthropic")
			r.Model = test.model
			if test.change != nil {
				test.change(&r)
			}
			a, err := newClient(t, Options{}).Ask(t.Context(), r, Call{})
			want(t, "answer, which was paid for", a, Answer{Text: test.text, Cut: "length", InputTokens: 5, OutputTokens: 4000})
			if test.err != "" {
				wantError(t, "error", err, test.err)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMessageFences(t *testing.T) {
	t.Parallel()
	for said, wanted := range map[string]string{
		`{"a": 1}`:                              `{"a": 1}`,
		"```json\n{\"a\": 1}\n```":              `{"a": 1}`,
		"\n```\n{\"a\": 1}\n```\n":              `{"a": 1}`,
		"Here it is:\n```json\n{\"a\": 1}\n```": "Here it is:\n```json\n{\"a\": 1}\n```",
		"```json\n{\"a\": 1}":                   "```json\n{\"a\": 1}",
		"`":                                     "`",
		"```":                                   "```",
	} {
		for _, stream := range []bool{false, true} {
			s := provide(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if !stream {
					says(said)(w, r, n)
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, messageStart+delta(said[:1])+delta(said[1:])+messageEnd)
			})
			r := s.at("anthropic")
			r.JSON, r.Stream = true, stream
			seen := ""
			a, err := newClient(t, Options{}).Ask(t.Context(), r, Call{Text: func(piece string) { seen += piece }})
			if err != nil {
				t.Fatal(err)
			}
			want(t, said, a.Text, wanted)
			want(t, "text of "+said, seen, wanted)
		}
	}
}

func TestMessageStreams(t *testing.T) {
	t.Parallel()
	usage := Answer{InputTokens: 325, CachedInputTokens: 300, OutputTokens: 4000}
	whole := usage
	whole.Text = "ab c"
	for _, test := range []struct {
		name, events string
		pieces       []string
		want         Answer
		err          string
	}{
		{name: "pieces in order", events: messageStart + delta("a") + delta("b ") + delta("c") + messageEnd, pieces: []string{"a", "b ", "c"}, want: whole},
		{name: "it ends too early", events: messageStart + delta("a"), pieces: []string{"a"},
			err: "POST HOST/v1/messages: the answer cannot be read: it ended before it was whole"},
		{name: "an error on the way", events: messageStart + delta("a") + event(`{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}`), pieces: []string{"a"},
			err: "POST HOST/v1/messages answered 529: Overloaded"},
		{name: "a refusal on the way", events: messageStart + event(`{"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}`),
			err: "POST HOST/v1/messages answered 429 Too Many Requests: slow down"},
		{name: "parts that do not fit together", events: delta("a"),
			err: "POST HOST/v1/messages: the answer cannot be read: received event of type content_block_delta"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := provide(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, test.events)
			})
			r := s.at("anthropic")
			r.MaxTokens = 20000 // so that it is streamed, though nobody asked for that
			var pieces []string
			a, err := newClient(t, Options{}).Ask(t.Context(), r, Call{Text: func(piece string) { pieces = append(pieces, piece) }})
			want(t, "pieces", pieces, test.pieces)
			want(t, "answer", a, test.want)
			if message := strings.ReplaceAll(test.err, "HOST", runner.Endpoint(s.url)); !strings.HasPrefix(fmt.Sprint(err), cmp.Or(message, "<nil>")) {
				t.Errorf("error: %v\n want: %s", err, message)
			}
		})
	}
}
