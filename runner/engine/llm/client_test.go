package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"nightshift/runner"
)

const testKey = "sk-test-0123456789abcdef"

// server is a provider on the loopback that keeps what it was sent.
type server struct {
	url string

	mu   sync.Mutex
	sent []sent
}

type sent struct {
	path   string
	header http.Header
	body   string
}

// provide starts one. answer gets the number of the request, from 1.
func provide(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int)) *server {
	t.Helper()
	s := &server{}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.sent = append(s.sent, sent{r.Method + " " + r.URL.Path, r.Header, string(body)})
		n := len(s.sent)
		s.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r, n)
	}))
	t.Cleanup(listener.Close)
	s.url = listener.URL
	return s
}

func (s *server) requests() []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// says answers every request with the same text, by either protocol.
func says(text string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		if strings.HasSuffix(r.URL.Path, "/messages") {
			reply(w, `{"content": [{"type": "text", "text": %s}], "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 2}}`, quoted(text))
			return
		}
		reply(w, `{"choices": [{"message": {"role": "assistant", "content": %s}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}`, quoted(text))
	}
}

func reply(w io.Writer, format string, args ...any) {
	if rw, ok := w.(http.ResponseWriter); ok {
		rw.Header().Set("Content-Type", "application/json")
	}
	fmt.Fprintf(w, format, args...)
}

func quoted(text string) string {
	encoded, _ := json.Marshal(text)
	return string(encoded)
}

