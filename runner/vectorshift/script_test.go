package vectorshift

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

const testKey = "vs-0123456789abcdef"

// reply is what a script answers a call with.
type reply struct {
	status int // 0: 200
	header map[string]string
	body   string
	stream io.ReadCloser // instead of body
	err    error         // instead of an answer
	hangs  bool          // there is never one
}

func said(body string) reply { return reply{body: body} }

func refused(status int, body string, header ...string) reply {
	r := reply{status: status, body: body, header: map[string]string{}}
	for i := 0; i < len(header); i += 2 {
		r.header[header[i]] = header[i+1]
	}
	return r
}

// script is a platform in this process: it answers one call after the other, and
// keeps what was called. The last reply is repeated.
type script struct {
	replies []reply

	mu    sync.Mutex
	calls []scriptCall
	began time.Time
}

type scriptCall struct {
	At           time.Duration // since the first call
	Method, Path string
	Body         map[string]any
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	made := scriptCall{Method: req.Method, Path: req.URL.EscapedPath()}
	if req.Body != nil {
		json.NewDecoder(req.Body).Decode(&made.Body)
		req.Body.Close()
	}
	s.mu.Lock()
	now := time.Now()
	if s.calls == nil {
		s.began = now
	}
	made.At = now.Sub(s.began)
	r := s.replies[min(len(s.calls), len(s.replies)-1)]
	s.calls = append(s.calls, made)
	s.mu.Unlock()
	if r.hangs {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	if r.err != nil {
		return nil, r.err
	}
	resp := &http.Response{StatusCode: r.status, Header: http.Header{}, Body: r.stream, Request: req, ContentLength: -1, ProtoMajor: 1, ProtoMinor: 1}
	if r.status == 0 {
		resp.StatusCode = http.StatusOK
	}
	if r.stream == nil {
		resp.Body = io.NopCloser(strings.NewReader(r.body))
	}
	resp.Header.Set("Content-Type", "application/json")
	for name, value := range r.header {
		resp.Header.Set(name, value)
	}
	return resp, nil
}

// made lists the calls: "0s GET /pipeline/p/run/status/t".
func (s *script) made() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := []string{}
	for _, c := range s.calls {
		lines = append(lines, fmt.Sprint(c.At, " ", c.Method, " ", c.Path))
	}
	return lines
}

// scripted makes a client of a platform that answers with these replies.
func scripted(t testing.TB, replies ...reply) (*Client, *script) {
	t.Helper()
	c, s, _ := scriptedLog(t, replies...)
	return c, s
}

// scriptedLog is scripted with what is logged, as JSON.
func scriptedLog(t testing.TB, replies ...reply) (*Client, *script, *bytes.Buffer) {
	t.Helper()
	s, log := &script{replies: replies}, new(bytes.Buffer)
	c, err := New(Options{
		BaseURL: "http://platform.test/v1", Key: testKey, HTTP: &http.Client{Transport: s},
		Log: slog.New(slog.NewJSONHandler(log, nil)),
		Env: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, s, log
}

// records are those of a log, each without its time.
func records(t testing.TB, log *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := json.NewDecoder(log); d.More(); {
		var record map[string]any
		if err := d.Decode(&record); err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(record, func(key string, _ any) bool { return key == "time" })
		all = append(all, record)
	}
	return all
}

func want(t testing.TB, what string, got, wanted any) {
	t.Helper()
	if diff := gocmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
