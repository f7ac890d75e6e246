// Package vectorshifttest is a scripted platform, as httptest is a scripted server.
//
// A [Server] speaks the platform's API: pipelines are kept in memory, and a run
// takes its time and gives the echo of its graph, which is what its output nodes
// hold with the inputs filled in. What goes wrong is scripted by the kind of call:
//
//	s := vectorshifttest.New()
//	defer s.Close()
//	s.Fail(vectorshifttest.Start, 2, vectorshifttest.Failure{Status: 429})
//	// ... a client with s.URL and s.Key ...
//	s.Calls(vectorshifttest.Start) // what came
//
// In a bubble of testing/synctest, where there is no network, [NewInProcess] makes a
// server that is reached by its Transport only.
package vectorshifttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// Server is a platform in memory.
type Server struct {
	URL string // the base URL of clients
	Key string // that calls must have

	// Settings may be set directly before the first call to a server in process;
	// those of others only by Set, as their goroutines run already.
	Settings

	server  *httptest.Server // nil: in process
	mux     *http.ServeMux
	closing chan struct{}

	mu        sync.Mutex
	ids       int
	calls     []*Call
	rules     []*rule
	random    *rand.Rand
	pipelines map[string]*pipeline
	saves     int // so far, for the order of pipelines
	runs      []*Run
	byTask    map[string]*Run
	going     []*Run // those that had not ended at the last start
	peak      int
}

// New starts a server on the loopback interface.
func New() *Server {
	s := newServer()
	s.server = httptest.NewServer(s)
	s.URL = s.server.URL + "/v1"
	return s
}

// NewInProcess makes a server that has no socket: clients need its Transport. In
// a bubble of testing/synctest it is to be made inside.
func NewInProcess() *Server {
	s := newServer()
	s.URL = "http://platform.test/v1"
	return s
}

func newServer() *Server {
	s := &Server{
		Key:     "vs-key-of-tests-0123456789",
		closing: make(chan struct{}), random: rand.New(rand.NewPCG(20261123, 5)),
		pipelines: map[string]*pipeline{}, byTask: map[string]*Run{},
	}
	s.Set(Settings{})
	s.mux = http.NewServeMux()
	for pattern, op := range operations {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, op) })
	}
	return s
}

// Close ends all calls that hang, and stops listening.
func (s *Server) Close() {
	select {
	case <-s.closing:
		return
	default:
		close(s.closing)
	}
	if s.server != nil {
		s.server.CloseClientConnections()
		s.server.Close()
	}
}

// ServeHTTP answers a call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// answer is what a call is answered with.
type answer struct {
	status int
	body   map[string]any
	after  time.Duration    // how long it takes
	run    *Run             // that is waited for, and tells the body; nil: none
	takes  time.Duration    // that it goes on by itself
	frames []map[string]any // of a stream, which end with that of the run; nil: it is none
}

func refuse(status int, why string) answer {
	return answer{status: status, body: map[string]any{"status": "failed", "error": why}}
}

func ok(body map[string]any) answer { return answer{status: http.StatusOK, body: body} }

// serve logs a call, and answers it or lets it fail.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, op Op) {
	c, wrong := s.newCall(r, op)
	f := s.begin(c)
	var a answer
	switch {
	case wrong != nil:
		a, f = *wrong, nil
	case f == nil || f.done():
		a = s.do(c)
	}
	if f == nil {
		f = &Failure{}
	}
	if !s.sleep(r.Context(), f.Delay+a.after, nil) {
		panic(http.ErrAbortHandler)
	}
	if a.run != nil && a.frames == nil && !f.replaces() {
		if !s.sleep(r.Context(), a.takes, a.run.ended) {
			panic(http.ErrAbortHandler)
		}
		a.body = s.ending(a.run)
	}
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody is there to be answered
	}
	s.end(c, f.status(a))
	if f.Cut {
		panic(http.ErrAbortHandler)
	}
	o := &out{ResponseWriter: w, ctx: r.Context(), left: f.CutAfter}
	if f.Trickle > 0 {
		o.pause = func() bool { return s.sleep(r.Context(), f.Trickle, nil) }
	}
	s.write(o, f, a)
}

// newCall reads a call; wrong is what it is refused with.
func (s *Server) newCall(r *http.Request, op Op) (c *Call, wrong *answer) {
	c = &Call{
		Op: op, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header.Clone(), At: time.Now(),
		PipelineID: r.PathValue("id"), TaskID: r.PathValue("task"),
	}
	text, err := io.ReadAll(r.Body)
	if err == nil && len(text) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		err = decoder.Decode(&c.Body)
	}
	if op == Start {
		switch {
		case c.Body["stream"] == true:
			c.Op = Stream
		case c.Body["background"] != true:
			c.Op = RunSync
		}
	}
	if op == Terminate || op == Pause {
		c.TaskID, _ = c.Body["run_id"].(string)
	}
	switch auth := r.Header.Get("Authorization"); {
	case auth == "":
		return c, unauthorized("Missing authorization header")
	case len(auth) < 8 || auth[:7] != "Bearer ":
		return c, unauthorized("Invalid authorization header format")
	case auth[7:] != s.Key:
		return c, unauthorized("Invalid API key")
	case err != nil:
		a := refuse(http.StatusBadRequest, "the body is no JSON object: "+err.Error())
		return c, &a
	}
	return c, nil
}

func unauthorized(why string) *answer {
	return &answer{status: http.StatusUnauthorized, body: map[string]any{"error": why}}
}

// do does what a call asks for.
func (s *Server) do(c *Call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c.Op {
	case Create:
		return s.create(c)
	case Fetch:
		return s.fetch(c)
	case List:
		return s.list(c)
	}
	p := s.pipelines[c.PipelineID]
	if p == nil {
		return refuse(http.StatusNotFound, "pipeline not found")
	}
	switch c.Op {
	case Save:
		return s.save(p, c)
	case Delete:
		delete(s.pipelines, p.id)
		return ok(map[string]any{"status": "success"})
	case Start, RunSync, Stream:
		return s.start(p, c)
	case Bulk:
		return s.bulk(p, c)
	case Status:
		return s.status(c)
	case Terminate:
		return s.terminate(c)
	}
	return ok(map[string]any{"status": "success"}) // resume and pause
}

// sleep waits for so long, or until enough is closed, and tells whether somebody
// still waits for the answer.
func (s *Server) sleep(ctx context.Context, d time.Duration, enough <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-enough:
		return true
	case <-ctx.Done():
	case <-s.closing:
	}
	return false
}

// id makes an id of 24 hex digits that begins with a letter.
func (s *Server) id(letter string) string {
	s.ids++
	return fmt.Sprintf("%s%023x", letter, s.ids)
}

// clone copies JSON values.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := maps.Clone(v)
		for key, value := range m {
			m[key] = clone(value)
		}
		return m
	case []any:
		list := slices.Clone(v)
		for i, value := range list {
			list[i] = clone(value)
		}
		return list
	}
	return v
}
