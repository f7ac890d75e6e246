package vectorshift

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"nightshift/runner"
)

// TestStatusWords: the words of both families, in any case; an unknown one is no end.
func TestStatusWords(t *testing.T) {
	for word, state := range map[string]runner.State{
		`"running"`: runner.Running, `"in_progress"`: runner.Running, `"IN_PROGRESS"`: runner.Running,
		`"succeeded"`: runner.Succeeded, `"completed"`: runner.Succeeded, `"success"`: runner.Succeeded, `" Completed "`: runner.Succeeded,
		`"failed"`: runner.Failed, `"Failed"`: runner.Failed,
		`"cancelled"`: runner.Cancelled, `"canceled"`: runner.Cancelled, `"terminated"`: runner.Cancelled, `"CANCELLED"`: runner.Cancelled,
		`"queued"`: runner.Running, `"completed_with_warnings"`: runner.Running, `""`: runner.Running,
		`null`: runner.Running, `7`: runner.Running, `{}`: runner.Running,
	} {
		c, _ := scripted(t, said(`{"task_id": "t", "status": `+word+`}`))
		r, err := c.Handle("p", "t", "").Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, word, r.State, state)
		var raw any
		json.Unmarshal([]byte(word), &raw)
		switch raw := raw.(type) {
		case string:
			want(t, "raw word", r.Word, raw)
		case float64:
			want(t, "raw word", r.Word, fmt.Sprint(raw))
		default:
			want(t, "raw word", r.Word, "")
		}
		if failed := state == runner.Failed || state == runner.Cancelled; failed != (r.Err != nil) {
			t.Errorf("%s: the error is %v", word, r.Err)
		}
	}
	c, _ := scripted(t, said(`{"task_id": "t"}`))
	r, err := c.Handle("p", "t", "").Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "no word", *r, Result{PipelineID: "p", TaskID: "t", State: runner.Running, Outputs: map[string]any{}})
}

func TestWhereResultsAre(t *testing.T) {
	for answer, outputs := range map[string]map[string]any{
		`{"status": "completed", "result": {"out": "hello"}}`:                            {"out": "hello"},
		`{"status": "succeeded", "outputs": {"out": "hello"}}`:                           {"out": "hello"},
		`{"status": "completed", "result": null, "outputs": {"out": "hello"}}`:           {"out": "hello"},
		`{"status": "completed", "result": {}, "outputs": {"out": "hello"}}`:             {"out": "hello"},
		`{"status": "completed", "result": {"out": "a"}, "outputs": {"out": "b"}}`:       {"out": "a"},
		`{"status": "completed", "result": "hello", "outputs": {"out": 12.50}}`:          {"out": json.Number("12.50")},
		`{"status": "completed", "result": {"m": {"type": "map", "items": {"a": [1]}}}}`: {"m": map[string]any{"a": []any{json.Number("1")}}},
		`{"status": "completed", "result": {"a": null, "b": true, "c": []}}`:             {"a": nil, "b": true, "c": []any{}},
		`{"status": "completed"}`:                                  {},
		`{"status": "completed", "result": null, "outputs": null}`: {},
		`{"status": "completed", "result": "", "outputs": []}`:     {},
		`{"status": "completed", "result": [1], "outputs": 7}`:     {"output": []any{json.Number("1")}},
		`{"status": "completed", "result": "hello"}`:               {"output": "hello"},
		`{"status": "completed", "outputs": false}`:                {"output": false},
	} {
		c, _ := scripted(t, said(answer))
		r, err := c.Handle("p", "t", "").Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, answer, r.Outputs, outputs)
		want(t, answer, r.State, runner.Succeeded)
	}
}

