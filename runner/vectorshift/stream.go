package vectorshift

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"nightshift/runner"
)

// Chunk is a frame that was understood. What it does not say is zero.
type Chunk struct {
	Type        string // stream, result, error, or another
	RunID       string
	OutputName  string
	OutputValue any // a plain value; of text that comes in pieces, the next piece

	// Of a result, which is the last chunk:
	Status  runner.State
	Outputs map[string]any // output node name to plain value

	Error string // of a result or an error, in the platform's words
}

// Types of chunks that mean something.
const (
	typeStream = "stream"
	typeResult = "result"
	typeError  = "error"
)

// RunStream runs the pipeline and gives the frames of its stream as they come, to
// their end, whatever they say. An error is the last that is given, with a zero
// Frame. Every range over it is a run of its own; leaving it early closes the
// stream, and the run may go on.
func (p *Pipeline) RunStream(ctx context.Context, in runner.Inputs, o RunOptions) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		run := p.streamedRun(o)
		for frame, err := range run.frames(ctx, in, o) {
			if err != nil {
				yield(Frame{}, run.lost(ctx, err))
				return
			}
			_, _ = run.hear(ctx, frame) // for the log
			if !yield(frame, nil) {
				return
			}
		}
	}
}

// Stream runs the pipeline and gives what all its nodes make while it runs, up to
// its result. A run that failed gives a result that says so, and no error. An error
// is the last that is given: a stream that breaks off or ends without a result is a
// *runner.ConnectionError, one that ends with an error a *runner.RunFailedError.
// Frames that are no JSON object, or have no type, are left out. Every range over it
// is a run of its own; leaving it early closes the stream, and the run may go on.
func (p *Pipeline) Stream(ctx context.Context, in runner.Inputs, o RunOptions) iter.Seq2[Chunk, error] {
	o.StreamAllOutputs, o.SendIntermediateResults = true, true
	return func(yield func(Chunk, error) bool) {
		run := p.streamedRun(o)
		for frame, err := range run.frames(ctx, in, o) {
			if err != nil {
				yield(Chunk{}, run.lost(ctx, err))
				return
			}
			chunk, err := run.hear(ctx, frame)
			if chunk.Type != "" && !yield(chunk, err) || chunk.Type == typeResult {
				return
			}
		}
		yield(Chunk{}, run.lost(ctx, nil))
	}
}

// streamedRun is a run that is streamed, as far as its frames have told of it.
type streamedRun struct {
	pipeline *Pipeline
	handle   *RunHandle
	what     call
	open     bool   // the stream has begun
	begun    bool   // that is in the log
	trouble  string // the last error that was told
}

func (p *Pipeline) streamedRun(o RunOptions) *streamedRun {
	run := &streamedRun{pipeline: p, handle: &RunHandle{TraceID: o.TraceID}}
	if p != nil {
		run.handle.PipelineID, run.handle.client = p.ID, p.client
	}
	return run
}

// frames starts the run and gives the frames of its stream.
func (r *streamedRun) frames(ctx context.Context, in runner.Inputs, o RunOptions) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		what, err := r.pipeline.call(ctx, in, o, streamed)
		if err != nil {
			yield(Frame{}, err)
			return
		}
		body, err := r.pipeline.client.open(ctx, what)
		if err != nil {
			yield(Frame{}, err)
			return
		}
		defer body.Close()
		r.what, r.open = what, true
		for frame, err := range frames(body) {
			if err == nil {
				err = ctx.Err() // more of them may have been read
			}
			if !yield(frame, err) || err != nil {
				return
			}
		}
	}
}

// hear understands a frame. A result that does not say how the run ended is an
// error; the Type is "" where nothing is understood.
func (r *streamedRun) hear(ctx context.Context, f Frame) (Chunk, error) {
	answer := jsonObject(f.Data)
	hide := r.pipeline.client.hide
	chunk := Chunk{
		Type: typeOf(f, answer), RunID: hide.ID(cmp.Or(wordOf(answer["run_id"]), wordOf(answer["task_id"]))),
		OutputName: wordOf(answer["output_name"]), OutputValue: decode(answer["output_value"]),
	}
	r.handle.TaskID = cmp.Or(chunk.RunID, r.handle.TaskID)
	r.handle.TraceID = cmp.Or(hide.ID(wordOf(answer["trace_id"])), r.handle.TraceID)
	if r.handle.TaskID != "" {
		r.begin(ctx)
	}
	switch chunk.Type {
	case typeError:
		r.trouble = hide.Text(runner.ReadRefusal([]byte(f.Data)).Message)
		chunk.Error = r.trouble
	case typeResult:
		return r.conclude(ctx, chunk, answer)
	}
	return chunk, nil
}

// conclude gives a result what it says.
func (r *streamedRun) conclude(ctx context.Context, chunk Chunk, answer map[string]any) (Chunk, error) {
	r.begin(ctx)
	if answer["error"] == nil && r.trouble != "" && stateOf(wordOf(answer["status"])) == runner.Failed {
		answer["error"] = r.trouble // that came before
	}
	end, err := r.pipeline.conclude(ctx, r.what, answer, r.handle)
	chunk.RunID, chunk.Status, chunk.Outputs, chunk.Error = end.TaskID, end.State, end.Outputs, end.Error
	return chunk, err
}

// begin logs, once, that the run was started.
func (r *streamedRun) begin(ctx context.Context) {
	if !r.begun {
		r.begun = true
		r.handle.logStart(ctx)
	}
}

// lost is the error that a stream ends with which has told no result. Without err
// it came to its end.
func (r *streamedRun) lost(ctx context.Context, err error) error {
	switch {
	case err == nil && r.trouble != "":
		err = &runner.RunFailedError{TaskID: r.handle.TaskID, RunError: r.trouble}
	case err == nil:
		broken := r.pipeline.client.foreign(r.what, errors.New("the stream ended without a result; the run may go on"))
		broken.Foreign = false // all that came was the platform's
		err = broken
	case !r.open: // there is no run
		return err
	}
	r.begin(ctx)
	r.handle.logError(ctx, "run lost from sight", err)
	return err
}

// typeOf gives the type of a frame: what its data says, else its event. One that
// has neither is known by what else is in it.
func typeOf(f Frame, answer map[string]any) string {
	event := f.Event
	if event == "message" { // the event where none is named
		event = ""
	}
	said := strings.ToLower(cmp.Or(wordOf(answer["type"]), event))
	switch {
	case strings.EqualFold(f.Event, typeError):
		return typeError
	case answer == nil:
		return ""
	case said != "":
		return said
	case answer["output_name"] != nil:
		return typeStream
	case reasonOf(answer) != "":
		return typeError
	}
	return ""
}

// jsonObject gives the JSON object that a text is; nil where it is none.
func jsonObject(text string) map[string]any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var object map[string]any
	if d.Decode(&object) != nil || d.More() {
		return nil
	}
	return object
}
