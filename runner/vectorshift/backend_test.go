package vectorshift

import (
	"errors"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// TestBackendStatus: how a batch sees what the platform says of a run.
func TestBackendStatus(t *testing.T) {
	h := runner.Handle{PipelineID: "p", TaskID: "t", TraceID: "trace"}
	tests := map[string]struct {
		reply   reply
		state   runner.State
		outputs map[string]any
		failure string
	}{
		"going":     {said(`{"status": "in_progress"}`), runner.Running, nil, ""},
		"succeeded": {said(`{"status": "completed", "result": {"out": "x"}}`), runner.Succeeded, map[string]any{"out": "x"}, ""},
		"failed":    {said(`{"status": "failed", "error": "no credit", "result": {"out": "half"}}`), runner.Failed, nil, "run t failed: no credit"},
		"cancelled": {said(`{"status": "terminated"}`), runner.Cancelled, nil, ""},
		"too large": {reply{stream: endless(`{"status": "completed", "result": {"out": "`, 200<<20)}, runner.Failed, nil, "run t failed: the answer has more than 32 MB, which is as much as is read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, _ := scripted(t, test.reply)
			status, err := NewBackend(c, "").Status(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "state", status.State, test.state)
			want(t, "outputs", status.Outputs, test.outputs)
			failure := ""
			if status.Err != nil {
				failure = status.Err.Error()
			}
			want(t, "failure", failure, test.failure)
			_, large := errors.AsType[interface {
				error
				Class() string
			}](status.Err)
			want(t, "has a class of its own", large, name == "too large")
		})
	}
}

// TestBackendStream: the handle is known as soon as any frame tells it, so that a run
// whose stream breaks off can be terminated.
func TestBackendStream(t *testing.T) {
	const first = `data: {"type": "stream", "run_id": "t", "output_name": "llm.response", "output_value": "Hel"}` + "\n\n"
	tests := map[string]struct {
		frames string
		state  runner.State
		broken bool
	}{
		"succeeded": {first + `data: {"type": "result", "status": "completed", "outputs": {"out": "Hello"}}` + "\n\n", runner.Succeeded, false},
		"failed":    {first + `data: {"type": "result", "status": "failed", "error": "no credit"}` + "\n\n", runner.Failed, false},
		"cancelled": {first + `data: {"type": "result", "status": "cancelled"}` + "\n\n", runner.Cancelled, false},
		"error":     {first + `data: {"type": "error", "error": "boom"}` + "\n\n", runner.Failed, false},
		"cut":       {first, runner.Running, true},
		"odd":       {`data: {"type": "result", "run_id": "t", "status": "paused"}` + "\n\n", runner.Running, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, s := scripted(t, events(test.frames))
			var chunks []runner.Chunk
			h, status, err := NewBackend(c, "").Stream(t.Context(), "p", runner.Inputs{"in": "x"}, runner.StartOptions{TraceID: "trace"}, func(chunk runner.Chunk) { chunks = append(chunks, chunk) })
			want(t, "handle", h, runner.Handle{PipelineID: "p", TaskID: "t", TraceID: "trace"})
			want(t, "state", status.State, test.state)
			if _, broken := errors.AsType[*runner.ConnectionError](err); broken != test.broken {
				t.Errorf("error %v", err)
			}
			if name != "odd" {
				want(t, "chunks", chunks, []runner.Chunk{{RunID: "t", Output: "llm.response", Value: "Hel", Piece: true}})
			}
			want(t, "failed", status.Err != nil, test.state == runner.Failed)
			want(t, "trace id", s.calls[0].Body["trace_id"], any("trace"))
		})
	}
}

// TestBackendStart: what a batch gives to its starts is sent, with references that name
// nodes as the platform knows them, and files where the pipeline takes them.
func TestBackendStart(t *testing.T) {
	const object = `{"status": "success", "object": {"_id": "p", "name": "n", "nodes": {
		"i1": {"id": "i1", "name": "doc", "type": "input", "inputs": {"input_type": "file"}},
		"l1": {"id": "l1", "name": "llm", "type": "llm", "inputs": {"prompt": "{{ i1.file }}"}}}}}`
	c, s := scripted(t, said(object), said(`{"status": "success", "objects": []}`), said(`{"task_id": "t", "status": "in_progress"}`))
	dir := t.TempDir()
	writeFile(t, dir+"/a.txt", "Hi")
	b := NewBackend(c, dir)
	saved, err := b.Save(t.Context(), &spec.Pipeline{Name: "n"}, runner.SaveOptions{})
	if err != nil || saved.PipelineID != "p" || saved.Action != runner.Unchanged {
		t.Fatalf("%+v, %v", saved, err)
	}
	h, err := b.Start(t.Context(), "p", runner.Inputs{"doc": map[string]any{"file": "a.txt"}}, runner.StartOptions{
		TraceID: "trace", SessionID: "s", Version: "1.2", NodeInputOverrides: map[string]any{"llm.system": "See {{ doc.file }}"},
	})
	want(t, "handle", h, runner.Handle{PipelineID: "p", TaskID: "t", TraceID: "trace"})
	if err != nil {
		t.Fatal(err)
	}
	sent := s.calls[len(s.calls)-1].Body
	file := sent["inputs"].(map[string]any)["doc"].(map[string]any)
	want(t, "file", file["raw_bytes"], any("SGk="))
	delete(sent, "inputs")
	want(t, "sent", sent, map[string]any{
		"background": true, "trace_id": "trace", "session_id": "s", "version": "1.2", "node_input_overrides": map[string]any{"llm.system": "See {{ i1.file }}"},
	})
}
