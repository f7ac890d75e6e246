package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"nightshift/runner"
)

// BadAnswer says that a model answered, but not what was asked for. The call
// was made, and paid for.
type BadAnswer struct{ Err error }

func (e *BadAnswer) Error() string { return "the model's answer is of no use: " + e.Err.Error() }

func (e *BadAnswer) Unwrap() error { return e.Err }

// Class is the class of the error in results.
func (e *BadAnswer) Class() string { return "bad_answer" }

// Limits on what is read, in bytes.
const (
	maxAnswer  = 32 << 20
	maxStream  = 8 * maxAnswer // events wrap every word of an answer in hundreds of bytes
	maxMessage = 300           // characters
)

// maxSilence is the longest time in which nothing may come of a stream, which says
// every few seconds that it is alive.
const maxSilence = 10 * time.Minute

// send makes the HTTP call for an SDK, of which it is a middleware. What fails
// comes back as one of runner's errors: the SDKs' own keep too little of it.
func (w *wire) send(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	resp, err := next(req)
	if err != nil {
		return nil, w.broken(err, false)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, _ := runner.ReadRefusedBody(resp.Body) // what there is of it
		return nil, w.refusal(resp.StatusCode, resp.Header, body)
	}
	body := &answerBody{ReadCloser: resp.Body, wire: w, left: maxAnswer}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		body.left, body.silence = maxStream, maxSilence
	}
	resp.Body = body
	return resp, nil
}

// answerBody is the body of an answer, whose errors are runner's.
type answerBody struct {
	io.ReadCloser
	wire    *wire
	left    int64         // bytes that it may yet have
	silence time.Duration // the longest time in which nothing may come; 0: any
	end     error         // what it ended with; the first says why, those of later reads only that it has
}

func (b *answerBody) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	n, err := runner.ReadWithin(b.ReadCloser, p, b.silence)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return 0, &BadAnswer{fmt.Errorf("it has more than %d MB", maxAnswer>>20)}
	case errors.Is(err, io.EOF):
		b.end = io.EOF
	case err != nil:
		b.end = b.wire.broken(err, true)
	}
	return n, b.end
}

// Close reads what little may follow the last event of a stream: else the
// connection could not be used again.
func (b *answerBody) Close() error {
	if b.end == nil && b.left >= 0 {
		late := time.AfterFunc(100*time.Millisecond, func() { _ = b.ReadCloser.Close() })
		_, _ = io.CopyN(io.Discard, b.ReadCloser, 4096)
		late.Stop()
	}
	return b.ReadCloser.Close()
}

// failure gives what an SDK returned the form that callers look for; told tells
// whether a part of the answer was good.
func (w *wire) failure(ctx context.Context, err error, told bool) error {
	if done := ctx.Err(); done != nil {
		return done
	}
	if e, ok := errors.AsType[*runner.APIError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*runner.ConnectionError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*BadAnswer](err); ok {
		return e
	}
	unreadable := w.broken(fmt.Errorf("the answer cannot be read: %w", err), true)
	if _, foreign := errors.AsType[*json.SyntaxError](err); foreign && !told {
		unreadable.Foreign = true
		unreadable.Err = fmt.Errorf("what answers is no model, by its answer: %w; is the address right?", err)
	}
	return unreadable
}

// broken says that there is no answer, or that it ended too early.
func (w *wire) broken(err error, began bool) *runner.ConnectionError {
	within := w.http.Timeout
	if !began {
		within = min(answerWait, within)
	}
	return runner.NewConnectionError(http.MethodPost, runner.Endpoint(w.url), err, began, within)
}

// minKey is how long a key is at least; a shorter one is a placeholder, such as
// "none", and may be a word of any text.
const minKey = 8

// quote makes one line of a provider's words, without the key if they hold it.
func (w *wire) quote(words string) string {
	if len(w.key) >= minKey {
		words = strings.ReplaceAll(words, w.key, "***")
	}
	return runner.Quote(words)
}
