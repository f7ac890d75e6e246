package vectorshift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"nightshift/runner"
)

// TooLargeError says that an answer has more than is read of any: 32 MB. It will be
// as large when it is asked for again.
type TooLargeError struct{}

func (*TooLargeError) Error() string {
	return fmt.Sprintf("the answer has more than %d MB, which is as much as is read", maxAnswer>>20)
}

// Class is the class of the error in results.
func (*TooLargeError) Class() string { return "bad_answer" }

// foreign says that an answer is whole, but nothing that the platform would say:
// the call was taken, and what came of it is not known.
func (c *Client) foreign(what call, err error) *runner.ConnectionError {
	return &runner.ConnectionError{Method: what.method, Endpoint: c.endpoint(what), Began: true, Foreign: true, Err: c.hideIn(err)}
}

// endpoint is what messages show of where a call went.
func (c *Client) endpoint(what call) string { return runner.Endpoint(c.baseURL + what.path) }

// hideIn takes the key out of an error, which stays what it is where it does not
// hold it.
func (c *Client) hideIn(err error) error {
	said := err.Error()
	if hidden := c.hide.Text(said); hidden != said {
		return errors.New(hidden)
	}
	return err
}

// brokeOff tells whether JSON ended before it was whole.
func brokeOff(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// unsent says that a call was not made.
func (x *exchange) unsent(err error) error {
	late := errors.Is(err, context.DeadlineExceeded) || x.ctx.Err() == nil // a limiter looks ahead
	return &runner.ConnectionError{Method: x.method, Endpoint: x.endpoint(x.call), Unsent: true, Timeout: late, Err: x.hideIn(err)}
}

// broken says that a call has no answer, or that it ended too early.
func (x *exchange) broken(err error, began bool) error {
	e := runner.NewConnectionError(x.method, x.endpoint(x.call), err, began, x.within)
	if strings.HasPrefix(e.Err.Error(), "failed to parse Location header") { // net/http quotes it, and a password in it
		e.Err = errors.New("it redirects to an address that cannot be read")
	}
	if !began && x.dials.Load() && !x.connected.Load() && !e.Unsent { // as where TLS does not come about
		e.Unsent = true
		if errors.Is(err, context.DeadlineExceeded) {
			e.Err = fmt.Errorf("no connection within %v", x.within)
		}
	}
	if done := x.ctx.Err(); done != nil {
		e.Err, e.Timeout = done, errors.Is(done, context.DeadlineExceeded)
	}
	e.Err = x.hideIn(e.Err) // what is no HTTP is quoted
	return e
}

// refusal is an answer that is no success.
func (x *exchange) refusal(resp *http.Response) error {
	body, whole := runner.ReadRefusedBody(resp.Body)
	text := strings.ReplaceAll(string(body), "\x00", "") // of UTF-16
	if !whole {
		text = x.hide.Hold(text)
	}
	e := x.apiError(x.call, resp.StatusCode, resp.Header, []byte(text))
	if to, err := resp.Location(); e.StatusCode < 400 && err == nil { // a password may be in the rest of it
		e.Message = x.quote("it redirects to " + to.Scheme + "://" + to.Host + ", where nothing is sent: set VECTORSHIFT_BASE_URL")
	}
	return e
}

// runEnd gives what a refused look tells of the end of its run; nil where it speaks of the
// call, as it does where it does not name the run.
func (x *exchange) runEnd(err error) map[string]any {
	api, ok := errors.AsType[*runner.APIError](err)
	if !ok || !x.looks || !api.NotUnderstood() && api.StatusCode < 500 {
		return nil
	}
	said := jsonObject(string(api.Raw))
	names := wordOf(said["task_id"]) == x.taskID || wordOf(said["run_id"]) == x.taskID
	if !names || !stateOf(wordOf(said["status"])).Ended() {
		return nil
	}
	return said
}

func (c *Client) apiError(what call, status int, header http.Header, body []byte) *runner.APIError {
	body = []byte(c.hide.Text(string(body)))
	said := runner.ReadRefusal(body)
	e := &runner.APIError{
		StatusCode: status, Method: what.method, Endpoint: c.endpoint(what),
		Message: c.quote(said.Message), RetryAfter: runner.RetryAfter(header, said.RetryDelay),
		Raw: body,
	}
	if status == http.StatusTooManyRequests {
		e.Limits = said.Limits(header)
	}
	return e
}

// failed is the failure that an answer tells of whose status is a success: nil
// where it tells of none. It knows nothing of runs: of their states see [Result].
func (c *Client) failed(what call, answer map[string]any) error {
	word, _ := answer["status"].(string)
	said := answer["error"] != nil && answer["error"] != "" && answer["error"] != false
	switch strings.ToLower(word) {
	case "failed", "failure", "error":
	case "":
		if !said {
			return nil
		}
	default:
		return nil
	}
	body, _ := json.Marshal(answer) // it was JSON
	return c.apiError(what, http.StatusOK, nil, body)
}

// quote makes one line of the platform's words, without the key if they hold it.
func (c *Client) quote(words string) string { return runner.Quote(c.hide.Text(words)) }

// logFailure logs that a call failed, once. That a pipeline which is looked for is
// not there is no failure; nor is that the caller has changed its mind.
func (x *exchange) logFailure(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	status, level := 0, slog.LevelWarn
	if api, ok := errors.AsType[*runner.APIError](err); ok {
		status = api.StatusCode
		if status == http.StatusNotFound && x.method == http.MethodGet && x.taskID == "" {
			level = slog.LevelDebug
		}
	}
	x.log.LogAttrs(context.WithoutCancel(x.ctx), level, "call failed",
		slog.String("method", x.method), slog.String("path", x.path), slog.String("pipeline_id", x.pipelineID),
		slog.String("task_id", x.taskID), slog.String("trace_id", x.traceID), slog.Int("status", status), slog.Any("error", err))
}
