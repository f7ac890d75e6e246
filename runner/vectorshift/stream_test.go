package vectorshift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// events is a reply with an event stream.
func events(stream string) reply {
	return reply{body: stream, header: map[string]string{"Content-Type": "text/event-stream"}}
}

// all gives everything that a stream gives, and the error that it ends with.
func all[T any](t *testing.T, stream iter.Seq2[T, error]) (got []T, end error) {
	t.Helper()
	for v, err := range stream {
		if end != nil {
			t.Errorf("%v comes after the error %v", v, end)
		}
		if end = err; err == nil {
			got = append(got, v)
		}
	}
	return got, end
}

const (
	hello  = `data: {"type": "stream", "run_id": "r", "output_name": "out", "output_value": "hel"}` + "\n\n"
	result = `data: {"type": "result", "run_id": "r", "status": "success", "outputs": {"out": "hello"}}` + "\n\n"
)

var (
	helloChunk  = Chunk{Type: "stream", RunID: "r", OutputName: "out", OutputValue: "hel"}
	resultChunk = Chunk{Type: "result", RunID: "r", Status: runner.Succeeded, Outputs: map[string]any{"out": "hello"}}
)

func TestStream(t *testing.T) {
	failed := func(reason string) Chunk {
		return Chunk{Type: "result", RunID: "r", Status: runner.Failed, Outputs: map[string]any{}, Error: reason}
	}
	for name, test := range map[string]struct {
		stream string
		chunks []Chunk
	}{
		"result":                                {hello + result, []Chunk{helloChunk, resultChunk}},
		"comments, ids and names":               {": hi\n\nid: 1\nevent: message\n" + hello + "id: 2\nevent: x\nretry: 5\n" + result, []Chunk{helloChunk, resultChunk}},
		"done after the result":                 {hello + result + "data: [DONE]\n\n", []Chunk{helloChunk, resultChunk}},
		"done before the result":                {hello + "data: [DONE]\n\n" + result, []Chunk{helloChunk, resultChunk}},
		"no blank line at the end":              {hello + strings.TrimSpace(result), []Chunk{helloChunk, resultChunk}},
		"more after the result":                 {result + hello + result, []Chunk{resultChunk}},
		"what is no object":                     {"data: hello\n\ndata: [1]\n\ndata: 7\n\ndata: {\"type\":\n\n" + result, []Chunk{resultChunk}},
		"lines of data":                         {"data: {\"type\":\ndata:  \"result\",\ndata: \"run_id\": \"r\", \"outputs\":\ndata: {\"out\": \"hello\"}}\n\n", []Chunk{resultChunk}},
		"task_id":                               {`data: {"type": "result", "task_id": "r", "outputs": {"out": "hello"}}` + "\n\n", []Chunk{resultChunk}},
		"id is told once":                       {hello + `data: {"type": "result", "status": "completed", "result": {"out": "hello"}}` + "\n\n", []Chunk{helloChunk, resultChunk}},
		"nothing but a type":                    {`data: {"type": "result"}` + "\n\n", []Chunk{{Type: "result", Status: runner.Succeeded, Outputs: map[string]any{}}}},
		"type by the name of the event":         {"event: result\n" + `data: {"run_id": "r", "outputs": {"out": "hello"}}` + "\n\n", []Chunk{resultChunk}},
		"stream without a type":                 {`data: {"run_id": "r", "output_name": "out", "output_value": "hel"}` + "\n\n" + result, []Chunk{helloChunk, resultChunk}},
		"another type by the name of the event": {"event: message_start\n" + `data: {"run_id": "r"}` + "\n\n" + result, []Chunk{{Type: "message_start", RunID: "r"}, resultChunk}},
		"another type":                          {`data: {"type": "node_started", "run_id": "r", "node": 7}` + "\n\n" + result, []Chunk{{Type: "node_started", RunID: "r"}, resultChunk}},
		"values": {
			`data: {"type": "stream", "output_name": "n.x", "output_value": {"type": "map", "items": {"a": 1.50}}}` + "\n\n" + result,
			[]Chunk{{Type: "stream", OutputName: "n.x", OutputValue: map[string]any{"a": json.Number("1.50")}}, resultChunk},
		},
		"failed": {
			hello + `data: {"type": "result", "run_id": "r", "status": "failed", "error": "bad"}` + "\n\n", []Chunk{helloChunk, failed("bad")},
		},
		"failed for no reason": {
			`data: {"type": "result", "run_id": "r", "status": "failed"}` + "\n\n", []Chunk{failed("the platform gives no reason")},
		},
		"failed without a status": {`data: {"type": "result", "run_id": "r", "error": {"message": "bad"}}` + "\n\n", []Chunk{failed("bad")}},
		"cancelled": {
			`data: {"type": "result", "run_id": "r", "status": "canceled"}` + "\n\n",
			[]Chunk{{Type: "result", RunID: "r", Status: runner.Cancelled, Outputs: map[string]any{}, Error: "it was cancelled"}},
		},
		"an error before the result": {
			`data: {"type": "error", "run_id": "r", "error": "node llm: bad"}` + "\n\n" + `data: {"type": "result", "status": "failed"}` + "\n\n",
			[]Chunk{{Type: "error", RunID: "r", Error: "node llm: bad"}, failed("node llm: bad")},
		},
		"an error that was got over": {
			"event: error\ndata: slow\n\n" + result, []Chunk{{Type: "error", Error: "slow"}, resultChunk},
		},
		"JSON":                 {`{"status": "success", "run_id": "r", "outputs": {"out": "hello"}}`, []Chunk{resultChunk}},
		"JSON of a failed run": {`{"status": "failed", "run_id": "r", "error": "bad"}`, []Chunk{failed("bad")}},
		"JSON of an error":     {`{"run_id": "r", "error": "bad"}`, []Chunk{failed("bad")}},
	} {
		for cut, reader := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			answer := events("")
			answer.stream = io.NopCloser(reader(strings.NewReader(test.stream)))
			c, s := scripted(t, answer)
			chunks, err := all(t, c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}))
			if err != nil {
				t.Errorf("%s, %s: %v", name, cut, err)
			}
			want(t, name+", "+cut, chunks, test.chunks)
			want(t, "calls", len(s.calls), 1)
		}
	}
}

