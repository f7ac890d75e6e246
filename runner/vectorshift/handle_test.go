package vectorshift

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

const (
	running   = `{"task_id": "t", "status": "in_progress"}`
	completed = `{"task_id": "t", "status": "completed", "result": {"out": "hello"}}`
)

func TestResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, said(running), said(running), said(completed))
		r, err := c.Handle("p", "t", "trace").Result(t.Context(), ResultOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "result", *r, Result{
			PipelineID: "p", TaskID: "t", TraceID: "trace", State: runner.Succeeded, Word: "completed", Outputs: map[string]any{"out": "hello"},
		})
		want(t, "calls", s.made(), []string{
			"0s GET /v1/pipeline/p/run/status/t",
			"2s GET /v1/pipeline/p/run/status/t",
			"4.5s GET /v1/pipeline/p/run/status/t",
		})
	})
}

// TestRunThatFails: of a run that failed or was cancelled there is the result and an
// error.
func TestRunThatFails(t *testing.T) {
	for answer, wanted := range map[string]Result{
		`{"status": "failed", "error": "no such model", "result": {"a": 1}}`: {
			State: runner.Failed, Word: "failed", Error: "no such model", Outputs: map[string]any{"a": json.Number("1")},
		},
		`{"status": "terminated"}`: {State: runner.Cancelled, Word: "terminated", Error: "it was cancelled", Outputs: map[string]any{}},
	} {
		c, s := scripted(t, said(answer))
		r, err := c.Handle("p", "t", "").Result(t.Context(), ResultOptions{})
		failed, ok := errors.AsType[*runner.RunFailedError](err)
		if !ok {
			t.Fatal(err)
		}
		want(t, "error", *failed, runner.RunFailedError{TaskID: "t", RunError: wanted.Error})
		wanted.PipelineID, wanted.TaskID, wanted.Err = "p", "t", failed
		want(t, answer, *r, wanted)
		want(t, "looks", len(s.calls), 1)
	}
}

// TestRunThatNeverEnds: the pauses between looks grow by a quarter, to 8 times the
// first, until the time is over.
func TestRunThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, said(`{"task_id": "t", "status": "daydreaming"}`))
		began := time.Now()
		r, err := c.Handle("p", "t", "").Result(t.Context(), ResultOptions{PollInterval: 4 * time.Second, Timeout: 3 * time.Minute})
		late, ok := errors.AsType[*runner.PollTimeoutError](err)
		if !ok || r == nil {
			t.Fatal(r, err)
		}
		want(t, "last look", r.Word, "daydreaming")
		want(t, "error", *late, runner.PollTimeoutError{TaskID: "t", Timeout: 3 * time.Minute})
		want(t, "time", time.Since(began), 3*time.Minute)
		var at []time.Duration
		for _, call := range s.calls {
			want(t, "method", call.Method, "GET") // it goes on
			at = append(at, call.At.Round(time.Second))
		}
		want(t, "looks", at, []time.Duration{
			0, 4e9, 9e9, 15e9, 23e9, 33e9, 45e9, 60e9, 79e9, 103e9, 133e9, 165e9,
		})
	})
}

// TestTimeoutBoundsALook: one that has no answer is not waited for any longer.
func TestTimeoutBoundsALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, reply{hangs: true})
		began := time.Now()
		r, err := c.Handle("p", "t", "").Result(t.Context(), ResultOptions{Timeout: 7 * time.Second})
		if _, ok := errors.AsType[*runner.PollTimeoutError](err); !ok || r != nil {
			t.Fatal(r, err)
		}
		want(t, "time", time.Since(began), 7*time.Second)
	})
}

