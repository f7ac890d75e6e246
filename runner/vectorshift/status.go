package vectorshift

import (
	"cmp"
	"encoding/json"
	"strings"

	"nightshift/runner"
	"nightshift/spec"
)

// Result is how a run stands, or has ended.
type Result struct {
	PipelineID, TaskID, TraceID string

	State   runner.State
	Word    string         // the platform's own for the state
	Outputs map[string]any // output node name to plain value; a result that is no object is under "output"
	Error   string         // why the run failed or was cancelled, in the platform's words where it has any
	Err     error          // of a run that failed or was cancelled: holds a *runner.RunFailedError; else nil
}

// states are what the words of the platform mean, which has several for one state.
var states = map[string]runner.State{
	"running": runner.Running, "in_progress": runner.Running,
	"succeeded": runner.Succeeded, "completed": runner.Succeeded, "success": runner.Succeeded,
	"failed":    runner.Failed,
	"cancelled": runner.Cancelled, "canceled": runner.Cancelled, "terminated": runner.Cancelled,
}

// stateOf gives what a word of the platform means. One that is not known is no end
// of a run.
func stateOf(word string) runner.State {
	return cmp.Or(states[strings.ToLower(strings.TrimSpace(word))], runner.Running)
}

// read reads how the run stands off an answer. What the answer leaves out is as in
// the handle.
func (h *RunHandle) read(answer map[string]any) *Result {
	hide := h.client.hide
	r := &Result{
		PipelineID: h.PipelineID,
		TaskID:     cmp.Or(h.TaskID, hide.ID(taskIDOf(answer))),
		TraceID:    cmp.Or(hide.ID(wordOf(answer["trace_id"])), h.TraceID),
		Word:       hide.Text(wordOf(answer["status"])),
		Outputs:    outputsOf(answer),
		Error:      hide.Text(reasonOf(answer)),
	}
	r.end(stateOf(r.Word))
	return r
}

// end sets the state, and the error that belongs to it.
func (r *Result) end(state runner.State) {
	r.State, r.Err = state, nil
	switch state {
	case runner.Failed:
		r.Error = cmp.Or(r.Error, "the platform gives no reason")
	case runner.Cancelled:
		r.Error = cmp.Or(r.Error, "it was cancelled")
	default:
		return
	}
	r.Err = &runner.RunFailedError{TaskID: r.TaskID, RunError: r.Error}
}

// outcomeLost is the failure of a run that has ended, or may have, but whose
// outcome cannot be had: asking again would not help.
type outcomeLost struct {
	*runner.RunFailedError
	cause error
}

// Unwrap leads to the cause too: it knows the class of the failure.
func (e *outcomeLost) Unwrap() []error { return []error{e.RunFailedError, e.cause} }

// lose makes the result that of a run whose outcome cannot be had.
func (r *Result) lose(cause error) {
	r.Error = cause.Error()
	r.end(runner.Failed)
	r.Err = &outcomeLost{&runner.RunFailedError{TaskID: r.TaskID, RunError: r.Error}, cause}
}

// taskIDOf gives the id of the run that an answer is about; "" where there is none.
func taskIDOf(answer map[string]any) string {
	return cmp.Or(wordOf(answer["task_id"]), wordOf(answer["run_id"]), wordOf(answer["id"]))
}

// outputsOf gives the outputs of a run, which one answer has under result and
// another under outputs. Where a run succeeded with another value than an object,
// that is the output "output".
func outputsOf(answer map[string]any) map[string]any {
	for _, key := range []string{"result", "outputs"} {
		if outputs, ok := answer[key].(map[string]any); ok && len(outputs) > 0 {
			return decodeOutputs(outputs)
		}
	}
	if word := wordOf(answer["status"]); word == "" || stateOf(word) == runner.Succeeded {
		for _, key := range []string{"result", "outputs"} {
			if value := decode(answer[key]); !spec.IsEmpty(value) {
				return map[string]any{"output": value}
			}
		}
	}
	return map[string]any{}
}

// wordOf gives a word or an id, which may be a number; "" where it is neither.
func wordOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// reasonOf gives what an answer says went wrong; "" where it says nothing.
func reasonOf(answer map[string]any) string {
	switch reason := answer["error"].(type) {
	case nil, bool:
		return ""
	case string:
		return reason
	default:
		body, _ := json.Marshal(map[string]any{"error": reason})
		return runner.ReadRefusal(body).Message
	}
}
