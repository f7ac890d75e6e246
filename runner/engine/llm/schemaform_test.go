package llm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// refusing answers {"n": the request's number}, but 400 to bodies that hold one of
// the words, with a message that speaks of schemas.
func refusing(t *testing.T, words ...string) *server {
	return provide(t, func(w http.ResponseWriter, r *http.Request, n int) {
		body, _ := io.ReadAll(r.Body)
		for _, word := range words {
			if strings.Contains(string(body), word) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":{"message":"Invalid schema for response_format: `+word+`"}}`)
				return
			}
		}
		if strings.Contains(string(body), `"stream":true`) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, chunk(`"{\"n\": 1}"`, `"stop"`)+"data: [DONE]\n\n")
			return
		}
		says(`{"n": 1}`)(w, r, n)
	})
}

// TestOneSchemaRefused: what is refused of one schema, or for the words of one
// item, takes nothing from the others of that model.
func TestOneSchemaRefused(t *testing.T) {
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream %v", stream), func(t *testing.T) { oneSchemaRefused(t, stream) })
	}
}

func oneSchemaRefused(t *testing.T, stream bool) {
	s := refusing(t, `"title":"BAD"`, "evil")
	var lines []string
	c := newClient(t, Options{Log: func(line string) { lines = append(lines, line) }})
	natively := func(prompt, schema string) (bool, error) {
		q := s.at("openai")
		q.Prompt, q.JSON, q.Schema, q.Stream = prompt, true, json.RawMessage(schema), stream
		_, err := c.Ask(t.Context(), q, Call{})
		requests := s.requests()
		return strings.Contains(requests[len(requests)-1].body, `"json_schema"`), err
	}
	for _, step := range []struct {
		prompt, schema string
		native, fails  bool
		lines          int
	}{
		{"evil", `{"type":"object"}`, false, true, 0}, // in words it was not taken either
		{"good", `{"type":"object"}`, true, false, 0},
		{"good", `{"type":"object","title":"BAD"}`, false, false, 1},
		{"good", `{"type":"object"}`, true, false, 1},
		{"evil", `{"type":"object"}`, true, true, 1}, // natively it has worked
		{"good", `{"type":"object"}`, true, false, 1},
	} {
		native, err := natively(step.prompt, step.schema)
		want(t, step.prompt+" "+step.schema+": natively", native, step.native)
		want(t, step.prompt+" "+step.schema+": fails", err != nil, step.fails)
		want(t, "lines", len(lines), step.lines)
	}
}

// TestWordsThatWereNotHeard: that another call failed says nothing of schemas.
func TestWordsThatWereNotHeard(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusUnauthorized} {
		s := provide(t, func(w http.ResponseWriter, r *http.Request, n int) {
			body, _ := io.ReadAll(r.Body)
			switch evil, native := strings.Contains(string(body), "evil"), strings.Contains(string(body), `"json_schema"`); {
			case evil && native:
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":{"message":"no response_format"}}`)
			case evil:
				w.WriteHeader(status)
			default:
				says(`{"n": 1}`)(w, r, n)
			}
		})
		c := newClient(t, Options{Log: func(line string) { t.Errorf("it says %q", line) }})
		for _, prompt := range []string{"evil", "good"} {
			q := s.at("openai")
			q.Prompt, q.JSON, q.Schema = prompt, true, json.RawMessage(`{"type":"object"}`)
			_, err := c.Ask(t.Context(), q, Call{})
			want(t, prompt+": fails", err != nil, prompt == "evil")
		}
		requests := s.requests()
		want(t, "asked natively again", strings.Contains(requests[len(requests)-1].body, `"json_schema"`), true)
	}
}

// TestFreshAnswerInWords is what is read afterwards, however it was had.
func TestFreshAnswerInWords(t *testing.T) {
	native := true
	s := provide(t, func(w http.ResponseWriter, r *http.Request, n int) {
		body, _ := io.ReadAll(r.Body)
		if !native && strings.Contains(string(body), `"json_schema"`) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"no response_format"}}`)
			return
		}
		says(map[bool]string{true: `{"n": 1}`, false: `{"n": 2}`}[native])(w, r, n)
	})
	cache := newTestCache(t)
	ask := func(since time.Time) string {
		q := s.at("openai")
		q.JSON, q.Schema = true, json.RawMessage(`{"type":"object"}`)
		a, err := newClient(t, Options{Cache: cache}).Ask(t.Context(), q, Call{Since: since})
		if err != nil {
			t.Fatal(err)
		}
		return a.Text
	}
	want(t, "first", ask(time.Time{}), `{"n": 1}`)
	native = false
	want(t, "fresh", ask(time.Now()), `{"n": 2}`)
	want(t, "kept", ask(time.Time{}), `{"n": 2}`)
}

// TestStreamsThatAreWhole although they come under another type, break off behind
// their end, or stay open there.
func TestStreamsThatAreWhole(t *testing.T) {
	for name, serve := range map[string]func(w http.ResponseWriter, r *http.Request){
		"another type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, chunk(`"ok"`, `"stop"`)+"data: [DONE]\n\n")
		},
		"broken behind its end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, chunk(`"ok"`, `"stop"`))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"left open": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, chunk(`"ok"`, `"stop"`)+"data: [DONE]\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done() // it is closed from the other side
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := provide(t, func(w http.ResponseWriter, r *http.Request, _ int) { serve(w, r) })
			q := s.at("openai")
			q.Stream = true
			began := time.Now()
			a, err := newClient(t, Options{}).Ask(t.Context(), q, Call{})
			if err != nil || a.Text != "ok" {
				t.Errorf("answer %q, error %v", a.Text, err)
			}
			if took := time.Since(began); took > 700*time.Millisecond {
				t.Errorf("it took %v", took)
			}
		})
	}
}