// cutBody is a body that breaks off.
func cutBody(start string) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(start), failing{io.ErrUnexpectedEOF}))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestLooksThatFail: whatever passes is looked at again, however often, and no
// second run is started.
func TestLooksThatFail(t *testing.T) {
	page := reply{body: "<html><title>Sign in</title></html>", header: map[string]string{"Content-Type": "text/html"}}
	for name, test := range map[string]struct {
		reply reply
		pause time.Duration // from the first look to the second
	}{
		"429":                         {refused(429, `{"error": "too many"}`), 2 * time.Second},
		"429 with seconds":            {refused(429, `{"error": "too many"}`, "Retry-After", "30"), 30 * time.Second},
		"429 with less than the rest": {refused(429, `{"error": "too many"}`, "Retry-After", "1"), 2 * time.Second},
		"429 until tomorrow":          {refused(429, `{"error": "too many"}`, "Retry-After", "40000"), 5 * time.Minute},
		"500":                         {refused(500, `{"status": "failed", "error": "internal"}`), 2 * time.Second},
		"502 as a page":               {refused(502, "<html>bad gateway</html>"), 2 * time.Second},
		"503 with seconds":            {refused(503, "busy", "Retry-After", "9"), 9 * time.Second},
		"504":                         {refused(504, ""), 2 * time.Second},
		"no connection":               {reply{err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}, 2 * time.Second},
		"no answer":                   {reply{err: io.EOF}, 2 * time.Second},
		"nothing for a minute":        {reply{hangs: true}, 62 * time.Second},
		"a page":                      {page, 2 * time.Second},
		"a list":                      {said(`[]`), 2 * time.Second},
		"nothing":                     {said(``), 2 * time.Second},
		"the half of an answer":       {reply{stream: cutBody(`{"status": "compl`)}, 2 * time.Second},
		"the half of an object":       {said(`{"status": "compl`), 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, test.reply, said(running), said(completed))
				told := 0
				r, err := c.Handle("p", "t", "").Result(t.Context(), ResultOptions{Failing: func(err error) {
					if told++; !runner.MayPass(err) {
						t.Errorf("told of %v", err)
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				want(t, "state", r.State, runner.Succeeded)
				want(t, "told", told, 1)
				want(t, "looks", len(s.calls), 3)
				want(t, "pause", s.calls[1].At, test.pause)
			})
			synctest.Test(t, func(t *testing.T) {
				replies := append(make([]reply, 0, 41), said(running))
				for range 39 {
					next := test.reply
					if next.stream != nil {
						next.stream = cutBody(`{"status": "compl`)
					}
					replies = append(replies, next)
				}
				c, s := scripted(t, append(replies, said(completed))...)
				r, err := c.Handle("p", "t", "").Result(t.Context(), ResultOptions{})
				if err != nil {
					t.Fatal(err)
				}
				want(t, "state", r.State, runner.Succeeded)
				for _, call := range s.calls {
					want(t, "method", call.Method, "GET")
				}
				want(t, "looks", len(s.calls), 41)
			})
		})
	}
}

// TestLooksThatAreRefused: these do not pass.
func TestLooksThatAreRefused(t *testing.T) {
	for _, status := range []int{301, 400, 401, 403, 404, 422} {
		c, s := scripted(t, refused(status, `{"error": "no"}`))
		r, err := c.Handle("p", "t", "").Result(t.Context(), ResultOptions{})
		api, ok := errors.AsType[*runner.APIError](err)
		if !ok || api.StatusCode != status || r != nil {
			t.Errorf("%d: %v and %v", status, r, err)
		}
		want(t, "looks", len(s.calls), 1)
	}
}

func TestResultIsCancelled(t *testing.T) {
	for name, r := range map[string]reply{"in a pause": said(running), "in a look": {hangs: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := scripted(t, r)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(3*time.Second, cancel)
				began := time.Now()
				result, err := c.Handle("p", "t", "").Result(ctx, ResultOptions{Timeout: time.Hour})
				if !errors.Is(err, context.Canceled) || result != nil {
					t.Errorf("%v and %v", result, err)
				}
				want(t, "time", time.Since(began), 3*time.Second)
			})
		})
	}
}

func TestTerminate(t *testing.T) {
	c, s := scripted(t, said(`{"status": "success"}`))
	for _, terminate := range []func(context.Context) error{
		c.Handle("p", "t/1", "trace").Terminate,
		func(ctx context.Context) error { return c.Pipeline("p").Terminate(ctx, "t/1") },
	} {
		s.calls = nil
		if err := terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "calls", s.calls, []scriptCall{{Method: http.MethodPost, Path: "/v1/pipeline/p/terminate", Body: map[string]any{"run_id": "t/1"}}})
	}
}

// TestTerminateThatFails: it is tried once.
func TestTerminateThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		reply  reply
		status int
	}{
		"failed as 200": {said(`{"status": "failed", "error": "it has ended"}`), 200},
		"404":           {refused(404, `{"error": "no such run"}`), 404},
		"500":           {refused(500, ``), 500},
	} {
		c, s := scripted(t, test.reply)
		err := c.Handle("p", "t", "").Terminate(t.Context())
		if api, ok := errors.AsType[*runner.APIError](err); !ok || api.StatusCode != test.status {
			t.Errorf("%s: %v", name, err)
		}
		want(t, name, len(s.calls), 1)
	}
}

func TestHandleAsJSON(t *testing.T) {
	c, _ := scripted(t, said(completed))
	encoded, err := json.Marshal(c.Handle("p", "t", "trace"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "JSON", string(encoded), `{"pipeline_id":"p","task_id":"t","trace_id":"trace"}`)
	var h RunHandle
	if err := json.Unmarshal(encoded, &h); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Handle(h.PipelineID, h.TaskID, h.TraceID).Result(t.Context(), ResultOptions{}); err != nil || r.State != runner.Succeeded {
		t.Errorf("%v and %v", r, err)
	}
}