// TestFailedRunIsNoError: a run that failed is answered with 200, and the look has
// worked.
func TestFailedRunIsNoError(t *testing.T) {
	for answer, reason := range map[string]string{
		`{"task_id": "t", "status": "failed", "error": "no such model"}`:                           "no such model",
		`{"status": "failed", "error": "no such model"}`:                                           "no such model",
		`{"task_id": "t", "status": "failed", "error": {"message": "no such model", "code": 7}}`:   "no such model",
		`{"task_id": "t", "status": "failed", "error": ["bad", "worse"]}`:                          "bad; worse",
		`{"task_id": "t", "status": "failed", "error": null}`:                                      "the platform gives no reason",
		`{"task_id": "t", "status": "failed"}`:                                                     "the platform gives no reason",
		`{"task_id": "t", "status": "failed", "error": "your key ` + testKey + ` is not allowed"}`: "your key [hidden] is not allowed",
	} {
		c, _ := scripted(t, said(answer))
		r, err := c.Handle("p", "t", "trace").Status(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		want(t, answer, *r, Result{
			PipelineID: "p", TaskID: "t", TraceID: "trace", State: runner.Failed, Word: "failed", Outputs: map[string]any{},
			Error: reason, Err: &runner.RunFailedError{TaskID: "t", RunError: reason},
		})
	}
}

// TestIDsOfAStatus: the run is looked at under the id that it was asked by; the trace
// is the one that we know where the answer says none.
func TestIDsOfAStatus(t *testing.T) {
	for answer, trace := range map[string]string{
		`{"status": "running"}`:                                       "ours",
		`{"status": "running", "trace_id": null}`:                     "ours",
		`{"status": "running", "trace_id": ""}`:                       "ours",
		`{"status": "running", "trace_id": "theirs"}`:                 "theirs",
		`{"status": "running", "task_id": "other", "run_id": "span"}`: "ours",
		`{"status": "running", "id": 7, "trace_id": 0}`:               "0",
	} {
		c, s := scripted(t, said(answer))
		r, err := c.Handle("p/q", "t r", "ours").Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, answer, []string{r.PipelineID, r.TaskID, r.TraceID}, []string{"p/q", "t r", trace})
		want(t, "calls", s.made(), []string{"0s GET /v1/pipeline/p%2Fq/run/status/t%20r"})
	}
}

func TestUnknownTask(t *testing.T) {
	c, s := scripted(t, refused(404, `{"status": "failed", "error": "no such run"}`))
	for name, look := range map[string]func() (*Result, error){
		"status": func() (*Result, error) { return c.Handle("p", "t", "").Status(t.Context()) },
		"result": func() (*Result, error) { return c.Handle("p", "t", "").Result(t.Context(), ResultOptions{}) },
	} {
		s.calls = nil
		r, err := look()
		if _, ok := errors.AsType[*runner.NotFoundError](err); !ok || r != nil {
			t.Errorf("%s: %v and %v", name, r, err)
		}
		want(t, name, len(s.calls), 1)
	}
}

// TestIDsThatAreNone: without one the call would be another.
func TestIDsThatAreNone(t *testing.T) {
	c, s := scripted(t, said(`{"status": "completed"}`))
	for _, ids := range [][2]string{{"", "t"}, {"p", ""}, {"..", "t"}, {"p", ".."}} {
		h := c.Handle(ids[0], ids[1], "")
		if r, err := h.Status(t.Context()); err == nil {
			t.Errorf("status of %q: %v", ids, r)
		}
		if r, err := h.Result(t.Context(), ResultOptions{}); err == nil {
			t.Errorf("result of %q: %v", ids, r)
		}
	}
	for _, ids := range [][2]string{{"", "t"}, {"p", ""}, {"..", "t"}} {
		if err := c.Handle(ids[0], ids[1], "").Terminate(t.Context()); err == nil {
			t.Errorf("terminate of %q worked", ids)
		}
	}
	want(t, "calls", s.made(), []string{})
}

