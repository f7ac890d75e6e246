package vectorshift

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// TestWhatIsSent: options that are not given are not sent.
func TestWhatIsSent(t *testing.T) {
	inputs := runner.Inputs{"in": "hello"}
	all := RunOptions{
		SessionID: "s", NodeInputOverrides: map[string]any{"llm.model": "small"}, Version: "1.2.0", TraceID: "trace",
		WebhookURL: "http://hook.test/", SendIntermediateResults: true, StreamAllOutputs: true,
	}
	whole := map[string]any{
		"inputs": map[string]any{"in": "hello"}, "session_id": "s", "node_input_overrides": map[string]any{"llm.model": "small"},
		"version": "1.2.0", "trace_id": "trace", "webhook_url": "http://hook.test/", "send_intermediate_results": true, "stream_all_outputs": true,
	}
	with := func(body map[string]any, more ...string) map[string]any {
		sent := maps.Clone(body)
		for _, key := range more {
			sent[key] = true
		}
		return sent
	}
	plain := map[string]any{"inputs": map[string]any{"in": "hello"}}
	for name, test := range map[string]struct {
		do          func(p *Pipeline, o RunOptions)
		plain, full map[string]any
	}{
		"run":   {func(p *Pipeline, o RunOptions) { p.Run(t.Context(), inputs, o) }, plain, whole},
		"start": {func(p *Pipeline, o RunOptions) { p.Start(t.Context(), inputs, o) }, with(plain, "background"), with(whole, "background")},
		"frames": {func(p *Pipeline, o RunOptions) {
			for range p.RunStream(t.Context(), inputs, o) {
			}
		}, with(plain, "stream"), with(whole, "stream")},
		"chunks": {func(p *Pipeline, o RunOptions) {
			for range p.Stream(t.Context(), inputs, o) {
			}
		}, with(plain, "stream", "stream_all_outputs", "send_intermediate_results"), with(whole, "stream")},
	} {
		c, s := scripted(t, said(`{"status": "success", "task_id": "t", "outputs": {}}`))
		test.do(c.Pipeline("p/q"), RunOptions{})
		test.do(c.Pipeline("p/q"), all)
		for i := range s.calls {
			s.calls[i].At = 0
		}
		want(t, name, s.calls, []scriptCall{
			{Method: http.MethodPost, Path: "/v1/pipeline/p%2Fq/run", Body: test.plain},
			{Method: http.MethodPost, Path: "/v1/pipeline/p%2Fq/run", Body: test.full},
		})
	}
}

// TestNoInputs: they are an object all the same.
func TestNoInputs(t *testing.T) {
	c, s := scripted(t, said(`{"task_id": "t"}`))
	if _, err := c.Pipeline("p").Start(t.Context(), nil, RunOptions{}); err != nil {
		t.Fatal(err)
	}
	want(t, "body", s.calls[0].Body, map[string]any{"inputs": map[string]any{}, "background": true})
}

func TestStart(t *testing.T) {
	for answer, wanted := range map[string]RunHandle{
		`{"task_id": "t", "status": "in_progress", "trace_id": "theirs"}`: {"p", "t", "theirs", nil},
		`{"task_id": "t", "status": "in_progress"}`:                       {"p", "t", "ours", nil},
		`{"task_id": "t", "trace_id": null}`:                              {"p", "t", "ours", nil},
		`{"run_id": "r", "status": "running"}`:                            {"p", "r", "ours", nil},
		`{"id": 12, "status": "queued"}`:                                  {"p", "12", "ours", nil},
		`{"task_id": "", "run_id": "r", "id": "i"}`:                       {"p", "r", "ours", nil},
		`{"task_id": "t", "status": "failed", "error": "bad inputs"}`:     {"p", "t", "ours", nil}, // a run that has failed already
		`{"task_id": "t", "status": "completed", "result": {"out": 1}}`:   {"p", "t", "ours", nil},
	} {
		c, s := scripted(t, said(answer))
		h, err := c.Pipeline("p").Start(t.Context(), nil, RunOptions{TraceID: "ours"})
		if err != nil {
			t.Errorf("%s: %v", answer, err)
			continue
		}
		if h.client != c {
			t.Errorf("%s: the handle has no client", answer)
		}
		h.client = nil
		if *h != wanted {
			t.Errorf("%s: got %+v, want %+v", answer, *h, wanted)
		}
		want(t, "calls", len(s.calls), 1)
	}
}

