package vectorshifttest

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"nightshift/runner"
)

// Run is one that was started.
type Run struct {
	Op         Op // Start, RunSync, Stream or Bulk
	PipelineID string
	TaskID     string
	TraceID    string         // that was sent, or else made
	Inputs     map[string]any // as they were sent
	Body       map[string]any // of the start
	At         time.Time
	Until      time.Time      // when it ends by itself; zero: never
	State      runner.State   // at the moment that it is asked for
	Outputs    map[string]any // that it gives when it ends
	Failure    string         // why it fails when it ends; "": it does not
	Looks      int            // status calls about it
	Terminated time.Time      // zero: it was not
	Lost       bool           // its start was not answered as it would have been

	graph map[string]any // that it executes
	ended chan struct{}  // closed when it ends before its time
}

// Runs gives all runs so far, in the order of their starts.
func (s *Server) Runs() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs := make([]Run, len(s.runs))
	for i, r := range s.runs {
		r.State = r.state()
		runs[i] = *r
	}
	return runs
}

// Peak is how many runs were in flight at most.
func (s *Server) Peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak
}

// Release lets all runs that are going come to their end now.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if !r.state().Ended() {
			r.Until = time.Now()
			close(r.ended)
		}
	}
}

// state tells how a run stands now.
func (r *Run) state() runner.State {
	switch now := time.Now(); {
	case !r.Terminated.IsZero():
		return runner.Cancelled
	case r.Until.IsZero() || now.Before(r.Until):
		return runner.Running
	case r.Failure != "":
		return runner.Failed
	}
	return runner.Succeeded
}

func (s *Server) word(state runner.State) string {
	return map[runner.State]string{
		runner.Running: s.Words.Running, runner.Succeeded: s.Words.Succeeded,
		runner.Failed: s.Words.Failed, runner.Cancelled: s.Words.Cancelled,
	}[state]
}

// inFlight counts the runs that have not ended.
func (s *Server) inFlight() int {
	s.going = slices.DeleteFunc(s.going, func(r *Run) bool { return r.state().Ended() })
	return len(s.going)
}

// start starts a run, in whichever way it is asked for.
func (s *Server) start(p *pipeline, c *Call) answer {
	version := text(c.Body["version"])
	graph := p.executed(version)
	switch {
	case graph == nil:
		return refuse(http.StatusNotFound, "version "+version+" not found")
	case s.MaxRuns > 0 && s.inFlight() >= s.MaxRuns:
		return refuse(http.StatusTooManyRequests, fmt.Sprintf("too many concurrent runs: %d are allowed", s.MaxRuns))
	}
	inputs, _ := c.Body["inputs"].(map[string]any)
	r := s.newRun(p.id, graph, c, inputs)
	c.TaskID = r.TaskID
	switch c.Op {
	case RunSync:
		return answer{status: http.StatusOK, run: r, takes: r.takes()}
	case Stream:
		return answer{status: http.StatusOK, run: r, takes: r.takes(), frames: r.frames()}
	}
	body := map[string]any{"task_id": r.TaskID, "status": s.Words.Running}
	if !s.NoTrace {
		body["trace_id"] = r.TraceID
	}
	return ok(body)
}

// newRun makes a run, and settles how it is going to end.
func (s *Server) newRun(pipelineID string, graph map[string]any, c *Call, inputs map[string]any) *Run {
	r := &Run{
		Op: c.Op, PipelineID: pipelineID, TaskID: s.id("c"), TraceID: text(c.Body["trace_id"]),
		Inputs: inputs, Body: c.Body, At: time.Now(), State: runner.Running, Lost: c.Failed, ended: make(chan struct{}),
	}
	if r.TraceID == "" {
		r.TraceID = s.id("d")
	}
	r.graph, r.Failure = override(graph, c.Body["node_input_overrides"])
	takes := time.Duration(0)
	if s.Takes != nil {
		takes = s.Takes(*r)
	}
	if takes >= 0 {
		r.Until = r.At.Add(takes)
	}
	if s.Ends != nil && r.Failure == "" {
		r.Outputs, r.Failure = s.Ends(*r)
	}
	if r.Outputs == nil && r.Failure == "" {
		r.Outputs = r.echo()
	}
	s.runs = append(s.runs, r)
	s.byTask[r.TaskID] = r
	s.peak = max(s.peak, s.inFlight()+1)
	s.going = append(s.going, r)
	return r
}

// status answers a look at a run.
func (s *Server) status(c *Call) answer {
	r := s.byTask[c.TaskID]
	if r == nil || r.PipelineID != c.PipelineID {
		return refuse(http.StatusNotFound, "run not found")
	}
	r.Looks++
	state := r.state()
	body := map[string]any{"task_id": r.TaskID, "status": s.word(state), s.Results: nil, "error": nil}
	switch state {
	case runner.Succeeded:
		body[s.Results] = r.Outputs
	case runner.Failed:
		body["error"] = r.Failure
	}
	return ok(body)
}

// terminate ends a run; one that has ended stays as it is.
func (s *Server) terminate(c *Call) answer {
	r := s.byTask[c.TaskID]
	if r == nil || r.PipelineID != c.PipelineID {
		return refuse(http.StatusNotFound, "run not found")
	}
	if !r.state().Ended() {
		r.Terminated = time.Now()
		close(r.ended)
	}
	return ok(map[string]any{"status": "success"})
}

// ending is the answer of a call that has waited for a run.
func (s *Server) ending(r *Run) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	body := map[string]any{"run_id": r.TaskID, "trace_id": r.TraceID}
	switch r.state() {
	case runner.Succeeded:
		body["status"], body["outputs"] = "success", r.Outputs
	case runner.Cancelled:
		body["status"] = s.Words.Cancelled
	default:
		body["status"], body["error"] = "failed", r.Failure
	}
	return body
}

// bulk runs a pipeline for several inputs, and waits for the longest.
func (s *Server) bulk(p *pipeline, c *Call) answer {
	list, _ := c.Body["runs"].([]any)
	outputs, longest := []any{}, time.Duration(0)
	for _, item := range list {
		one, _ := item.(map[string]any)
		inputs, _ := one["inputs"].(map[string]any)
		r := s.newRun(p.id, p.executed(""), c, inputs)
		outputs = append(outputs, map[string]any{"run_id": r.TaskID, "outputs": r.Outputs})
		longest = max(longest, r.Until.Sub(r.At))
	}
	a := ok(map[string]any{"status": "success", "run_outputs": outputs})
	a.after = longest
	return a
}
