package vectorshifttest

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Failure is what happens to a call in place of its answer. With nothing but
// times in it, the answer comes, but late or slowly.
type Failure struct {
	Status   int           // HTTP code; 0: as the answer would have it
	Header   http.Header   // more of them
	Body     string        // "": for a Status, {"status":"failed","error":...}
	Cut      bool          // the connection is closed without an answer
	CutAfter int           // the connection is closed after so many bytes of the body; 0: it is not
	Done     bool          // what was asked for is done all the same, only the answer is lost
	Delay    time.Duration // before the answer
	Trickle  time.Duration // between the bytes of the answer
}

// Forever is a Delay: there is no answer until the client goes away.
const Forever time.Duration = math.MaxInt64 / 2

// HTML is a Failure that is a page for people.
func HTML(status int) Failure {
	return Failure{
		Status: status, Header: http.Header{"Content-Type": {"text/html"}},
		Body: "<html><head><title>" + strconv.Itoa(status) + " " + http.StatusText(status) + "</title></head><body>for people</body></html>",
	}
}

// RetryAfter is a refusal that asks to be left alone for so many seconds.
func RetryAfter(seconds int) Failure {
	return Failure{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {strconv.Itoa(seconds)}}}
}

// rule says of some calls how they fail.
type rule struct {
	op    Op
	left  int     // so many of them; below 0: all
	share float64 // of them
	Failure
}

// Fail lets the next n calls of a kind fail; below 0: all that come. Rules are
// tried in the order in which they were made, and the first one counts.
func (s *Server) Fail(op Op, n int, f Failure) { s.script(&rule{op, n, 1, f}) }

// Sometimes lets a share of the calls of a kind fail, from 0 to 1, by chance.
func (s *Server) Sometimes(op Op, share float64, f Failure) { s.script(&rule{op, -1, share, f}) }

// Mend forgets what Fail and Sometimes have said.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

func (s *Server) script(r *rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, r)
}

// rule finds what goes wrong with a call, with mu held.
func (s *Server) rule(c *Call) *Failure {
	for _, r := range s.rules {
		if r.op != Any && r.op != c.Op || r.left == 0 || s.random.Float64() >= r.share {
			continue
		}
		r.left--
		return &r.Failure
	}
	return nil
}

// replaces tells whether the answer is another one, or none.
func (f *Failure) replaces() bool { return f.Status != 0 || f.Body != "" || f.Cut }

// done tells whether what was asked for is done.
func (f *Failure) done() bool { return f.Done || !f.replaces() }

func (f *Failure) status(a answer) int {
	switch {
	case f.Cut:
		return 0
	case f.Status != 0:
		return f.Status
	case f.replaces():
		return http.StatusOK
	}
	return a.status
}

// write answers a call.
func (s *Server) write(o *out, f *Failure, a answer) {
	scripted := f.Body
	if f.Status != 0 && f.Body == "" {
		scripted = encode(map[string]any{"status": "failed", "error": "scripted " + strconv.Itoa(f.Status)})
	}
	kind := "application/json"
	if a.frames != nil && scripted == "" {
		kind = "text/event-stream"
	}
	o.Header().Set("Content-Type", kind)
	maps.Copy(o.Header(), f.Header)
	o.WriteHeader(f.status(a))
	if kind == "application/json" {
		o.send(cmp.Or(scripted, encode(a.body)))
		return
	}
	share := a.takes / time.Duration(len(a.frames)+1)
	for _, frame := range a.frames {
		if !s.sleep(o.ctx, share, a.run.ended) {
			panic(http.ErrAbortHandler)
		}
		o.send(event(frame))
	}
	if !s.sleep(o.ctx, time.Until(a.run.At.Add(a.takes)), a.run.ended) {
		panic(http.ErrAbortHandler)
	}
	result := s.ending(a.run)
	result["type"] = "result"
	o.send(event(result))
}

// out is where an answer goes, perhaps slowly, and perhaps not to the end.
type out struct {
	http.ResponseWriter
	ctx   context.Context
	left  int         // bytes until it is cut off; 0: it is not
	pause func() bool // between bytes; nil: none
}

func (o *out) send(text string) {
	cut := o.left > 0 && len(text) >= o.left
	if cut {
		text = text[:o.left]
	}
	o.left -= min(len(text), o.left)
	step := len(text)
	if o.pause != nil {
		step = 1
	}
	for len(text) > 0 {
		if _, err := io.WriteString(o, text[:step]); err != nil {
			panic(http.ErrAbortHandler)
		}
		text = text[step:]
		_ = http.NewResponseController(o.ResponseWriter).Flush()
		if o.pause != nil && !o.pause() {
			panic(http.ErrAbortHandler)
		}
	}
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// event is a frame of a stream.
func event(frame map[string]any) string { return "data: " + encode(frame) + "\n\n" }

// encode makes JSON of what came as JSON.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}