// TestStreamWithoutAResult: what came is given, and then an error; the run is not
// started again.
func TestStreamWithoutAResult(t *testing.T) {
	for name, test := range map[string]struct {
		stream  string
		chunks  []Chunk
		message string
	}{
		"nothing":            {"", nil, "the stream ended without a result; the run may go on"},
		"its end":            {hello, []Chunk{helloChunk}, "the stream ended without a result; the run may go on"},
		"done":               {hello + "data: [DONE]\n\n", []Chunk{helloChunk}, "the stream ended without a result; the run may go on"},
		"half of it":         {hello + result[:40], []Chunk{helloChunk}, "the stream ended without a result; the run may go on"},
		"cut":                {hello + result[:40] + "CUT", []Chunk{helloChunk}, "the answer broke off"},
		"cut after an error": {"event: error\ndata: bad\n\nCUT", []Chunk{{Type: "error", Error: "bad"}}, "the answer broke off"},
	} {
		answer := events(test.stream)
		if start, cut := strings.CutSuffix(test.stream, "CUT"); cut {
			answer.stream = cutBody(start)
		}
		c, s := scripted(t, answer)
		chunks, err := all(t, c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}))
		want(t, name, chunks, test.chunks)
		connection, ok := errors.AsType[*runner.ConnectionError](err)
		if !ok || !connection.Began || connection.Unsent || err.Error() != "POST platform.test/v1/pipeline/p/run: "+test.message {
			t.Errorf("%s: %v", name, err)
		}
		want(t, "calls", len(s.calls), 1)
	}
}