// variables are an environment.
func variables(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// newClient is a client without variables, that leaves no connections behind.
func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	if o.Env == nil {
		o.Env = variables()
	}
	c := New(o)
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// at is a request to a server.
func (s *server) at(provider string) Request {
	r := Request{Provider: provider, Model: "m", BaseURL: s.url, APIKey: testKey, Prompt: "hello"}
	if provider != "anthropic" {
		r.BaseURL += "/v1"
	}
	return r
}

func want(t testing.TB, what string, got, wanted any) {
	t.Helper()
	if diff := gocmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantError(t testing.TB, what string, err error, message string) {
	t.Helper()
	if err == nil || err.Error() != message {
		t.Errorf("%s: error %v\n want: %s", what, err, message)
	}
}

func tempCache(t testing.TB) *Cache {
	t.Helper()
	cache, err := OpenCache(filepath.Join(t.TempDir(), "answers.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close() })
	return cache
}

func TestAskKeepsAnswers(t *testing.T) {
	t.Parallel()
	s := provide(t, func(w http.ResponseWriter, r *http.Request, n int) { says(fmt.Sprintf("answer %d", n))(w, r, n) })
	c := newClient(t, Options{Cache: tempCache(t)})
	ask := func(what string, r Request, call Call, wanted Answer) {
		t.Helper()
		var seen []string
		call.Text = func(piece string) { seen = append(seen, piece) }
		a, err := c.Ask(t.Context(), r, call)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		want(t, what, a, wanted)
		want(t, what+": text", seen, []string{wanted.Text})
	}
	first := Answer{Text: "answer 1", InputTokens: 5, OutputTokens: 2}
	kept := first
	kept.FromCache = true
	r := s.at("openai")
	ask("first", r, Call{}, first)
	ask("again", r, Call{}, kept)
	other := r
	other.APIKey = "sk-another-0123456789"
	ask("with another key", other, Call{}, kept)
	other = r
	other.Stream = true
	ask("in pieces", other, Call{}, kept)
	ask("fresh", r, Call{Since: time.Now()}, Answer{Text: "answer 2", InputTokens: 5, OutputTokens: 2})
	ask("what the fresh one left", r, Call{}, Answer{Text: "answer 2", InputTokens: 5, OutputTokens: 2, FromCache: true})

	number := 2
	for what, change := range map[string]func(*Request){
		"model":       func(r *Request) { r.Model = "n" },
		"prompt":      func(r *Request) { r.Prompt = "bye" },
		"system":      func(r *Request) { r.System = "be kind" },
		"image":       func(r *Request) { r.Images = []Image{{URL: "http://h/i.png"}} },
		"JSON":        func(r *Request) { r.JSON = true },
		"schema":      func(r *Request) { r.JSON, r.Schema = true, json.RawMessage(`{"type": "object"}`) },
		"max_tokens":  func(r *Request) { r.MaxTokens = 7 },
		"temperature": func(r *Request) { r.Temperature = new(0.0) },
		"endpoint":    func(r *Request) { r.BaseURL += "/x" },
		"protocol":    func(r *Request) { r.Provider = "anthropic" },
	} {
		number++
		other := r
		change(&other)
		ask(what+" is another", other, Call{}, Answer{Text: fmt.Sprintf("answer %d", number), InputTokens: 5, OutputTokens: 2})
	}
	useless := Call{Check: func(text string) error {
		if text == "answer 2" {
			return errors.New("out of date")
		}
		return nil
	}}
	ask("a kept answer that is of no use now", r, useless, Answer{Text: fmt.Sprintf("answer %d", number+1), InputTokens: 5, OutputTokens: 2})
}

func TestAskJudgesAnswers(t *testing.T) {
	t.Parallel()
	chat := func(content, finish string) string {
		return fmt.Sprintf(`{"choices": [{"message": {"content": %s}, "finish_reason": %s}], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}`, content, finish)
	}
	for _, test := range []struct {
		name, answer string
		json         bool
		text, cut    string
		err          string
		kept         bool
	}{
		{name: "whole", answer: chat(`"ok"`, `"stop"`), text: "ok", kept: true},
		{name: "no word at its end", answer: chat(`"ok"`, `null`), text: "ok", kept: true},
		{name: "cut", answer: chat(`"half of"`, `"length"`), text: "half of", cut: "length"},
		{name: "cut before it began", answer: chat(`""`, `"length"`), cut: "length",
			err: "there is no text in it: all tokens went into thinking, or max_tokens is too low"},
		{name: "filtered", answer: chat(`"I"`, `"content_filter"`), text: "I", cut: "content_filter", err: `it is not whole: it ended with "content_filter"`},
		{name: "filtered before it began", answer: chat(`""`, `"content_filter"`), cut: "content_filter", err: `there is no text in it: it ended with "content_filter"`},
		{name: "a tool is called", answer: chat(`"I"`, `"tool_calls"`), text: "I", cut: "tool_calls", err: `it is not whole: it ended with "tool_calls"`},
		{name: "an unknown end", answer: chat(`"I"`, `"insufficient_system_resource"`), text: "I", cut: "insufficient_system_resource", err: `it is not whole: it ended with "insufficient_system_resource"`},
		{name: "an unknown end without text", answer: chat(`null`, `"error"`), cut: "error", err: `there is no text in it: it ended with "error"`},
		{name: "JSON", json: true, answer: chat(`"{}"`, `"stop"`), text: "{}", kept: true},
		{name: "JSON, cut", json: true, answer: chat(`"{"`, `"length"`), text: "{", cut: "length", err: "the JSON is not whole: it was cut at max_tokens"},
		{name: "JSON, filtered", json: true, answer: chat(`"{"`, `"content_filter"`), text: "{", cut: "content_filter", err: `it is not whole: it ended with "content_filter"`},
		{name: "useless", answer: chat(`"useless"`, `"stop"`), text: "useless", err: "not what was asked for"},
		{name: "no text", answer: chat(`null`, `"stop"`), err: "there is no text in it"},
		{name: "white space", answer: chat(`" \n"`, `"stop"`), text: " \n", err: "there is no text in it"},
		{name: "no choices", answer: `{"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}`, err: "there is no text in it"},
		{name: "refused", answer: `{"choices": [{"message": {"content": null, "refusal": "I will not."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}`, err: "it refuses: I will not."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := provide(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, "%s", test.answer) })
			c := newClient(t, Options{Cache: tempCache(t)})
			r := s.at("openai")
			r.JSON = test.json
			call := Call{Check: func(text string) error {
				if text == "useless" {
					return errors.New("not what was asked for")
				}
				return nil
			}}
			a, err := c.Ask(t.Context(), r, call)
			want(t, "answer, which was paid for", a, Answer{Text: test.text, Cut: test.cut, InputTokens: 5, OutputTokens: 2})
			bad, ok := errors.AsType[*BadAnswer](err)
			switch {
			case test.err != "" && ok:
				wantError(t, "reason", bad.Err, test.err)
			case test.err != "" || err != nil:
				t.Errorf("error %v, want %q", err, test.err)
			}
			again, _ := c.Ask(t.Context(), r, call)
			want(t, "kept", again.FromCache, test.kept)
		})
	}
}

// Not all who speak a protocol know its streams.
func TestAskForAStreamGetsAWholeAnswer(t *testing.T) {
	t.Parallel()
	s := provide(t, says("ok"))
	for _, provider := range []string{"custom", "anthropic"} {
		r := s.at(provider)
		r.Stream = true
		var pieces []string
		a, err := newClient(t, Options{}).Ask(t.Context(), r, Call{Text: func(piece string) { pieces = append(pieces, piece) }})
		if err != nil {
			t.Error(err)
		}
		want(t, provider, a, Answer{Text: "ok", InputTokens: 5, OutputTokens: 2})
		want(t, provider+": pieces", pieces, []string{"ok"})
	}
}

func TestAskSaysOnceThatItCannotKeep(t *testing.T) {
	t.Parallel()
	s := provide(t, says("ok"))
	cache := tempCache(t)
	cache.Close()
	var lines []string
	c := newClient(t, Options{Cache: cache, Log: func(line string) { lines = append(lines, line) }})
	for range 3 {
		if a, err := c.Ask(t.Context(), s.at("openai"), Call{}); err != nil || a.Text != "ok" {
			t.Fatalf("%v, %v", a, err)
		}
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "answers are not kept, and will be paid for again: ") {
		t.Errorf("lines %q", lines)
	}
}

func TestAskIsHeldBack(t *testing.T) {
	t.Parallel()
	s := provide(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Header.Get("Authorization") != "Bearer "+testKey {
			says("ok")(w, r, n)
			return
		}
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	var lines []string
	c := newClient(t, Options{Log: func(line string) { lines = append(lines, line) }})
	r := s.at("openai")
	var held *runner.HeldBack
	for range 200 {
		_, err := c.Ask(t.Context(), r, Call{})
		if errors.As(err, &held) {
			break
		}
		if e, ok := errors.AsType[*runner.APIError](err); !ok || !e.Refused() {
			t.Fatalf("error %v, want a refusal", err)
		}
	}
	if held == nil || held.For <= 0 {
		t.Fatalf("200 refusals, and no call was held back: %v", held)
	}
	before := len(s.requests())
	if _, err := c.Ask(t.Context(), r, Call{}); !errors.As(err, &held) {
		t.Errorf("error %v, want to be held back", err)
	}
	want(t, "requests of a call that was held back", len(s.requests())-before, 0)
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "too many calls of m at "+runner.Endpoint(s.url)+"/v1/chat/completions are refused (429): slowed to ") {
		t.Errorf("lines %q", lines)
	}
	for what, change := range map[string]func(*Request){
		"key": func(r *Request) { r.APIKey = "sk-another-0123456789" },
	} {
		other := r
		change(&other)
		if _, err := c.Ask(t.Context(), other, Call{}); err != nil {
			t.Errorf("another %s is held back too: %v", what, err)
		}
	}
}

func TestAskUsesConnectionsAgain(t *testing.T) {
	t.Parallel()
	const calls = 5
	for stream, callers := range map[bool]int64{false: 200, true: 50} {
		t.Run(fmt.Sprintf("stream %v", stream), func(t *testing.T) {
			t.Parallel()
			var connections atomic.Int64
			gate := make(chan struct{})
			arrived := atomic.Int64{}
			listener := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if arrived.Add(1) == callers {
					close(gate) // all are in flight at once
				}
				<-gate
				if !stream {
					says("ok")(w, r, 1)
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, chunk(`"ok"`, `"stop"`)+"data: [DONE]\n\n")
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond) // the end of the answer comes in a packet of its own
			}))
			listener.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			}
			listener.Start()
			t.Cleanup(listener.Close)
			c := newClient(t, Options{})
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					for range calls {
						r := Request{Provider: "custom", Model: "m", BaseURL: listener.URL, Prompt: "hello", Stream: stream}
						if a, err := c.Ask(t.Context(), r, Call{}); err != nil || a.Text != "ok" {
							t.Errorf("%v, %v", a, err)
						}
					}
				})
			}
			group.Wait()
			if n := connections.Load(); n > 2*callers { // without reuse there is one a call
				t.Errorf("%d connections for %d calls, %d at a time", n, callers*calls, callers)
			}
		})
	}
}
