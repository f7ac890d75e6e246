package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"nightshift/spec"
)

// Limits of one request of an api node.
const (
	apiTimeout   = 60 * time.Second
	apiMaxAnswer = 10 << 20 // bytes
	apiRedirects = 10
)

func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &http.Client{Transport: transport, CheckRedirect: checkRedirect}
}

// checkRedirect sends none of the author's headers on to another host: they may
// hold a key. net/http takes that care of Authorization alone. What a body is
// goes with the body.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > apiRedirects {
		return fmt.Errorf("more than %d redirects", apiRedirects)
	}
	if first := via[0].URL; req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		kept := http.Header{}
		if contentType := req.Header.Get("Content-Type"); req.Body != nil && contentType != "" {
			kept.Set("Content-Type", contentType)
		}
		req.Header = kept
	}
	return nil
}

// compileAPI sends one request and gives the body of the answer as text.
func compileAPI(s *setup) step {
	target, method, headers, query := s.in("url"), s.in("method"), s.in("headers"), s.in("query_params")
	isRaw, raw, params := s.in("is_raw_json"), s.in("raw_json"), s.in("body_params")
	mustSucceed, out := s.in("fail_non_2xx_response"), s.out("output")
	if files, _ := s.spec.Inputs["files"].([]any); len(files) > 0 {
		s.refuse("files", "files of an api node are not sent by this engine yet")
	}
	client := s.engine.http
	return func(c *call) error {
		address, err := apiURL(c, target, query)
		if err != nil {
			return err
		}
		body, err := apiBody(c, isRaw, raw, params)
		if err != nil {
			return err
		}
		check, err := mustSucceed.boolean(c)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.ctx, apiTimeout)
		defer cancel()
		verb, err := method.choice(c)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, verb, address.String(), bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("the request cannot be made: %w", bare(err))
		}
		if err := addHeaders(c, headers, req); err != nil {
			return err
		}
		if body != nil && req.Header.Get("Content-Type") == "" {
			req.Header.Set("Content-Type", "application/json")
		}
		status, answer, err := send(client, req)
		if err != nil {
			return fmt.Errorf("%s %s: %w", req.Method, address.Host, err)
		}
		if check && (status < 200 || status > 299) {
			return fmt.Errorf("%s %s: answered %d %s: %s", req.Method, address.Host, status, http.StatusText(status), quote(answer))
		}
		c.set(out, answer)
		return nil
	}
}

// escapeInvalid escapes what must not stand in a request line. All else is left
// as the author wrote it: the query may be signed.
func escapeInvalid(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func apiURL(c *call, target, query input) (*url.URL, error) {
	address, err := url.Parse(strings.TrimSpace(target.text(c)))
	if err != nil {
		return nil, fmt.Errorf("input \"url\": %w", bare(err))
	}
	if address.Scheme != "http" && address.Scheme != "https" || address.Host == "" {
		return nil, fmt.Errorf("input \"url\": must begin with http:// or https:// and name a host")
	}
	address.RawQuery = escapeInvalid(address.RawQuery)
	params, err := query.pairs(c)
	if err != nil {
		return nil, err
	}
	for _, p := range params { // behind what is there, which is not touched: it may be signed
		if address.RawQuery != "" {
			address.RawQuery += "&"
		}
		address.RawQuery += url.QueryEscape(p.key) + "=" + url.QueryEscape(spec.Text(p.value))
	}
	return address, nil
}

// apiBody is the raw JSON, or the parameters as one JSON object; nil where
// there are none.
func apiBody(c *call, isRaw, raw, params input) ([]byte, error) {
	useRaw, err := isRaw.boolean(c)
	if err != nil {
		return nil, err
	}
	if useRaw {
		return []byte(raw.text(c)), nil
	}
	fields, err := params.pairs(c)
	if err != nil || len(fields) == 0 {
		return nil, err
	}
	var object orderedObject
	for _, p := range fields {
		object.set(p.key, spec.AppendJSON(nil, p.value))
	}
	return []byte(object.String()), nil
}

func addHeaders(c *call, headers input, req *http.Request) error {
	pairs, err := headers.pairs(c)
	for _, p := range pairs {
		if value := spec.Text(p.value); strings.EqualFold(p.key, "Host") {
			req.Host = value // net/http passes over the header
		} else {
			req.Header.Add(p.key, value)
		}
	}
	return err
}

func send(client *http.Client, req *http.Request) (status int, answer string, err error) {
	defer func() {
		if errors.Is(req.Context().Err(), context.DeadlineExceeded) && err != nil {
			err = fmt.Errorf("no answer within %v", apiTimeout)
		}
	}()
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", bare(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, apiMaxAnswer+1))
	switch {
	case err != nil:
		return 0, "", fmt.Errorf("the answer broke off: %w", bare(err))
	case len(body) > apiMaxAnswer:
		return 0, "", fmt.Errorf("the answer has more than %d MB", apiMaxAnswer>>20)
	case !utf8.Valid(body):
		return 0, "", fmt.Errorf("the answer is not text in UTF-8")
	}
	return resp.StatusCode, string(body), nil
}

// bare takes the URL out of an error: it may hold a key in its query.
func bare(err error) error {
	if urlError := (*url.Error)(nil); errors.As(err, &urlError) {
		return urlError.Err
	}
	return err
}
