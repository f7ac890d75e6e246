// Package vectorshift is a client of the hosted VectorShift platform: pipelines
// are fetched, built, saved, run and streamed, and background runs started, looked
// at and terminated from any process that has their ids. [Backend] is the same as a
// backend of batches.
//
// Errors are those of package runner: [runner.APIError] and its kinds,
// [runner.ConnectionError], [runner.RunFailedError], [runner.PollTimeoutError].
package vectorshift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// DefaultBaseURL is the address of the platform.
const DefaultBaseURL = "https://api.vectorshift.ai/v1"

// Options are what a client works with. The zero Options take all from the
// environment.
type Options struct {
	BaseURL string        // "": VECTORSHIFT_BASE_URL, else DefaultBaseURL
	Key     string        // "": VECTORSHIFT_API_KEY, else api_key under [auth] in ~/.vectorshift/config.toml
	HTTP    *http.Client  // nil: one of its own; redirects to other hosts are never followed
	Limiter Limiter       // is waited for before every call; nil: none
	Timeout time.Duration // of one call, its answer included, but not of Run and of streams, twice of a start, and a second more for each 100 kB that it sends; 0: that of HTTP, else a minute
	Log     *slog.Logger  // takes starts, ends, terminations and errors, with task_id and trace_id; nil: nobody

	Env func(name string) (string, bool) // variables; nil: the process's
}

// Limiter holds calls back: a *rate.Limiter of golang.org/x/time/rate is one.
type Limiter interface {
	Wait(ctx context.Context) error
}

// Client makes calls of the platform's API. It may be used by many goroutines. It is
// made by [New]; a zero one, and handles and pipelines without one, make no calls.
type Client struct {
	baseURL string
	key     secret
	hide    hider
	http    *http.Client
	limiter Limiter
	timeout time.Duration
	log     *slog.Logger
}

// defaultTimeout is that of calls which are answered at once.
const defaultTimeout = time.Minute

// sentPerSecond is how many bytes of a body are given a second, as uploads take time.
const sentPerSecond = 100_000

// errNoClient is that of calls which cannot be made.
var errNoClient = errors.New("it has no client: make a handle with Client.Handle, a pipeline with Client.Pipeline, and a client with New")

// made tells whether the client was made by [New].
func (c *Client) made() bool { return c != nil && c.http != nil }

// New makes a client. Without a key, or with a base URL that is none, there is an
// error that says what to do; nothing is called.
func New(o Options) (*Client, error) {
	lookup := o.Env
	if lookup == nil {
		lookup = os.LookupEnv
	}
	env := func(name string) string {
		value, _ := lookup(name)
		return strings.TrimSpace(value)
	}
	base, err := baseURL(cmp.Or(o.BaseURL, env("VECTORSHIFT_BASE_URL"), DefaultBaseURL))
	if err != nil {
		return nil, err
	}
	key, err := findKey(o.Key, env)
	if err != nil {
		return nil, err
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: newTransport()}
	}
	c := &Client{
		baseURL: base, key: newSecret(key), hide: newHider(key), http: new(http.Client), limiter: o.Limiter,
		timeout: cmp.Or(max(o.Timeout, 0), o.HTTP.Timeout, defaultTimeout), log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
	}
	*c.http = *o.HTTP
	c.http.Timeout = 0 // it would cut streams
	c.http.CheckRedirect = followable
	return c, nil
}

// baseURL checks the address of the API. What is in it turns up in messages.
func baseURL(given string) (string, error) {
	const what = "set VECTORSHIFT_BASE_URL to one such as " + DefaultBaseURL + ", or leave it out"
	u, err := url.Parse(given)
	switch {
	case err != nil: // the error would quote it whole, passwords included
		return "", fmt.Errorf("the base URL of the platform cannot be read: %s", what)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", fmt.Errorf("the base URL of the platform, %s, is none: %s", u.Redacted(), what)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("the base URL of the platform may have host and path alone, no user, query or fragment: %s", what)
	}
	u.ForceQuery = false
	return strings.TrimRight(u.String(), "/"), nil
}

// newTransport holds on to as many connections as there are calls in flight.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 1024 // idle ones end by IdleConnTimeout
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	// A stream may be silent for long, so a dead connection must be found by other means.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}
	return t
}

const maxRedirects = 5

// followable lets nothing but a look go elsewhere, and that only within the host:
// the key, and what is in a body, is for that one alone. A redirect that is not
// followed is the answer.
func followable(req *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || len(via) > maxRedirects || place(req.URL) != place(first.URL) {
		return http.ErrUseLastResponse
	}
	return nil
}

// place is where a URL leads: scheme, host and port.
func place(u *url.URL) [3]string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return [3]string{u.Scheme, strings.ToLower(u.Hostname()), port}
}