// endless is a body of that many bytes, the beginning of an answer.
func endless(start string, size int64) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(start), io.LimitReader(letters{}, size)))
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestStatusTooLarge: an answer that nobody reads to its end is as large the next
// time, so the run has failed, by the first look.
func TestStatusTooLarge(t *testing.T) {
	large := func() reply { return reply{stream: endless(`{"status": "completed", "result": {"out": "`, 200<<20)} }
	const message = "the answer has more than 32 MB, which is as much as is read"
	check := func(what string, r *Result, err error) {
		want(t, what, []any{r.State, r.Error}, []any{runner.Failed, message})
		failed, ok := errors.AsType[*runner.RunFailedError](err)
		if !ok || *failed != (runner.RunFailedError{TaskID: "t", RunError: message}) {
			t.Errorf("%s: %v", what, err)
		}
		class, ok := errors.AsType[interface {
			error
			Class() string
		}](err)
		if !ok || class.Class() != "bad_answer" {
			t.Errorf("%s: the class of %v is lost", what, err)
		}
		if c, ok := errors.AsType[*runner.ConnectionError](err); ok {
			t.Errorf("%s: it would be looked at again, because of %v", what, c)
		}
	}
	c, _ := scripted(t, large())
	r, err := c.Handle("p", "t", "").Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check("status", r, r.Err)
	c, s := scripted(t, large())
	r, err = c.Handle("p", "t", "").Result(t.Context(), ResultOptions{})
	check("result", r, err)
	want(t, "looks", len(s.calls), 1)
}

// TestRefusalThatTellsTheEnd: where a look is refused with an answer that names the run
// and says that it ended, that is its end; else it is the failure of a call.
func TestRefusalThatTellsTheEnd(t *testing.T) {
	const end = `{"status": "failed", "task_id": "t", "error": "no such model"}`
	for _, test := range []struct {
		status int
		body   string
		ended  bool
	}{
		{400, end, true},
		{422, end, true},
		{500, end, true},
		{500, `{"status": "FAILED", "run_id": "t", "error": "no such model"}`, true},
		{500, `{"status": "failed", "error": "no such model"}`, false},
		{400, `{"status": "failed", "error": "no such model"}`, false},
		{500, `{"status": "failed", "task_id": "other", "error": "no such model"}`, false},
		{500, `{"status": "failed", "id": "t", "error": "no such model"}`, false},
		{500, `{"status": "running", "task_id": "t"}`, false},
		{500, `{"task_id": "t", "error": "no such model"}`, false},
		{500, end[:40], false},
		// Of these the matter is the call, whatever is said.
		{401, end, false}, {403, end, false}, {404, end, false}, {429, end, false},
	} {
		c, _, log := scriptedLog(t, refused(test.status, test.body))
		r, err := c.Handle("p", "t", "trace").Status(t.Context())
		message := "call failed"
		if test.ended {
			message = "run ended"
		}
		logged := records(t, log)
		if len(logged) != 1 || logged[0]["msg"] != message {
			t.Errorf("%d %s: log %v", test.status, test.body, logged)
		}
		if api, ok := errors.AsType[*runner.APIError](err); !test.ended {
			if !ok || api.StatusCode != test.status {
				t.Errorf("%d %s: %v, error %v", test.status, test.body, r, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%d %s: error %v", test.status, test.body, err)
			continue
		}
		want(t, test.body, []string{string(r.State), r.Error, r.TaskID, r.TraceID}, []string{"failed", "no such model", "t", "trace"})
	}
	c, _ := scripted(t, refused(400, end))
	if err := c.Handle("p", "t", "").Terminate(t.Context()); err == nil {
		t.Error("a refused termination is none")
	}
}

// TestLongWord: the platform's word is quoted, but not at any length.
func TestLongWord(t *testing.T) {
	c, _ := scripted(t, said(`{"status": "`+strings.Repeat("x", 100_000)+`\u001b[31m"}`))
	_, err := c.Pipeline("p").Start(t.Context(), nil, RunOptions{})
	if !unanswered(t, err).Foreign || len(err.Error()) > 500 {
		t.Errorf("error %.600v", err)
	}
	r, err := c.Pipeline("p").Run(t.Context(), nil, RunOptions{})
	if r == nil || !unanswered(t, err).Foreign || len(err.Error()) > 500 {
		t.Errorf("error %.600v", err)
	}
}
