package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"nightshift/runner"
)

// Limits of one request of an api or url_loader node.
const (
	fetchTimeout   = 60 * time.Second // for all of it, redirects included
	fetchMaxAnswer = 10 << 20         // bytes, unpacked
	fetchMaxHeader = 1 << 20          // bytes
	fetchRedirects = 10
)

// answer is what a web server said.
type answer struct {
	status int
	header http.Header
	body   []byte
	url    *url.URL // that it was found at, behind all redirects
}

// fetch sends a request and reads the whole answer, whatever its status. All that
// api and url_loader nodes ask of the web goes through here, and in a rehearsal to
// imitatedWeb instead of a guard. Errors are a *webError or a
// *privateError.
func (e *Engine) fetch(req *http.Request) (*answer, error) {
	ctx, cancel := context.WithTimeout(req.Context(), fetchTimeout)
	defer cancel()
	got, err := read(e.http, req.WithContext(ctx))
	switch {
	case err == nil:
		return got, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && req.Context().Err() == nil:
		err = &webError{class: "connection", err: fmt.Errorf("no answer within %v", fetchTimeout)}
	}
	return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Host, err)
}

func read(client *http.Client, req *http.Request) (*answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		if private, ok := errors.AsType[*privateError](err); ok {
			return nil, private
		}
		return nil, &webError{class: "connection", err: bare(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, fetchMaxAnswer+1))
	switch {
	case err != nil:
		return nil, &webError{class: "connection", err: fmt.Errorf("the answer broke off: %w", bare(err))}
	case len(body) > fetchMaxAnswer:
		return nil, &webError{class: "bad_answer", err: fmt.Errorf("the answer has more than %d MB", fetchMaxAnswer>>20)}
	}
	return &answer{resp.StatusCode, resp.Header, body, resp.Request.URL}, nil
}

// newHTTPClient makes the client of api and url_loader nodes.
func newHTTPClient(o Options) *http.Client {
	guard := newGuard(o.AllowPrivateNetwork)
	guard.leave = cmp.Or(o.PrivateLeave, guard.leave)
	return &http.Client{Transport: guard, CheckRedirect: checkRedirect}
}

// checkRedirect sends none of the author's headers on to another host: they may
// hold a key. net/http takes that care of Authorization alone. A body, which status
// 307 and 308 would have sent on, is for nobody else at all.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > fetchRedirects {
		return fmt.Errorf("more than %d redirects", fetchRedirects)
	}
	if origin(req.URL) == origin(via[0].URL) {
		return nil
	}
	if req.Body != nil && req.Body != http.NoBody {
		return fmt.Errorf("redirected to %s://%s, where the body is not sent on: give that address if it is the right one", req.URL.Scheme, req.URL.Host)
	}
	req.Header = http.Header{}
	return nil
}

// origin is the scheme, host and port of an address, in one spelling.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// webAddress parses the address that an input gives.
func webAddress(in input, text string) (*url.URL, error) {
	address, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.name, bare(err))
	}
	if address.Scheme != "http" && address.Scheme != "https" || address.Hostname() == "" {
		return nil, fmt.Errorf("input %q: must begin with http:// or https:// and name a host", in.name)
	}
	return address, nil
}

// bare takes the URL out of an error: it may hold a key in its query.
func bare(err error) error {
	if urlError := (*url.Error)(nil); errors.As(err, &urlError) {
		return urlError.Err
	}
	return err
}

// webError is a request that came to nothing. It is none of runner's errors of
// calls: the run is not suspended for it, and it says nothing about other items,
// which have addresses of their own.
type webError struct {
	class  string
	status int // of the answer; 0: there was none, or it was not the matter
	err    error
}

func (e *webError) Error() string { return e.err.Error() }
func (e *webError) Unwrap() error { return e.err }

// Class is the class of the error in results.
func (e *webError) Class() string { return e.class }

// Status is the HTTP status in results.
func (e *webError) Status() int { return e.status }

// notFine makes an error of an answer whose status is not 2xx. It is of the
// class that the same status of a model has.
func notFine(req *http.Request, got *answer) error {
	class := (&runner.APIError{StatusCode: got.status}).ClassOr("run_failed")
	return &webError{class, got.status, fmt.Errorf("%s %s: answered %d %s: %s",
		req.Method, req.URL.Host, got.status, http.StatusText(got.status), quote(string(got.body)))}
}