// TestErrorsInAStream: one that the stream ends with is the failure of the run.
func TestErrorsInAStream(t *testing.T) {
	for frame, message := range map[string]string{
		"event: error\ndata: out of memory":                                         "out of memory",
		"event: error\ndata: {\"error\": {\"message\": \"out of memory\"}}":         "out of memory",
		"event: error\ndata: {\"type\": \"fatal\", \"message\": \"out of memory\"}": "out of memory",
		`data: {"type": "error", "detail": "out of memory"}`:                        "out of memory",
		`data: {"type": "ERROR", "error": "out of memory"}`:                         "out of memory",
		`data: {"status": "failed", "error": "out of memory"}`:                      "out of memory",
		`data: {"error": "` + testKey + ` is bad"}`:                                 "[hidden] is bad",
		"event: error": "no message",
	} {
		c, _ := scripted(t, events(hello+frame+"\n\n"))
		chunks, err := all(t, c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}))
		want(t, frame, chunks, []Chunk{helloChunk, {Type: "error", Error: message}})
		failed, ok := errors.AsType[*runner.RunFailedError](err)
		if !ok || *failed != (runner.RunFailedError{TaskID: "r", RunError: message}) {
			t.Errorf("%s: %v", frame, err)
		}
	}
}

// TestResultThatSaysNothing: a result that does not say how the run ended comes with
// an error, and is the last.
func TestResultThatSaysNothing(t *testing.T) {
	for _, stream := range []string{
		`data: {"type": "result", "run_id": "r", "status": "marvellous", "outputs": {"out": "hello"}}` + "\n\n" + result,
		`{"status": "in_progress", "task_id": "r", "outputs": {"out": "hello"}}`,
	} {
		c, _ := scripted(t, events(stream))
		n := 0
		for chunk, err := range c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}) {
			n++
			if c, ok := errors.AsType[*runner.ConnectionError](err); !ok || !c.Began {
				t.Errorf("%s: %v", stream, err)
			}
			unclear := resultChunk
			unclear.Status = runner.Running
			want(t, stream, chunk, unclear)
		}
		want(t, "chunks", n, 1)
	}
}

func TestStreamThatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		reply  reply
		status int
	}{
		"401": {refused(401, `{"error": "Invalid API key"}`), 401},
		"429": {refused(429, ``), 429},
		"500": {refused(500, ``), 500},
	} {
		c, s := scripted(t, test.reply)
		chunks, err := all(t, c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}))
		frames, frameErr := all(t, c.Pipeline("p").RunStream(t.Context(), nil, RunOptions{}))
		for _, err := range []error{err, frameErr} {
			if api, ok := errors.AsType[*runner.APIError](err); !ok || api.StatusCode != test.status {
				t.Errorf("%s: %v", name, err)
			}
		}
		want(t, name, len(chunks)+len(frames), 0)
		want(t, "calls", len(s.calls), 2)
	}
	page := reply{body: "<html></html>", header: map[string]string{"Content-Type": "text/html"}}
	c, _ := scripted(t, page)
	_, err := all(t, c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}))
	if c, ok := errors.AsType[*runner.ConnectionError](err); !ok || !c.Foreign {
		t.Errorf("a page: %v", err)
	}
}

