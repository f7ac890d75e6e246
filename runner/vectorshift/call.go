package vectorshift

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"nightshift/runner"
)

// call is one call of the API.
type call struct {
	method, path string // the ids in it are escaped
	query        url.Values
	body         any // marshalled as JSON; nil: none

	mutates bool // an answer that says "failed" is an error, an empty one is none
	patient bool // the answer is waited for as long as ctx lets it: of a run that is waited for
	looks   bool // at the run of taskID: a refusal that tells of its end is an answer
	starts  bool // a run in the background: where the answer is not waited for, it may be paid twice

	pipelineID, taskID, traceID string // for the log
}

const (
	maxAnswer  = 32 << 20         // bytes
	maxSilence = 10 * time.Minute // the longest time in which nothing comes of a stream
)

// exchange is a call under way.
type exchange struct {
	*Client
	call
	ctx    context.Context // of the caller
	within time.Duration   // how long the answer is waited for; 0: as long as ctx lets it

	dials, connected atomic.Bool // whether a connection was asked for, and was there
}

// do makes a call, once, and gives the JSON object that it is answered with. What
// fails is a *runner.APIError or a *runner.ConnectionError, which knows whether
// anything was sent, and is logged.
func (c *Client) do(ctx context.Context, what call) (answer map[string]any, err error) {
	if !c.made() {
		return nil, errNoClient
	}
	x := &exchange{Client: c, call: what, ctx: ctx, within: c.timeout}
	if what.patient {
		x.within = 0
	}
	if what.starts {
		x.within *= 2
	}
	defer func() { x.logFailure(err) }()
	req, err := x.request()
	if err != nil {
		return nil, err
	}
	if x.within > 0 { // the limiter has had its time before
		x.within += time.Duration(req.ContentLength/sentPerSecond) * time.Second
		limited, cancel := context.WithTimeout(ctx, x.within)
		defer cancel()
		req = req.WithContext(limited)
	}
	resp, err := x.send(req)
	if end := x.runEnd(err); end != nil {
		return end, nil
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := x.readAnswer(resp)
	if err != nil {
		return nil, err
	}
	answer, err = x.decode(body)
	if err == nil && what.mutates {
		err = c.failed(what, answer)
	}
	return answer, err
}

// open makes a call whose answer is a stream, which is to be closed. It ends with
// ctx, or where nothing comes for ten minutes; the errors of its reads are runner's.
// They are logged by who reads, who knows the run by then.
func (c *Client) open(ctx context.Context, what call) (body io.ReadCloser, err error) {
	if !c.made() {
		return nil, errNoClient
	}
	x := &exchange{Client: c, call: what, ctx: ctx, within: maxSilence}
	defer func() { x.logFailure(err) }()
	req, err := x.request()
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(maxSilence, func() { cancel(context.DeadlineExceeded) })
	resp, err := x.send(req.WithContext(inner))
	late.Stop()
	if err == nil && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		resp.Body.Close()
		err = x.foreign(what, notPlatform("a page"))
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &stream{body: resp.Body, x: x, cancel: cancel}, nil
}

// request makes the request, and waits until the limiter lets it go.
func (x *exchange) request() (*http.Request, error) {
	address := x.baseURL + x.path
	if slices.ContainsFunc(strings.Split(x.path, "/")[1:], func(part string) bool { return part == "" || part == "." || part == ".." }) {
		return nil, fmt.Errorf("%s %s is not called: an id in it is empty, or is none", x.method, x.endpoint(x.call)) // it would mean something else
	}
	if len(x.query) > 0 {
		address += "?" + x.query.Encode()
	}
	var body io.Reader // of a type that net/http makes GetBody of: with it a request is repeated of which nothing was sent, and no other
	if x.body != nil {
		encoded, err := json.Marshal(x.body)
		if err != nil {
			return nil, fmt.Errorf("%s %s is not called: %w", x.method, x.endpoint(x.call), err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(x.ctx, x.method, address, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s is not called: its address cannot be read", x.method, x.endpoint(x.call))
	}
	req.Header.Set("Authorization", "Bearer "+x.key())
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("User-Agent", "nightshift")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if x.limiter != nil {
		err = x.limiter.Wait(x.ctx)
	}
	if err = cmp.Or(x.ctx.Err(), err); err != nil {
		return nil, x.unsent(err)
	}
	return req, nil
}

// send gives the answer, if it is a success.
func (x *exchange) send(req *http.Request) (*http.Response, error) {
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { x.dials.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { x.connected.Store(true) },
	}))
	resp, err := x.http.Do(req)
	if err != nil {
		return nil, x.broken(err, false)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, x.refusal(resp)
	}
	return resp, nil
}

func (x *exchange) readAnswer(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > maxAnswer {
		return nil, x.foreign(x.call, &TooLargeError{})
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, x.broken(err, true)
	case len(body) > maxAnswer:
		return nil, x.foreign(x.call, &TooLargeError{})
	}
	return body, nil
}

// decode reads an answer. Numbers keep their digits.
func (x *exchange) decode(body []byte) (map[string]any, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 && x.mutates {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	switch err := d.Decode(&v); {
	case err != nil && bytes.HasPrefix(body, []byte("{")) && brokeOff(err), len(body) == 0:
		return nil, x.broken(io.ErrUnexpectedEOF, true)
	case err != nil:
		return nil, x.foreign(x.call, notPlatform(err.Error()))
	case d.More():
		return nil, x.foreign(x.call, notPlatform("something follows the JSON object"))
	}
	if answer, ok := v.(map[string]any); ok {
		return answer, nil
	}
	return nil, x.foreign(x.call, notPlatform("no JSON object"))
}

func notPlatform(why string) error {
	return fmt.Errorf("what answers is not the platform, by its answer: %s; is VECTORSHIFT_BASE_URL right?", why)
}

// stream is the body of an answer that comes in pieces.
type stream struct {
	body   io.ReadCloser
	x      *exchange
	cancel context.CancelCauseFunc
	end    error // what it ended with
}

func (s *stream) Read(p []byte) (int, error) {
	if s.end != nil {
		return 0, s.end
	}
	n, err := runner.ReadWithin(s.body, p, maxSilence)
	switch err {
	case nil:
		return n, nil
	case io.EOF: //nolint:errorlint // as io.Reader has it
		s.end = io.EOF
	default:
		s.end = s.x.broken(err, true)
	}
	return n, s.end
}

func (s *stream) Close() error {
	s.end = cmp.Or(s.end, io.ErrClosedPipe)
	s.cancel(nil)
	return s.body.Close()
}
