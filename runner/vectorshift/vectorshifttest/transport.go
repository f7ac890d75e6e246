package vectorshifttest

import (
	"context"
	"io"
	"net/http"
)

// Transport takes the calls of clients to the server without a network.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

// Client is one with that Transport.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.Transport()} }

type transport struct{ s *Server }

// RoundTrip returns as soon as the answer has begun, as a network would.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	asked := r.Clone(ctx)
	asked.RequestURI = r.URL.RequestURI()
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	reader, writer := io.Pipe()
	w := &responseWriter{header: http.Header{}, body: writer, begun: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer asked.Body.Close()
		defer func() {
			switch cut := recover(); cut {
			case nil:
				w.WriteHeader(http.StatusOK)
				writer.Close()
			case http.ErrAbortHandler:
				writer.CloseWithError(io.ErrUnexpectedEOF)
			default:
				panic(cut)
			}
		}()
		t.s.ServeHTTP(w, asked)
	}()
	select {
	case <-w.begun:
	case <-done:
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
	select {
	case <-w.begun:
	default:
		cancel()
		return nil, io.EOF // as net/http says it
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: -1, Request: r,
		Body: &body{reader, cancel, context.AfterFunc(r.Context(), func() { reader.CloseWithError(r.Context().Err()) })},
	}, nil
}

// body is that of an answer. Who closes it ends the call.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
	stop   func() bool
}

func (b *body) Close() error {
	b.stop()
	b.cancel()
	return b.PipeReader.Close()
}

type responseWriter struct {
	header, sent http.Header
	status       int
	body         *io.PipeWriter
	begun        chan struct{} // closed when the header was written
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	}
}

func (w *responseWriter) Write(text []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(text)
}

// Flush does nothing: what is written is sent.
func (w *responseWriter) Flush() {}
