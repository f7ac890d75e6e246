package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"nightshift/runner"
	"nightshift/schema"
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
	maxRefusal = 64 << 10
	maxMessage = 300 // characters
)

// Limits on how long a body is waited for.
const (
	refusalWait = 2 * time.Second  // for the whole of it: its status says most
	maxSilence  = 10 * time.Minute // in a stream, which says every few seconds that it is alive
)

// send makes the HTTP call for an SDK, of which it is a middleware. What fails
// comes back as one of runner's errors: the SDKs' own keep too little of it.
func (w *wire) send(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	resp, err := next(req)
	if err != nil {
		return nil, w.broken(err, false)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		late := time.AfterFunc(refusalWait, func() { _ = resp.Body.Close() })
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what there is of it
		late.Stop()
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
	n, err := b.wait(p)
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

// wait reads, and gives up where nothing comes for too long.
func (b *answerBody) wait(p []byte) (int, error) {
	if b.silence == 0 {
		return b.ReadCloser.Read(p)
	}
	late := time.AfterFunc(b.silence, func() { _ = b.ReadCloser.Close() })
	n, err := b.ReadCloser.Read(p)
	if !late.Stop() && err != nil {
		err = fmt.Errorf("nothing came for %v: %w", b.silence, os.ErrDeadlineExceeded)
	}
	return n, err
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
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the rest is said by the ConnectionError
	}
	timeout, ok := errors.AsType[net.Error](err)
	e := &runner.ConnectionError{
		Method: http.MethodPost, Endpoint: endpoint(w.url), Timeout: ok && timeout.Timeout(), Began: began, Unsent: !began && unsent(err), Err: err,
	}
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	late := errors.Is(err, context.DeadlineExceeded) && !e.Unsent // of the HTTP client: that of the caller is told as it is
	switch {
	case ended && began:
		e.Err = errors.New("the answer broke off")
	case ended:
		e.Err = errors.New("the connection was closed without an answer")
	case late && began:
		e.Err = fmt.Errorf("the answer was not whole within %v", w.http.Timeout)
	case late:
		e.Err = fmt.Errorf("no answer within %v", min(answerWait, w.http.Timeout))
	}
	return e
}

// unsent tells whether there was not even a connection.
func unsent(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "dial" || unsent(op.Err)) // to a proxy, it is within another
}

// endpoint is what messages show of a URL: host and path.
func endpoint(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}

// minKey is how long a key is at least; a shorter one is a placeholder, such as
// "none", and may be a word of any text.
const minKey = 8

// quote makes one line of a provider's words, without the key if they hold it.
func (w *wire) quote(words string) string {
	if len(w.key) >= minKey {
		words = strings.ReplaceAll(words, w.key, "***")
	}
	words = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) { // of terminals, and of the direction of text
			return ' '
		}
		return r
	}, strings.ToValidUTF8(words, "\uFFFD"))
	words = strings.Join(strings.Fields(words), " ")
	return schema.Shorten(words, maxMessage)
}
