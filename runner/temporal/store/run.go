package store

import (
	"context"
	"encoding/json"
	"time"

	"nightshift/runner"
)

// Run is what a single run is started with.
type Run struct {
	Bundle     string // key of the batch file
	Pipeline   string // digest of the file, as the client computes it
	PipelineID string
	Inputs     runner.Inputs
	Options    runner.StartOptions
	Timeout    time.Duration // of the run; 0: none
	Files      bool          // some are with it, that its pipeline or its inputs name
}

// RunEnd is what a single run came to.
type RunEnd struct {
	State    runner.State
	Outputs  map[string]any    // of a run that succeeded
	Error    *runner.ErrorInfo // of one that failed
	NodeType string            // of Error.Node
	Usage    *runner.Usage     // nil where it is not known
}

// runObject is a Run as JSON.
type runObject struct {
	Bundle       string          `json:"bundle"`
	Pipeline     string          `json:"pipeline"`
	PipelineID   string          `json:"pipeline_id"`
	Inputs       json.RawMessage `json:"inputs"`
	TraceID      string          `json:"trace_id"`
	SessionID    string          `json:"session_id"`
	Overrides    json.RawMessage `json:"node_input_overrides"`
	Version      string          `json:"version"`
	AnswersSince time.Time       `json:"answers_since,omitzero"`
	Timeout      time.Duration   `json:"timeout_ns"`
	Files        bool            `json:"files"`
}

// runEndObject is a RunEnd as JSON.
type runEndObject struct {
	State    runner.State    `json:"state"`
	Outputs  json.RawMessage `json:"outputs"`
	Error    *errorObject    `json:"error"`
	NodeType string          `json:"node_type"`
	Usage    *usage          `json:"usage"`
}

type errorObject struct {
	Class      string `json:"class"`
	Message    string `json:"message"`
	StatusCode int    `json:"status_code"`
	Node       string `json:"node"`
}

// PutRun keeps what a run is started with.
func (s *Store) PutRun(ctx context.Context, key string, r *Run) error {
	o := r.Options
	return s.putJSON(ctx, startObject(key), runObject{
		r.Bundle, r.Pipeline, r.PipelineID, appendObject(nil, r.Inputs), o.TraceID, o.SessionID,
		appendObject(nil, o.NodeInputOverrides), o.Version, o.AnswersSince, r.Timeout, r.Files,
	})
}

// Run gives what a run is started with.
func (s *Store) Run(ctx context.Context, key string) (*Run, error) {
	var r runObject
	values, err := s.getJSON(ctx, startObject(key), &r, &r.Inputs, &r.Overrides)
	if err != nil {
		return nil, err
	}
	return &Run{r.Bundle, r.Pipeline, r.PipelineID, values[0], runner.StartOptions{
		TraceID: r.TraceID, SessionID: r.SessionID, NodeInputOverrides: values[1], Version: r.Version, AnswersSince: r.AnswersSince,
	}, r.Timeout, r.Files}, nil
}

// PutRunEnd keeps what a run came to.
func (s *Store) PutRunEnd(ctx context.Context, key string, e *RunEnd) error {
	return s.putJSON(ctx, endObject(key), runEndObject{
		e.State, appendObject(nil, e.Outputs), (*errorObject)(e.Error), e.NodeType, (*usage)(e.Usage),
	})
}

// RunEnd gives what a run came to. That of one that has not ended is a fs.ErrNotExist.
func (s *Store) RunEnd(ctx context.Context, key string) (*RunEnd, error) {
	var e runEndObject
	values, err := s.getJSON(ctx, endObject(key), &e, &e.Outputs)
	if err != nil {
		return nil, err
	}
	return &RunEnd{e.State, values[0], (*runner.ErrorInfo)(e.Error), e.NodeType, (*runner.Usage)(e.Usage)}, nil
}