// TestStartThatFails: what is known of the run is in the error, and nothing is
// started twice.
func TestStartThatFails(t *testing.T) {
	const refusal, lost, unsent = "refused", "lost", "not sent"
	page := reply{body: "<html></html>", header: map[string]string{"Content-Type": "text/html"}}
	for name, test := range map[string]struct {
		reply  reply
		end    string
		status int
	}{
		"failed without an id":   {said(`{"status": "failed", "error": "bad inputs"}`), refusal, 200},
		"an error and no more":   {said(`{"error": "bad inputs"}`), refusal, 200},
		"400":                    {refused(400, `{"error": "bad inputs"}`), refusal, 400},
		"401":                    {refused(401, `{"error": "Invalid API key"}`), refusal, 401},
		"404":                    {refused(404, `{"error": "no such pipeline"}`), refusal, 404},
		"429":                    {refused(429, `{"error": "too many"}`), refusal, 429},
		"500":                    {refused(500, ``), refusal, 500},
		"502":                    {refused(502, ``), refusal, 502},
		"200 without an id":      {said(`{"status": "in_progress"}`), lost, 0},
		"200 with nothing":       {said(`{}`), lost, 0},
		"200 with ids of no use": {said(`{"task_id": null, "run_id": {}, "id": ""}`), lost, 0},
		"an empty answer":        {said(``), lost, 0},
		"a page":                 {page, lost, 0},
		"a list":                 {said(`["t"]`), lost, 0},
		"200 MB":                 {reply{stream: endless(`{"task_id": "`, 200<<20)}, lost, 0},
		"cut before the answer":  {reply{err: io.EOF}, lost, 0},
		"cut in the answer":      {reply{stream: cutBody(`{"task_id": "t`)}, lost, 0},
		"never answered":         {reply{hangs: true}, lost, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, test.reply)
				h, err := c.Pipeline("p").Start(t.Context(), nil, RunOptions{})
				if err == nil || h != nil {
					t.Fatal(h, err)
				}
				want(t, "calls", len(s.calls), 1)
				if api, ok := errors.AsType[*runner.APIError](err); ok != (test.end == refusal) || ok && api.StatusCode != test.status {
					t.Errorf("answered: %v", err)
				}
				connection, ok := errors.AsType[*runner.ConnectionError](err)
				if ok != (test.end == lost) || ok && connection.Unsent {
					t.Errorf("not answered: %v", err)
				}
			})
		})
	}
}

func TestStartOfStrangeAnswerIsForeign(t *testing.T) {
	c, _ := scripted(t, said(`{"status": "in_progress"}`))
	_, err := c.Pipeline("p").Start(t.Context(), nil, RunOptions{})
	connection, ok := errors.AsType[*runner.ConnectionError](err)
	if !ok || !connection.Foreign || !connection.Began {
		t.Fatal(err)
	}
	want(t, "message", err.Error(), `POST platform.test/v1/pipeline/p/run: the answer to a start has no task id; its status is "in_progress"`)
}

