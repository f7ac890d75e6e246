package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
)

// question is one request that the model of a test got.
type question struct {
	Model    string
	Stream   bool
	Messages []struct {
		Role    string
		Content json.RawMessage
	}
	Temperature    *float64
	TopP           *float64 `json:"top_p"`
	MaxTokens      *int     `json:"max_completion_tokens"`
	ResponseFormat *struct {
		Type       string
		JSONSchema struct {
			Strict bool
			Schema json.RawMessage
		} `json:"json_schema"`
	} `json:"response_format"`

	raw string
	key string
}

// says is the text of the message in that role.
func (q question) says(role string) string {
	for _, m := range q.Messages {
		var text string
		if m.Role == role && json.Unmarshal(m.Content, &text) == nil {
			return text
		}
	}
	return ""
}

// reply is what it answers.
type reply struct {
	text   string
	status int      // 0: 200
	finish string   // "": stop
	pieces []string // of a streamed answer; nil: one
	breaks bool     // the answer ends before its end
}

// fakeModel is an endpoint that answers as it is told to, and takes note of what
// it was asked. Each answer took 10 tokens in and 5 out.
type fakeModel struct {
	URL string

	mu     sync.Mutex
	answer func(n int, q question) reply
	asked  []question
}

func newModel(t testing.TB, answer func(n int, q question) reply) *fakeModel {
	t.Helper()
	m := &fakeModel{answer: answer}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	m.URL = server.URL + "/v1"
	return m
}

// always answers the same.
func always(text string) func(int, question) reply {
	return func(int, question) reply { return reply{text: text} }
}

func (m *fakeModel) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	q := question{raw: string(body), key: req.Header.Get("Authorization")}
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	n := len(m.asked)
	m.asked = append(m.asked, q)
	m.mu.Unlock()
	a := m.answer(n, q)
	if a.finish == "" {
		a.finish = "stop"
	}
	switch {
	case a.status != 0:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		fmt.Fprintf(w, `{"error": {"message": "no: %d"}}`, a.status)
	case q.Stream:
		stream(w, a)
	case a.breaks:
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("Content-Type", "application/json")
		text, _ := json.Marshal(a.text)
		fmt.Fprintf(w, `{"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": %q,
			"message": {"role": "assistant", "content": %s}}], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}`, a.finish, text)
	}
}

func stream(w http.ResponseWriter, a reply) {
	w.Header().Set("Content-Type", "text/event-stream")
	if a.pieces == nil && !a.breaks {
		a.pieces = []string{a.text}
	}
	chunk := func(delta, finish, usage string) {
		fmt.Fprintf(w, "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[%s%s],\"usage\":%s}\n\n", delta, finish, usage)
		_ = http.NewResponseController(w).Flush()
	}
	for _, piece := range a.pieces {
		text, _ := json.Marshal(piece)
		chunk(`{"index":0,"delta":{"role":"assistant","content":`+string(text)+`}}`, "", "null")
	}
	if a.breaks {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	chunk("", `{"index":0,"delta":{},"finish_reason":"`+a.finish+`"}`, "null")
	chunk("", "", `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}`)
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// questions are those that were asked so far.
func (m *fakeModel) questions() []question {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

// engine gives an engine whose openai and google are this model.
func (m *fakeModel) engine(t testing.TB, o Options) *Engine {
	t.Helper()
	env := map[string]string{
		"OPENAI_BASE_URL": m.URL, "OPENAI_API_KEY": "key-of-openai", "CUSTOM_BASE_URL": m.URL,
	}
	o.Env = func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
	return New(o)
}

func openCache(t testing.TB) *llm.Cache {
	t.Helper()
	c, err := llm.OpenCache(filepath.Join(t.TempDir(), "answers.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wait waits for a run to end or to be suspended.
func wait(t testing.TB, e *Engine, h runner.Handle) runner.Status {
	t.Helper()
	status, err := e.Wait(t.Context(), h)
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	return status
}

// resume goes on with a run that must be suspended, and waits for it.
func resume(t testing.TB, e *Engine, h runner.Handle) runner.Status {
	t.Helper()
	if err := e.Resume(t.Context(), h); err != nil {
		t.Fatalf("resume: %v", err)
	}
	return wait(t, e, h)
}

// runToEnd runs a pipeline with a model, and resumes it until it ends.
func runToEnd(t testing.TB, e *Engine, nodes string, in runner.Inputs) runner.Status {
	t.Helper()
	h := start(t, e, save(t, e, nodes), in)
	status := wait(t, e, h)
	for range 20 {
		if status.Suspended == nil {
			return status
		}
		status = resume(t, e, h)
	}
	t.Fatalf("the run is suspended again and again: %v", status.Suspended.Errs[0])
	return status
}

// same compares two values, and shows how they differ.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// wantSuffix compares the end of an error: what stands before is the client's.
func wantSuffix(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error: %v\n want: ... %s", err, want)
	}
}

// fakeMessages is an endpoint of Anthropic's that gives one answer to all, and
// keeps the last request.
type fakeMessages struct {
	url  string
	last atomic.Value
}

func newMessages(t testing.TB, text string) *fakeMessages {
	t.Helper()
	m := &fakeMessages{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		m.last.Store(string(body))
		said, _ := json.Marshal(text)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
			"content": [{"type": "text", "text": %s}], "usage": {"input_tokens": 10, "output_tokens": 5}}`, said)
	}))
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

func (m *fakeMessages) body() string {
	body, _ := m.last.Load().(string)
	return body
}

func (m *fakeMessages) engine(t testing.TB, o Options) *Engine {
	t.Helper()
	o.Env = func(name string) (string, bool) {
		v, ok := map[string]string{"ANTHROPIC_BASE_URL": m.url, "ANTHROPIC_API_KEY": "key-of-anthropic"}[name]
		return v, ok
	}
	return New(o)
}
