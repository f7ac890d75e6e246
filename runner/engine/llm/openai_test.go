package llm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"nightshift/runner"
)

// decoded is JSON as Go values, for comparison.
func decoded(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// chunk is one event of a streamed chat.
func chunk(content, finish string) string {
	return fmt.Sprintf("data: {\"choices\": [{\"index\": 0, \"delta\": {\"content\": %s}, \"finish_reason\": %s}]}\n\n", content, finish)
}

func TestChatRequests(t *testing.T) {
	t.Parallel()
	pixel := Image{MIME: "image/png", Data: []byte{1, 2, 3}}
	const lax, held = `{"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}}`,
		`{"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}, "required": ["z", "a"], "additionalProperties": false}`
	for _, test := range []struct {
		name     string
		provider string
		change   func(*Request)
		want     string // the body beside the model; its messages are {"role": "user", "content": "hello"}
	}{
		{"least", "openai", func(*Request) {}, `{}`},
		{"system", "openai", func(r *Request) { r.System = "be kind" },
			`{"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]}`},
		{"images", "openai", func(r *Request) { r.Images = []Image{{URL: "https://h/i.png"}, pixel} },
			`{"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"},
			{"type": "image_url", "image_url": {"url": "https://h/i.png"}}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQID"}}]}]}`},
		{"image alone, of a type that is seen", "ollama", func(r *Request) { r.Prompt, r.Images = "", []Image{{Data: []byte("GIF89a")}} },
			`{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlh"}}]}]}`},
		{"max_tokens, openai", "openai", func(r *Request) { r.MaxTokens = 7 }, `{"max_completion_tokens": 7}`},
		{"max_tokens, xai", "xai", func(r *Request) { r.MaxTokens = 7 }, `{"max_completion_tokens": 7}`},
		{"max_tokens, others", "groq", func(r *Request) { r.MaxTokens = 7 }, `{"max_tokens": 7}`},
		{"sampling", "together", func(r *Request) { r.Temperature, r.TopP = new(0.0), new(0.9) }, `{"temperature": 0, "top_p": 0.9}`},
		{"words that are the default", "openai", func(r *Request) { r.ReasoningEffort, r.Verbosity = "default", "default" }, `{}`},
		{"effort and verbosity", "openai", func(r *Request) { r.ReasoningEffort, r.Verbosity = "minimal", "low" }, `{"reasoning_effort": "minimal", "verbosity": "low"}`},
		{"no effort", "ollama", func(r *Request) { r.ReasoningEffort = "none" }, `{"reasoning_effort": "none"}`},
		{"thinking", "google", func(r *Request) { r.ThinkingTokens = 2000 }, `{"extra_body": {"google": {"thinking_config": {"thinking_budget": 2000}}}}`},
		{"JSON", "ollama", func(r *Request) { r.JSON = true }, `{"response_format": {"type": "json_object"}, "messages": [
			{"role": "system", "content": "Answer with one JSON object and nothing else."}, {"role": "user", "content": "hello"}]}`},
		{"JSON and system", "openai", func(r *Request) { r.JSON, r.System = true, "be kind" }, `{"response_format": {"type": "json_object"}, "messages": [
			{"role": "system", "content": "be kind\n\nAnswer with one JSON object and nothing else."}, {"role": "user", "content": "hello"}]}`},
		{"JSON, of which the system text speaks", "openai", func(r *Request) { r.JSON, r.System = true, "JSON!" },
			`{"response_format": {"type": "json_object"}, "messages": [{"role": "system", "content": "JSON!"}, {"role": "user", "content": "hello"}]}`},
		{"JSON, of which the prompt speaks", "openai", func(r *Request) { r.JSON, r.Prompt = true, "as Json" },
			`{"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "as Json"}]}`},
		{"JSON, perplexity", "perplexity", func(r *Request) { r.JSON = true },
			`{"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": false, "schema": {"type": "object"}}}}`},
		{"schema", "ollama", func(r *Request) { r.JSON, r.Schema = true, json.RawMessage(lax) },
			`{"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": false, "schema": ` + lax + `}}}`},
		{"schema that is strict", "openai", func(r *Request) { r.JSON, r.Schema = true, json.RawMessage(held) },
			`{"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": ` + held + `}}}`},
		{"schema without JSON", "openai", func(r *Request) { r.Schema = json.RawMessage(lax) }, `{}`},
		{"stream", "groq", func(r *Request) { r.Stream = true }, `{"stream": true, "stream_options": {"include_usage": true}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := provide(t, func(w http.ResponseWriter, r *http.Request, n int) {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, chunk(`"ok"`, `"stop"`))
			})
			r := s.at(test.provider)
			test.change(&r)
			_, _ = newClient(t, Options{}).Ask(t.Context(), r, Call{}) // one that is not streamed is no answer
			if len(s.requests()) != 1 {
				t.Fatalf("%d requests", len(s.requests()))
			}
			got := s.requests()[0]
			want(t, "request", got.path, "POST /v1/chat/completions")
			want(t, "credential", got.header["Authorization"], []string{"Bearer " + testKey})
			wanted := decoded(t, test.want).(map[string]any)
			wanted["model"] = "m"
			if wanted["messages"] == nil {
				wanted["messages"] = decoded(t, `[{"role": "user", "content": "hello"}]`)
			}
			want(t, "body", decoded(t, got.body), any(wanted))
		})
	}
}

// The order in which a schema names properties is that in which a model answers:
// it matters whether it reasons before it decides.
func TestSchemasKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const schema = `{"type":"object","properties":{"why":{"type":"string"},"answer":{"type":"string"}},"required":["why","answer"],"additionalProperties":false}`
	for _, name := range []string{"openai", "anthropic"} {
		p, err := findProvider(name)
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.protocol.body(Request{Model: "m", JSON: true, Schema: json.RawMessage(schema)}, p)
		if err != nil || !strings.Contains(string(body), `{"why":{"type":"string"},"answer":{"type":"string"}}`) {
			t.Errorf("%s: %s, %v", name, body, err)
		}
	}
}

func TestStrict(t *testing.T) {
	t.Parallel()
	object := func(properties, rest string) string {
		return `{"type": "object", "properties": {` + properties + `}, "additionalProperties": false` + rest + `}`
	}
	property := func(schema string) string { return object(`"a": `+schema, `, "required": ["a"]`) }
	for schema, wanted := range map[string]bool{
		object(``, ``): true,
		object(`"a": {"type": "string"}`, `, "required": ["a"]`):                                                 true,
		object(`"a": {"type": "string"}`, ``):                                                                    false, // may be left out
		`{"type": "object"}`:                                                                                     false, // may hold anything
		`{"type": "object", "additionalProperties": true}`:                                                       false,
		`{"type": "object", "properties": {}}`:                                                                   false,
		`{"type": "array", "items": {"type": "string"}}`:                                                         false, // no object
		`{"anyOf": [` + object(``, ``) + `]}`:                                                                    false,
		object(`"a": {"type": "array", "items": {"type": "object"}}`, `, "required": ["a"]`):                     false,
		object(`"a": {"type": ["object", "null"]}`, `, "required": ["a"]`):                                       false,
		object(`"a": {"type": ["string", "null"]}`, `, "required": ["a"]`):                                       true,
		object(`"a": {"anyOf": [{"type": "object"}]}`, `, "required": ["a"]`):                                    false,
		object(`"a": {"$ref": "#/$defs/d"}`, `, "required": ["a"], "$defs": {"d": `+object(``, ``)+`}`):          true,
		object(`"a": {"$ref": "#/$defs/d"}`, `, "required": ["a"], "$defs": {"d": {"type": "object"}}`):          false,
		object(`"a": {"type": "string", "minLength": 1}`, `, "required": ["a"]`):                                 false, // a keyword that is not known
		object(`"minLength": {"type": "integer", "minimum": 1}`, `, "required": ["minLength"]`):                  true,  // a name is no keyword
		object(`"a": true`, `, "required": ["a"]`):                                                               false,
		object(``, `, "allOf": []`):                                                                              false,
		object(``, `, "required": "a"`):                                                                          false,
		`{"type": "object", "properties": {}, "additionalProperties": false, "anyOf": [` + object(``, ``) + `]}`: false,
		property(`{}`):                                                false, // anything
		property(`{"description": "anything"}`):                       false,
		property(`{"enum": ["a", 1]}`):                                true,
		property(`{"const": 1}`):                                      true,
		property(`{"anyOf": [{"type": "string"}, {"type": "null"}]}`): true,
		property(`{"anyOf": [{"type": "string"}, {}]}`):               false,
		property(`{"type": "array"}`):                                 false,
		property(`{"type": ["array", "null"]}`):                       false,
		property(`{"type": "array", "items": {}}`):                    false,
		property(`{"type": "array", "items": {"type": "string"}}`):    true,
		property(`{"type": "string", "format": "date-time"}`):         true,
		property(`{"type": "string", "format": "uri"}`):               false,
		property(`{"type": "string", "pattern": "^a[bc]$"}`):          true,
		property(`{"type": "string", "pattern": "^(?!x)"}`):           false,
		`null`: false,
		`[]`:   false,
	} {
		if got := strict(json.RawMessage(schema), chatKeywords); got != wanted {
			t.Errorf("%s: strict %v, want %v", schema, got, wanted)
		}
	}
}

func TestChatUsage(t *testing.T) {
	t.Parallel()
	for usage, wanted := range map[string]Answer{
		`{"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}`:                                                         {InputTokens: 9, OutputTokens: 4},
		`{"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 8}}`:          {InputTokens: 9, CachedInputTokens: 8, OutputTokens: 4},
		`{"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 33, "completion_tokens_details": {"reasoning_tokens": 20}}`:  {InputTokens: 9, OutputTokens: 24}, // xai, google
		`{"prompt_tokens": 9, "completion_tokens": 24, "total_tokens": 33, "completion_tokens_details": {"reasoning_tokens": 20}}`: {InputTokens: 9, OutputTokens: 24}, // openai
		`{"prompt_tokens": 9, "completion_tokens": 4}`:                                                                             {InputTokens: 9, OutputTokens: 4},
		`null`: {},
		`{}`:   {},
	} {
		for _, stream := range []bool{false, true} {
			s := provide(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				if !stream {
					reply(w, `{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}], "usage": %s}`, usage)
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, chunk(`"ok"`, `"stop"`)+"data: {\"choices\": [], \"usage\": "+usage+"}\n\ndata: [DONE]\n\n")
			})
			r := s.at("custom")
			r.Stream = stream
			a, err := newClient(t, Options{}).Ask(t.Context(), r, Call{})
			if err != nil {
				t.Error(err)
			}
			wanted.Text = "ok"
			want(t, usage, a, wanted)
		}
	}
}

func TestChatStreams(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, events string
		pieces       []string
		want         Answer
		err          string
	}{
		{name: "pieces in order", events: chunk(`""`, `null`) + chunk(`"a"`, `null`) + ": a comment\n\n" + chunk(`"b "`, `null`) + chunk(`"c"`, `null`) + chunk(`null`, `"stop"`) + "data: [DONE]\n\n",
			pieces: []string{"a", "b ", "c"}, want: Answer{Text: "ab c"}},
		{name: "all at once, and no last word", events: chunk(`"abc"`, `"stop"`), pieces: []string{"abc"}, want: Answer{Text: "abc"}},
		{name: "cut", events: chunk(`"abc"`, `null`) + chunk(`""`, `"length"`) + "data: [DONE]\n\n", pieces: []string{"abc"}, want: Answer{Text: "abc", Cut: "length"}},
		{name: "it ends too early", events: chunk(`"abc"`, `null`), pieces: []string{"abc"}, want: Answer{Text: "abc"},
			err: "POST HOST/v1/chat/completions: the answer cannot be read: it ended before it was whole"},
		{name: "it ends before it began", err: "POST HOST/v1/chat/completions: the answer cannot be read: it ended before it was whole"},
		{name: "not JSON", events: chunk(`"a"`, `null`) + "data: oops\n\n", pieces: []string{"a"}, want: Answer{Text: "a"},
			err: "POST HOST/v1/chat/completions: the answer cannot be read: invalid character 'o' looking for beginning of value"},
		{name: "an error on the way", events: chunk(`"a"`, `null`) + `data: {"error": {"message": "it broke", "type": "server_error"}}` + "\n\n", pieces: []string{"a"}, want: Answer{Text: "a"},
			err: "POST HOST/v1/chat/completions answered 500 Internal Server Error: it broke"},
		{name: "a refusal on the way", events: `data: {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}` + "\n\n",
			err: "POST HOST/v1/chat/completions answered 429 Too Many Requests: slow down"},
		{name: "a status on the way", events: `data: {"error": {"message": "no upstream", "code": 502}}` + "\n\n",
			err: "POST HOST/v1/chat/completions answered 502 Bad Gateway: no upstream"},
		{name: "no error", events: `data: {"error": null, "choices": [{"index": 0, "delta": {"content": "\"error\": null"}, "finish_reason": null}]}` + "\n\n" + `data: {"choices": [{"delta": {}, "finish_reason": "stop"}],"error":null}` + "\n\n",
			pieces: []string{`"error": null`}, want: Answer{Text: `"error": null`}},
		{name: "refused", events: `data: {"choices": [{"delta": {"refusal": "I will "}}]}` + "\n\n" + `data: {"choices": [{"delta": {"refusal": "not."}, "finish_reason": "stop"}]}` + "\n\n",
			err: "the model's answer is of no use: it refuses: I will not."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := provide(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				io.WriteString(w, test.events)
			})
			r := s.at("openai")
			r.Stream = true
			var pieces []string
			a, err := newClient(t, Options{}).Ask(t.Context(), r, Call{Text: func(piece string) { pieces = append(pieces, piece) }})
			want(t, "pieces", pieces, test.pieces)
			want(t, "answer", a, test.want)
			if test.err != "" {
				wantError(t, "error", err, strings.ReplaceAll(test.err, "HOST", runner.Endpoint(s.url)))
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// A stream is whole when it has said so, whatever becomes of the connection.
func TestStreamsEndBeforeTheirConnections(t *testing.T) {
	t.Parallel()
	usage := "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 2}}\n\n"
	for _, test := range []struct{ name, provider, events string }{
		{"the last word", "openai", chunk(`"ok"`, `"stop"`) + usage + "data: [DONE]\n\n"},
		{"usage", "openai", chunk(`"ok"`, `"stop"`) + usage},
		{"message_stop", "anthropic", messageStart + delta("ok") + messageEnd},
	} {
		for how, end := range map[string]func(r *http.Request){
			"stays open": func(r *http.Request) { <-r.Context().Done() },
			"breaks":     func(*http.Request) { panic(http.ErrAbortHandler) },
		} {
			t.Run(test.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				s := provide(t, func(w http.ResponseWriter, r *http.Request, _ int) {
					w.Header().Set("Content-Type", "text/event-stream")
					io.WriteString(w, test.events)
					w.(http.Flusher).Flush()
					end(r)
				})
				r := s.at(test.provider)
				r.Stream = true
				a, err := newClient(t, Options{}).Ask(t.Context(), r, Call{})
				if err != nil || a.Text != "ok" || a.OutputTokens == 0 {
					t.Errorf("%+v, %v", a, err)
				}
			})
		}
	}
}

// Gateways report what failed behind them as a success with an error in it.
func TestChatErrorWithStatus200(t *testing.T) {
	t.Parallel()
	s := provide(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		reply(w, `{"id": "x", "error": {"message": "the model is overloaded", "code": 503}}`)
	})
	_, err := newClient(t, Options{}).Ask(t.Context(), s.at("custom"), Call{})
	wantError(t, "error", err, "POST "+runner.Endpoint(s.url)+"/v1/chat/completions answered 503 Service Unavailable: the model is overloaded")
}
