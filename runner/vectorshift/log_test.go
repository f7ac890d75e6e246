package vectorshift

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// TestWhatIsLogged: starts, ends, terminations and errors, each with the ids.
func TestWhatIsLogged(t *testing.T) {
	const warn, info = "WARN", "INFO"
	record := func(level, message, task, trace string, more ...string) map[string]any {
		r := map[string]any{"level": level, "msg": message, "pipeline_id": "p", "task_id": task, "trace_id": trace}
		for i := 0; i < len(more); i += 2 {
			r[more[i]] = more[i+1]
		}
		return r
	}
	failedCall := func(method, path, task, trace string, status float64, err string) map[string]any {
		r := record(warn, "call failed", task, trace, "method", method, "path", path, "error", err)
		r["status"] = status
		return r
	}
	const run, status, terminate = "/pipeline/p/run", "/pipeline/p/run/status/t", "/pipeline/p/terminate"
	started := record(info, "run started", "t", "trace")
	start := func(ctx context.Context, p *Pipeline, h *RunHandle) { p.Start(ctx, nil, RunOptions{TraceID: "trace"}) }
	look := func(ctx context.Context, p *Pipeline, h *RunHandle) { h.Status(ctx) }
	wait := func(ctx context.Context, p *Pipeline, h *RunHandle) {
		h.Result(ctx, ResultOptions{Timeout: time.Millisecond})
	}
	end := func(ctx context.Context, p *Pipeline, h *RunHandle) { h.Terminate(ctx) }
	inlined := func(ctx context.Context, p *Pipeline, h *RunHandle) { p.Run(ctx, nil, RunOptions{TraceID: "trace"}) }
	streamIt := func(ctx context.Context, p *Pipeline, h *RunHandle) {
		all(t, p.Stream(ctx, nil, RunOptions{TraceID: "trace"}))
	}
	for name, test := range map[string]struct {
		reply reply
		do    func(ctx context.Context, p *Pipeline, h *RunHandle)
		log   []map[string]any
	}{
		"start": {
			said(`{"task_id": "t"}`), start, []map[string]any{started},
		},
		"start refused": {
			refused(429, `{"error": "too many"}`), start,
			[]map[string]any{failedCall("POST", run, "", "trace", 429, "POST platform.test/v1/pipeline/p/run answered 429 Too Many Requests: too many")},
		},
		"start failed": {
			said(`{"status": "failed", "error": "bad"}`), start,
			[]map[string]any{record(warn, "run not started", "", "trace", "error", "POST platform.test/v1/pipeline/p/run answered 200 OK: bad")},
		},
		"start lost": {
			reply{err: io.EOF}, start,
			[]map[string]any{failedCall("POST", run, "", "trace", 0, "POST platform.test/v1/pipeline/p/run: the connection was closed without an answer")},
		},
		"start without an id": {
			said(`{}`), start,
			[]map[string]any{record(warn, "run not started", "", "trace", "error", `POST platform.test/v1/pipeline/p/run: the answer to a start has no task id; its status is ""`)},
		},
		"a look at a run that goes on": {
			said(running), look, nil,
		},
		"a look at a run that ended": {
			said(completed), look, []map[string]any{record(info, "run ended", "t", "trace", "status", "succeeded")},
		},
		"a look at a run that failed": {
			said(`{"status": "failed", "error": "bad"}`), look,
			[]map[string]any{record(warn, "run ended", "t", "trace", "status", "failed", "error", "bad")},
		},
		"a look at a run that was cancelled": {
			said(`{"status": "terminated"}`), look,
			[]map[string]any{record(warn, "run ended", "t", "trace", "status", "cancelled", "error", "it was cancelled")},
		},
		"a look that failed": {
			refused(404, `{"error": "no such run"}`), look,
			[]map[string]any{failedCall("GET", status, "t", "trace", 404, "GET platform.test/v1/pipeline/p/run/status/t answered 404 Not Found: no such run")},
		},
		"result": {
			said(completed), wait, []map[string]any{record(info, "run ended", "t", "trace", "status", "succeeded")},
		},
		"result too late": {
			said(running), wait,
			[]map[string]any{record(warn, "run not waited for any more", "t", "trace", "error", "run t has not ended within 1ms, and goes on")},
		},
		"terminate": {
			said(`{"status": "success"}`), end, []map[string]any{record(info, "run terminated", "t", "trace")},
		},
		"terminate failed": {
			refused(500, `{"error": "bad"}`), end,
			[]map[string]any{failedCall("POST", terminate, "t", "trace", 500, "POST platform.test/v1/pipeline/p/terminate answered 500 Internal Server Error: bad")},
		},
		"run": {
			said(`{"status": "success", "run_id": "t", "outputs": {}}`), inlined,
			[]map[string]any{record(info, "run started", "", "trace"), record(info, "run ended", "t", "trace", "status", "succeeded")},
		},
		"run without an end": {
			said(`{"status": "running", "run_id": "t"}`), inlined,
			[]map[string]any{record(info, "run started", "", "trace"), record(warn, "run lost from sight", "t", "trace",
				"error", `POST platform.test/v1/pipeline/p/run: the answer does not say how the run ended; its status is "running"`)},
		},
		"stream": {
			events(`data: {"run_id": "t", "type": "x"}` + "\n\n" + `data: {"run_id": "t", "type": "result", "trace_id": "theirs"}` + "\n\n"), streamIt,
			[]map[string]any{started, record(info, "run ended", "t", "theirs", "status", "succeeded")},
		},
		"stream refused": {
			refused(401, `{"error": "Invalid API key"}`), streamIt,
			[]map[string]any{failedCall("POST", run, "", "trace", 401, "POST platform.test/v1/pipeline/p/run answered 401 Unauthorized: Invalid API key")},
		},
		"stream without an end": {
			events(`data: {"run_id": "t", "type": "x"}` + "\n\n"), streamIt,
			[]map[string]any{started, record(warn, "run lost from sight", "t", "trace",
				"error", "POST platform.test/v1/pipeline/p/run: the stream ended without a result; the run may go on")},
		},
		"stream that broke off": {
			reply{stream: cutBody(`data: {"run_id": "t", "type": "x"}` + "\n\n")}, streamIt,
			[]map[string]any{
				started,
				record(warn, "run lost from sight", "t", "trace", "error", "POST platform.test/v1/pipeline/p/run: the answer broke off"),
			},
		},
		"frames": {
			events(`data: {"run_id": "t", "type": "result", "status": "failed"}` + "\n\n"), func(ctx context.Context, p *Pipeline, h *RunHandle) {
				all(t, p.RunStream(ctx, nil, RunOptions{TraceID: "trace"}))
			},
			[]map[string]any{started, record(warn, "run ended", "t", "trace", "status", "failed", "error", "the platform gives no reason")},
		},
		"inputs that cannot be sent": {
			said(`{}`), func(ctx context.Context, p *Pipeline, h *RunHandle) {
				p.Add("in", Input{Type: "file"})
				p.Start(ctx, runner.Inputs{"in": map[string]any{"file": "nowhere.txt"}}, RunOptions{TraceID: "trace"})
			},
			[]map[string]any{record(warn, "run not started", "", "trace", "error", "")},
		},
	} {
		var got []map[string]any
		synctest.Test(t, func(t *testing.T) { // the clock moves only while all wait: no call comes too late
			c, _, log := scriptedLog(t, test.reply)
			test.do(t.Context(), c.Pipeline("p"), c.Handle("p", "t", "trace"))
			got = records(t, log)
		})
		if name == "inputs that cannot be sent" && len(got) == 1 {
			got[0]["error"] = ""
		}
		want(t, name, got, test.log)
	}
}