// TestRunStream: frames are given as they come, whatever they say, to the end.
func TestRunStream(t *testing.T) {
	c, _ := scripted(t, events("id: 7\nevent: token\ndata: hel\n\n: ping\n\ndata: lo\ndata: you\n\n"+result+"data: [DONE]\n\ndata: bye"))
	got, err := all(t, c.Pipeline("p").RunStream(t.Context(), nil, RunOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "frames", got, []Frame{
		{"7", "token", "hel"}, {"7", "", "lo\nyou"}, {"7", "", strings.TrimSpace(strings.TrimPrefix(result, "data: "))}, {"7", "", "bye"},
	})
	c, _ = scripted(t, reply{stream: cutBody("data: a\n\ndata: b\n")})
	got, err = all(t, c.Pipeline("p").RunStream(t.Context(), nil, RunOptions{}))
	want(t, "frames of a stream that broke off", got, []Frame{{Data: "a"}})
	if c, ok := errors.AsType[*runner.ConnectionError](err); !ok || !c.Began {
		t.Error(err)
	}
}

// noted is a body that says that it was closed.
type noted struct {
	io.Reader
	closed chan struct{}
}

func (n *noted) Close() error {
	close(n.closed)
	return nil
}

// TestStreamIsLeft: the body is closed when the reader goes, and at the end.
func TestStreamIsLeft(t *testing.T) {
	for name, leave := range map[string]func(p *Pipeline){
		"chunks": func(p *Pipeline) {
			for range p.Stream(t.Context(), nil, RunOptions{}) {
				break
			}
		},
		"frames": func(p *Pipeline) {
			for range p.RunStream(t.Context(), nil, RunOptions{}) {
				break
			}
		},
		"at the result": func(p *Pipeline) { all(t, p.Stream(t.Context(), nil, RunOptions{})) },
	} {
		body := &noted{strings.NewReader(hello + result + hello), make(chan struct{})}
		c, _ := scripted(t, reply{stream: body})
		leave(c.Pipeline("p"))
		select {
		case <-body.closed:
		default:
			t.Errorf("%s: the body is not closed", name)
		}
	}
}

// TestServerSeesThatStreamIsLeft: over the network too, the connection is given up.
func TestServerSeesThatStreamIsLeft(t *testing.T) {
	left := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, hello)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(left)
	}))
	defer server.Close()
	c, err := New(Options{BaseURL: server.URL, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	for chunk, err := range c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		want(t, "chunk", chunk, helloChunk)
		break
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the stream goes on")
	}
}

// TestStreamIsCancelled: at once, also with frames that have been read; no goroutine
// is left, which the end of the bubble would tell.
func TestStreamIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, hello+hello+hello)
			w.Close()
		}()
		c, _ := scripted(t, reply{stream: r})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		for _, err := range c.Pipeline("p").Stream(ctx, nil, RunOptions{}) {
			if n++; n == 1 {
				cancel()
				continue
			}
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		want(t, "given", n, 2)
	})
	synctest.Test(t, func(t *testing.T) { // nothing comes
		c, _ := scripted(t, reply{hangs: true})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := all(t, c.Pipeline("p").Stream(ctx, nil, RunOptions{}))
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		want(t, "time", time.Since(began), time.Second)
	})
}

// TestSlowStream: it may take hours, as long as something comes now and then.
func TestSlowStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			for range 20 {
				time.Sleep(9 * time.Minute)
				io.WriteString(w, hello[:20])
				io.WriteString(w, hello[20:])
			}
			time.Sleep(9 * time.Minute)
			io.WriteString(w, result)
		}()
		c, _ := scripted(t, reply{stream: r})
		began, n := time.Now(), 0
		for chunk, err := range c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n < 21 { // as they come
				want(t, "time", time.Since(began), time.Duration(n)*9*time.Minute)
				want(t, "chunk", chunk, helloChunk)
			}
		}
		want(t, "chunks", n, 21)
	})
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go io.WriteString(w, hello)
		c, _ := scripted(t, reply{stream: r})
		began := time.Now()
		chunks, err := all(t, c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}))
		want(t, "chunks", chunks, []Chunk{helloChunk})
		if c, ok := errors.AsType[*runner.ConnectionError](err); !ok || !c.Began || !c.Timeout {
			t.Errorf("a stream that fell silent: %v", err)
		}
		want(t, "time", time.Since(began), 10*time.Minute)
	})
}