func TestRun(t *testing.T) {
	for answer, wanted := range map[string]Result{
		`{"status": "success", "run_id": "r", "outputs": {"out": "hello"}, "trace_id": "theirs"}`: {
			TaskID: "r", TraceID: "theirs", State: runner.Succeeded, Word: "success", Outputs: map[string]any{"out": "hello"},
		},
		`{"status": "completed", "task_id": "t", "result": {"n": 1.0}}`: {
			TaskID: "t", State: runner.Succeeded, Word: "completed", Outputs: map[string]any{"n": json.Number("1.0")},
		},
		`{"outputs": {"out": "hello"}}`: {State: runner.Succeeded, Outputs: map[string]any{"out": "hello"}},
		`{"status": "failed", "run_id": "r", "error": "bad"}`: {
			TaskID: "r", State: runner.Failed, Word: "failed", Outputs: map[string]any{}, Error: "bad", Err: &runner.RunFailedError{TaskID: "r", RunError: "bad"},
		},
		`{"status": "failed", "error": "bad"}`: {
			State: runner.Failed, Word: "failed", Outputs: map[string]any{}, Error: "bad", Err: &runner.RunFailedError{RunError: "bad"},
		},
		`{"error": "bad", "run_id": "r"}`: {
			TaskID: "r", State: runner.Failed, Outputs: map[string]any{}, Error: "bad", Err: &runner.RunFailedError{TaskID: "r", RunError: "bad"},
		},
	} {
		c, s := scripted(t, said(answer))
		r, err := c.Pipeline("p").Run(t.Context(), nil, RunOptions{TraceID: "ours"})
		if r == nil {
			t.Fatal(err)
		}
		wanted.PipelineID = "p"
		if wanted.TraceID == "" {
			wanted.TraceID = "ours"
		}
		want(t, answer, *r, wanted)
		if failed, ok := errors.AsType[*runner.RunFailedError](err); ok != (wanted.State == runner.Failed) || !ok && err != nil {
			t.Errorf("%s: %v", answer, err)
		} else if ok {
			want(t, answer, failed.RunError, wanted.Error)
		}
		want(t, "calls", len(s.calls), 1)
	}
}

// TestRunWithoutAnEnd: an answer that does not say how the run ended is no success.
func TestRunWithoutAnEnd(t *testing.T) {
	for answer, task := range map[string]string{
		`{"status": "in_progress", "task_id": "t"}`:                      "t",
		`{"status": "marvellous", "run_id": "r", "outputs": {"out": 1}}`: "r",
		`{}`: "",
	} {
		c, _ := scripted(t, said(answer))
		r, err := c.Pipeline("p").Run(t.Context(), nil, RunOptions{})
		if c, ok := errors.AsType[*runner.ConnectionError](err); !ok || !c.Began {
			t.Fatalf("%s: %v", answer, err)
		}
		want(t, answer, []any{r.State, r.TaskID}, []any{runner.Running, task})
	}
}

// TestRunIsWaitedFor: an hour is nothing, but ctx ends the wait.
func TestRunIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		time.AfterFunc(time.Hour, func() {
			io.WriteString(w, `{"status": "success", "outputs": {}}`)
			w.Close()
		})
		c, _ := scripted(t, reply{stream: r})
		if result, err := c.Pipeline("p").Run(t.Context(), nil, RunOptions{}); err != nil || result.State != runner.Succeeded {
			t.Fatal(result, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, reply{hangs: true})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		began := time.Now()
		r, err := c.Pipeline("p").Run(ctx, nil, RunOptions{})
		if r != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v and %v", r, err)
		}
		want(t, "time", time.Since(began), 3*time.Hour)
		want(t, "calls", len(s.calls), 1)
	})
}

// TestInputsThatCannotBeSent: nothing is called.
func TestInputsThatCannotBeSent(t *testing.T) {
	c, s := scripted(t, said(`{"task_id": "t"}`))
	p := c.Pipeline("p")
	p.Add("in", Input{Type: "file"})
	in := runner.Inputs{"in": map[string]any{"file": "nowhere.txt"}}
	_, startErr := p.Start(t.Context(), in, RunOptions{})
	_, runErr := p.Run(t.Context(), in, RunOptions{})
	_, streamErr := all(t, p.Stream(t.Context(), in, RunOptions{}))
	for _, err := range []error{startErr, runErr, streamErr} {
		if _, ok := errors.AsType[*runner.InputError](err); !ok {
			t.Error(err)
		}
	}
	want(t, "calls", s.made(), []string{})
}

// TestStartIsWaitedFor: twice as long as for other answers, as it may be paid twice
// otherwise.
func TestStartIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, reply{hangs: true})
		began := time.Now()
		_, err := c.Pipeline("p").Start(t.Context(), runner.Inputs{"in": "x"}, RunOptions{})
		if _, late := errors.AsType[*runner.TimeoutError](err); !late || time.Since(began) != 2*time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		began = time.Now()
		if _, err = c.Handle("p", "t", "").Status(t.Context()); time.Since(began) != time.Minute {
			t.Errorf("a look, after %v: %v", time.Since(began), err)
		}
	})
}
