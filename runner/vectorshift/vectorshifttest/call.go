package vectorshifttest

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Op is a kind of call.
type Op string

// The kinds of calls. Start, RunSync and Stream share their path, and differ in
// the body.
const (
	Create    Op = "create"
	Fetch     Op = "fetch"
	Save      Op = "save"
	List      Op = "list"
	Delete    Op = "delete"
	Start     Op = "start"
	RunSync   Op = "run"
	Stream    Op = "stream"
	Bulk      Op = "bulk"
	Status    Op = "status"
	Terminate Op = "terminate"
	Resume    Op = "resume"
	Pause     Op = "pause"
	Any       Op = "" // for rules only
)

var operations = map[string]Op{
	"POST /v1/pipeline":                       Create,
	"GET /v1/pipeline":                        Fetch,
	"POST /v1/update/pipeline/{id}":           Save,
	"GET /v1/pipelines":                       List,
	"DELETE /v1/pipeline/{id}":                Delete,
	"POST /v1/pipeline/{id}/run":              Start,
	"POST /v1/pipeline/{id}/bulk_run":         Bulk,
	"GET /v1/pipeline/{id}/run/status/{task}": Status,
	"POST /v1/pipeline/{id}/terminate":        Terminate,
	"POST /v1/pipeline/{id}/resume":           Resume,
	"POST /v1/pipeline/{id}/pause":            Pause,
}

// Call is one call that came.
type Call struct {
	Op         Op
	Method     string
	Path       string // with /v1
	Query      url.Values
	Header     http.Header
	Body       map[string]any // nil: none
	PipelineID string         // "": none in the path
	TaskID     string         // of Status, Terminate and Pause; of Start, RunSync and Stream, once answered, that of the run
	At         time.Time
	Answered   int       // HTTP code; 0: not yet, or never: it was cut, or the client had gone
	AnsweredAt time.Time // when the answer began; zero: there is none
	Failed     bool      // as was scripted: it was not answered as it would have been
}

// Lost tells of a start whether its answer leaves open what came of it, or never came.
func (c *Call) Lost() bool {
	switch c.Answered {
	case 0, http.StatusBadGateway, http.StatusGatewayTimeout, 520, 524:
		return true
	}
	return c.Answered == http.StatusOK && c.Failed
}

// Calls gives the calls so far, in the order in which they came: those of some
// kinds or, with none named, all.
func (s *Server) Calls(ops ...Op) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []Call
	for _, c := range s.calls {
		if len(ops) == 0 || slices.Contains(ops, c.Op) {
			calls = append(calls, *c)
		}
	}
	return calls
}

// begin logs a call, and tells what is to go wrong with it.
func (s *Server) begin(c *Call) *Failure {
	s.mu.Lock()
	before := s.Before
	s.mu.Unlock()
	var f *Failure
	if before != nil {
		f = before(*c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == nil {
		f = s.rule(c)
	}
	c.Failed = f != nil && f.replaces()
	s.calls = append(s.calls, c)
	return f
}

// end notes what a call is answered with.
func (s *Server) end(c *Call, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Answered = status; status != 0 {
		c.AnsweredAt = time.Now()
	}
}

// Busiest is the most calls of any kind that came within such a time.
func (s *Server) Busiest(within time.Duration) int {
	calls, most := s.Calls(), 0
	for first, last := 0, 0; last < len(calls); last++ {
		for calls[last].At.Sub(calls[first].At) >= within {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
