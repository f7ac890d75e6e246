package engine

import (
	"io"
	"net/http"
	"strings"

	"nightshift/runner/engine/llm"
	"nightshift/spec"
)

// imitatedWeb answers in the place of all addresses: a rehearsal looks up no name
// and opens no connection. Who wants HTML gets a page, anybody else JSON that says
// what was asked for.
type imitatedWeb struct {
	*llm.Rehearsal
	hide *spec.Redactor
}

// RoundTrip is http.RoundTripper's.
func (w imitatedWeb) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	failed, err := w.Call(req.Context())
	if err != nil {
		return nil, err
	}
	status, typ, body := http.StatusOK, "application/json", w.answer(req)
	switch {
	case failed:
		status, typ, body = http.StatusServiceUnavailable, "text/plain", "this call was let fail, as rehearse.failures asks for"
	case strings.Contains(req.Header.Get("Accept"), "html"):
		typ, body = "text/html; charset=utf-8", imitatedPage
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {typ}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}, nil
}

// answer tells what was asked for, without the query, which may hold a key, and with
// secrets hidden: nodes may cut it, and nobody finds what is left of one.
func (w imitatedWeb) answer(req *http.Request) string {
	path := req.URL.EscapedPath()
	if hidden := w.hide.Text(req.URL.Path); hidden != req.URL.Path {
		path = hidden
	}
	address := w.hide.Text(req.URL.Scheme + "://" + req.URL.Host + path)
	return string(spec.AppendJSON(nil, map[string]any{"rehearsal": true, "method": req.Method, "url": address}))
}

const imitatedPage = `<html><head><title>Rehearsal</title></head><body><h1>Rehearsal</h1><p>This page stands for one that was not loaded.</p></body></html>`
