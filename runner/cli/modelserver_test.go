package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// modelServer answers like a model's provider, and counts what it is asked. By
// itself it repeats the prompt; one that asks for JSON gets the label of a
// ticket.
type modelServer struct {
	*httptest.Server
	latency time.Duration
	again   string                                      // the Retry-After of refusals
	refuse  func(prompt string, times int) (status int) // 0: answer, -1: hang up, -2: a page for people; times counts from 1

	mu       sync.Mutex
	inFlight int
	peak     int
	requests int
	asked    map[string]int // by prompt
}

func serveModel(t testing.TB, latency time.Duration, refuse func(prompt string, times int) int) *modelServer {
	s := &modelServer{latency: latency, again: "1", refuse: refuse, asked: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// never refuses nothing.
func never(string, int) int { return 0 }

// byWord refuses what the prompt asks for: with a status in brackets, [429] or
// [503], the first time; with [401], [404] and [400] always; [hang-up] once; [page]
// always.
func byWord(prompt string, times int) int {
	for word, status := range map[string]int{"[429]": 429, "[503]": 503, "[hang-up]": -1} {
		if times == 1 && strings.Contains(prompt, word) {
			return status
		}
	}
	for word, status := range map[string]int{"[401]": 401, "[404]": 404, "[400]": 400, "[page]": -2} {
		if strings.Contains(prompt, word) {
			return status
		}
	}
	return 0
}

type question struct {
	Stream         bool
	ResponseFormat any `json:"response_format"`
	Messages       []struct{ Content string }
}

func (s *modelServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked question
	raw, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(raw, &asked); err != nil || !strings.HasSuffix(r.URL.Path, "/v1/chat/completions") {
		http.NotFound(w, r)
		return
	}
	prompt := asked.Messages[len(asked.Messages)-1].Content
	status := s.refuse(prompt, s.enter(prompt))
	if status == 0 {
		time.Sleep(s.latency)
	}
	s.left() // before the answer is sent: who has it may ask again
	switch {
	case status == -2:
		_, _ = io.WriteString(w, "<html>welcome</html>")
		return
	case status < 0:
		panic(http.ErrAbortHandler)
	case status > 0:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", s.again)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"message":"not with %s","type":"refused"}}`, r.Header.Get("Authorization"))
		return
	}
	answer := "You said: " + prompt
	if asked.ResponseFormat != nil {
		answer = `{"label": "billing", "urgent": true}`
	}
	if asked.Stream {
		stream(w, answer)
		return
	}
	text, _ := json.Marshal(answer)
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%s}}],"usage":{"prompt_tokens":20,"completion_tokens":50,"total_tokens":70}}`, text)
}

func stream(w http.ResponseWriter, answer string) {
	w.Header().Set("Content-Type", "text/event-stream")
	chunk := `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":%s},"finish_reason":%s}]}` + "\n\n"
	for piece := range strings.SplitAfterSeq(answer, " ") {
		text, _ := json.Marshal(piece)
		_, _ = fmt.Fprintf(w, chunk, text, "null")
		w.(http.Flusher).Flush()
	}
	_, _ = fmt.Fprintf(w, chunk, `""`, `"stop"`)
	_, _ = io.WriteString(w, `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":50,"total_tokens":70}}`+"\n\ndata: [DONE]\n\n")
}

// enter counts a question, and tells how often it was asked.
func (s *modelServer) enter(prompt string) (times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.asked[prompt]++
	s.inFlight++
	s.peak = max(s.peak, s.inFlight)
	return s.asked[prompt]
}

func (s *modelServer) left() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
}

// takeRequests tells how many questions came since it was last asked.
func (s *modelServer) takeRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.requests
	s.requests = 0
	return n
}
