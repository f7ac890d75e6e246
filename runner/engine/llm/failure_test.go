package llm

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// A failed call is the caller's to repeat: libraries that repeat it in secret
// pay twice, and hide what the limiter is to know.
func TestAskMakesOneCall(t *testing.T) {
	t.Parallel()
	fail := map[string]func(w http.ResponseWriter){
		"429": func(w http.ResponseWriter) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) },
		"500": func(w http.ResponseWriter) { w.Header().Set("X-Should-Retry", "true"); w.WriteHeader(500) },
		"409": func(w http.ResponseWriter) { w.WriteHeader(409) },
		"dropped": func(w http.ResponseWriter) {
			connection, _, _ := w.(http.Hijacker).Hijack()
			connection.Close()
		},
		"torn": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100"); io.WriteString(w, "{") },
	}
	for how, fail := range fail {
		for _, provider := range []string{"openai", "anthropic"} {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", how, provider, stream), func(t *testing.T) {
					t.Parallel()
					s := provide(t, func(w http.ResponseWriter, r *http.Request, n int) {
						if n == 1 { // it leaves a connection that may be used again
							says("ok")(w, r, n)
							return
						}
						fail(w)
					})
					c := newClient(t, Options{})
					r := s.at(provider)
					if _, err := c.Ask(t.Context(), r, Call{}); err != nil {
						t.Fatal(err)
					}
					r.Stream = stream
					if _, err := c.Ask(t.Context(), r, Call{}); err == nil {
						t.Fatal("no error")
					}
					want(t, "requests", len(s.requests()), 2)
					if key, ok := s.requests()[1].header["Idempotency-Key"]; ok {
						t.Errorf("Idempotency-Key %q was sent: net/http repeats such requests", key)
					}
				})
			}
		}
	}
}

func TestAskIsCancelled(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{"openai", "anthropic"} {
		for _, how := range []string{"before an answer", "in an answer", "in a stream"} {
			t.Run(provider+"/"+how, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				left := make(chan struct{})
				s := provide(t, func(w http.ResponseWriter, r *http.Request, _ int) {
					switch how {
					case "in an answer":
						reply(w, "{")
						w.(http.Flusher).Flush()
					case "in a stream":
						w.Header().Set("Content-Type", "text/event-stream")
						io.WriteString(w, "event: ping\ndata: {}\n\n")
						w.(http.Flusher).Flush()
					}
					time.AfterFunc(20*time.Millisecond, cancel)
					<-r.Context().Done()
					close(left)
				})
				r := s.at(provider)
				r.Stream = how == "in a stream"
				_, err := newClient(t, Options{}).Ask(ctx, r, Call{})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error %v, want that of the context", err)
				}
				<-left // the provider is told
			})
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	s := provide(t, says("ok"))
	if _, err := newClient(t, Options{}).Ask(ctx, s.at("openai"), Call{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the context", err)
	}
	want(t, "requests", len(s.requests()), 0)
}

// Bodies of errors as providers send them.
func TestRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 400)
	for _, test := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		want   runner.APIError // StatusCode, Method and Endpoint left out
	}{
		{name: "openai", status: 400, body: `{"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}`, want: runner.APIError{Message: "no such model"}},
		{name: "anthropic", status: 404, body: `{"type": "error", "error": {"type": "not_found_error", "message": "model: m"}}`, want: runner.APIError{Message: "model: m"}},
		{name: "google, in a list", status: 429, body: `[{"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "x"}, {"@type": "RetryInfo", "retryDelay": "19.5s"}]}}]`,
			want: runner.APIError{Message: "Resource exhausted", RetryAfter: 19500 * time.Millisecond}},
		{name: "a word", status: 500, body: `{"error": "model runner has stopped"}`, want: runner.APIError{Message: "model runner has stopped"}},
		{name: "xai", status: 400, body: `{"code": "invalid-argument", "error": "Incorrect key"}`, want: runner.APIError{Message: "Incorrect key"}},
		{name: "message", status: 422, body: `{"object": "error", "message": "bad input", "code": 40303}`, want: runner.APIError{Message: "bad input"}},
		{name: "detail", status: 422, body: `{"detail": "Not authenticated"}`, want: runner.APIError{Message: "Not authenticated"}},
		{name: "details", status: 422, body: `{"detail": [{"msg": "field required"}]}`, want: runner.APIError{Message: `[{"msg":"field required"}]`}},
		{name: "no words", status: 502, body: ``, want: runner.APIError{Message: "no message"}},
		{name: "other JSON", status: 502, body: `{"a": 1}`, want: runner.APIError{Message: `{"a": 1}`}},
		{name: "plain text", status: 503, body: "  upstream\n\tis   down\n", want: runner.APIError{Message: "upstream is down"}},
		{name: "not text", status: 503, body: "a\xffb", want: runner.APIError{Message: "a\uFFFDb"}},
		{name: "long", status: 500, body: `{"error": {"message": "` + long + `"}}`, want: runner.APIError{Message: long[:300] + "…"}},
		{name: "with the key in it", status: 401, body: `{"error": {"message": "Incorrect API key provided: ` + testKey + `."}}`, want: runner.APIError{Message: "Incorrect API key provided: ***.", Account: true}},
		{name: "with the key where it is cut", status: 401, body: `{"error": {"message": "` + long[:290] + testKey + `"}}`, want: runner.APIError{Message: long[:290] + "***"}},
		{name: "an empty account", status: 429, body: `{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}`, want: runner.APIError{Message: "You exceeded your current quota", Account: true}},
		{name: "a rate", status: 429, header: map[string]string{"Retry-After": "7"}, body: `{"error": {"message": "Rate limit reached on tokens per min (TPM)", "code": "rate_limit_exceeded"}}`,
			want: runner.APIError{Message: "Rate limit reached on tokens per min (TPM)", RetryAfter: 7 * time.Second, Limits: runner.LimitsRate}},
		{name: "a rate, by its type", status: 429, body: `{"error": {"message": "Slow down", "type": "rate_limit_error"}}`, want: runner.APIError{Message: "Slow down", Limits: runner.LimitsRate}},
		{name: "a rate, by its headers", status: 429, header: map[string]string{"x-ratelimit-limit-requests": "5"}, body: `{"error": "no"}`, want: runner.APIError{Message: "no", Limits: runner.LimitsRate}},
		{name: "concurrency", status: 429, header: map[string]string{"x-ratelimit-limit-requests": "5"}, body: `{"error": {"type": "rate_limit_error", "message": "Number of concurrent connections has exceeded your rate limit"}}`,
			want: runner.APIError{Message: "Number of concurrent connections has exceeded your rate limit", Limits: runner.LimitsConcurrency}},
		{name: "in flight", status: 429, body: `{"error": "too many requests in flight"}`, want: runner.APIError{Message: "too many requests in flight", Limits: runner.LimitsConcurrency}},
		{name: "neither", status: 429, body: `{"error": "try later"}`, want: runner.APIError{Message: "try later"}},
		{name: "no refusal, whatever it counts", status: 500, header: map[string]string{"x-ratelimit-limit-requests": "5"}, body: `{"error": "rate limit"}`, want: runner.APIError{Message: "rate limit"}},
		{name: "elsewhere", status: 307, header: map[string]string{"Location": "https://h/v1"}, want: runner.APIError{Message: "it redirects to https://h/v1, where nothing is sent: change base_url"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := provide(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				for name, value := range test.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			c := newClient(t, Options{})
			for _, provider := range []string{"openai", "anthropic"} {
				for _, stream := range []bool{false, true} {
					r := s.at(provider)
					r.Stream = stream
					_, err := c.Ask(t.Context(), r, Call{})
					got, ok := errors.AsType[*runner.APIError](err)
					if !ok {
						t.Fatalf("%s: error %v", provider, err)
					}
					wanted := test.want
					wanted.StatusCode, wanted.Method = test.status, "POST"
					wanted.Endpoint = runner.Endpoint(s.url) + map[string]string{"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[provider]
					want(t, provider, *got, wanted)
				}
			}
			want(t, "requests", len(s.requests()), 4)
		})
	}
}

// What is no answer at all, or not a whole one.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		began  bool
		want   string // a part of the error; streams say in other words that they ended
	}{
		{"dropped", func(w http.ResponseWriter) { hijack(w, "") }, false, "the connection was closed without an answer"},
		{"torn", func(w http.ResponseWriter) {
			hijack(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
		}, true, "the answer broke off"},
		{"torn in a chunk", func(w http.ResponseWriter) {
			hijack(w, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n")
		}, true, "the answer broke off"},
		{"no HTTP", func(w http.ResponseWriter) { hijack(w, "hello\r\n\r\n") }, false, `net/http: HTTP/1.x transport connection broken: malformed HTTP response "hello"`},
		{"HTML", func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html"); io.WriteString(w, "<html>") }, true, "what answers is no model, by its answer: "},
		{"half of the JSON", func(w http.ResponseWriter) { reply(w, `{"choices": [`) }, true, "the answer broke off"},
		{"null", func(w http.ResponseWriter) { reply(w, `null`) }, true, "the answer cannot be read: it is null"},
		{"nothing", func(w http.ResponseWriter) { reply(w, ``) }, true, "the answer broke off"},
	} {
		for _, provider := range []string{"openai", "anthropic"} {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", test.name, provider, stream), func(t *testing.T) {
					t.Parallel()
					s := provide(t, func(w http.ResponseWriter, _ *http.Request, _ int) { test.answer(w) })
					r := s.at(provider)
					r.Stream = stream
					_, err := newClient(t, Options{}).Ask(t.Context(), r, Call{})
					got, ok := errors.AsType[*runner.ConnectionError](err)
					if !ok {
						t.Fatalf("error %v", err)
					}
					want(t, "began", got.Began, test.began)
					want(t, "timeout", got.Timeout, false)
					if !strings.Contains(err.Error(), test.want) && (!stream || !strings.Contains(err.Error(), "it ended before it was whole")) {
						t.Errorf("error: %v\n want: %s", err, test.want)
					}
				})
			}
		}
	}
}

func hijack(w http.ResponseWriter, answer string) {
	connection, _, _ := w.(http.Hijacker).Hijack()
	io.WriteString(connection, answer)
	connection.Close()
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	listener.Close()
	_, err = newClient(t, Options{}).Ask(t.Context(), Request{Provider: "custom", Model: "m", BaseURL: "http://" + host}, Call{})
	wantError(t, "error", err, "POST "+host+"/chat/completions: dial tcp "+host+": connect: connection refused")
	if e, ok := errors.AsType[*runner.ConnectionError](err); !ok || !e.Unsent || e.Timeout {
		t.Errorf("error %+v, want one of a call that was not sent", err)
	}

	s := provide(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	c := newClient(t, Options{HTTP: &http.Client{Timeout: 20 * time.Millisecond}})
	_, err = c.Ask(t.Context(), s.at("openai"), Call{})
	if e, ok := errors.AsType[*runner.ConnectionError](err); !ok || !e.Timeout || e.Began || e.Unsent {
		t.Errorf("error %v, want a timeout", err)
	}
}

func TestUnsent(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		err   error
		began bool
		want  bool
	}{
		{err: refused, want: true},
		{err: &url.Error{Op: "Post", URL: "http://h", Err: refused}, want: true},
		{err: &net.OpError{Op: "proxyconnect", Net: "tcp", Err: refused}, want: true},
		{err: &net.DNSError{Err: "no such host", Name: "h"}, want: true},
		{err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "h"}}, want: true},
		{err: &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}},
		{err: &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("no")}},
		{err: io.EOF},
		{err: context.DeadlineExceeded},
		{err: refused, began: true},
	} {
		e := (&wire{url: "http://h/p", http: http.DefaultClient}).broken(test.err, test.began)
		want(t, fmt.Sprintf("%v, begun %v", test.err, test.began), e.Unsent, test.want)
	}
}

// TestCallsAreBounded: whatever a provider does with a call, there is an end to it.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	trickle := func(kind, piece string, every time.Duration) func(net.Conn) {
		return func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\n", kind)
			for range 1000 {
				time.Sleep(every)
				if _, err := io.WriteString(c, piece); err != nil {
					return
				}
			}
		}
	}
	for name, test := range map[string]struct {
		answer func(c net.Conn)
		after  time.Duration
		began  bool
		want   string
	}{
		"no answer":             {func(c net.Conn) { io.Copy(io.Discard, c) }, 20 * time.Minute, false, "no answer within 20m0s"},
		"half of a head":        {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200"); io.Copy(io.Discard, c) }, 20 * time.Minute, false, "no answer within 20m0s"},
		"a silent stream":       {trickle("text/event-stream", ": ping\n\n", 11*time.Minute), 10 * time.Minute, true, "nothing came for 10m0s: i/o timeout"},
		"a trickling stream":    {trickle("text/event-stream", ": ping\n\n", 7*time.Minute), time.Hour, true, "the answer was not whole within 1h0m0s"},
		"a trickling answer":    {trickle("application/json", " ", 7*time.Minute), time.Hour, true, "the answer was not whole within 1h0m0s"},
		"an answer that starts": {trickle("application/json", " ", 999*time.Hour), time.Hour, true, "the answer was not whole within 1h0m0s"},
	} {
		for _, provider := range []string{"openai", "anthropic"} {
			t.Run(name+"/"+provider, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					transport := newTransport()
					transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
						client, server := net.Pipe()
						go func() {
							defer server.Close()
							if req, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
								_, _ = io.Copy(io.Discard, req.Body)
								test.answer(server)
							}
						}()
						return client, nil
					}
					c := newClient(t, Options{HTTP: &http.Client{Transport: transport}})
					began := time.Now()
					_, err := c.Ask(t.Context(), Request{Provider: provider, Model: "m", BaseURL: "http://h", APIKey: testKey, Prompt: "hello", Stream: strings.Contains(name, "stream")}, Call{})
					want(t, "time", time.Since(began), test.after)
					e, ok := errors.AsType[*runner.ConnectionError](err)
					if !ok {
						t.Fatalf("error %v", err)
					}
					want(t, "error", e.Err.Error(), test.want)
					want(t, "timeout", [3]bool{e.Timeout, e.Began, e.Unsent}, [3]bool{true, test.began, false})
					time.Sleep(1000 * time.Hour) // until the server has noticed
				})
			})
		}
	}
}

func TestAnswerThatIsTooLong(t *testing.T) {
	t.Parallel()
	w := &wire{url: "http://h/p", http: http.DefaultClient}
	read := func(most int64) (string, error) {
		body, err := io.ReadAll(&answerBody{ReadCloser: io.NopCloser(strings.NewReader("12345")), wire: w, left: most})
		return string(body), err
	}
	if got, err := read(5); err != nil || got != "12345" {
		t.Errorf("%s, %v", got, err)
	}
	_, err := read(4)
	wantError(t, "error", w.failure(t.Context(), fmt.Errorf("of the SDK: %w", err), false), "the model's answer is of no use: it has more than 32 MB")
}

// The credential must not reach another host, not even by way of a redirect.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	other := provide(t, says("ok"))
	s := provide(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		http.Redirect(w, r, other.url+r.URL.Path, http.StatusTemporaryRedirect)
	})
	c := newClient(t, Options{HTTP: &http.Client{}})
	for _, provider := range []string{"openai", "anthropic"} {
		_, err := c.Ask(t.Context(), s.at(provider), Call{})
		if e, ok := errors.AsType[*runner.APIError](err); !ok || e.StatusCode != http.StatusTemporaryRedirect || e.Transient() {
			t.Errorf("error %v", err)
		}
	}
	want(t, "requests elsewhere", len(other.requests()), 0)
}

// What a refusal says is of less worth than that it is one.
func TestRefusalThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	for said, wanted := range map[string]string{`{"error": {"message": "slow down"}}`: "slow down", `{"error": `: `{"error":`, "": "no message"} {
		synctest.Test(t, func(t *testing.T) {
			body, provider := io.Pipe()
			go io.WriteString(provider, said)
			began := time.Now()
			_, err := (&wire{url: "http://h/p", http: http.DefaultClient}).send(nil, func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"7"}}, Body: body}, nil
			})
			e, ok := errors.AsType[*runner.APIError](err)
			if !ok || !e.Refused() || e.RetryAfter != 7*time.Second || e.Message != wanted {
				t.Errorf("%q: error %+v", said, err)
			}
			want(t, "time", time.Since(began), 2*time.Second)
		})
	}
}

func TestStreamThatFallsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		read := func(kind string) (string, time.Duration, error) {
			body, provider := io.Pipe()
			go func() {
				for range 3 {
					time.Sleep(9 * time.Minute)
					io.WriteString(provider, ".")
				}
				time.Sleep(time.Hour)
				provider.Close()
			}()
			began := time.Now()
			resp, err := (&wire{url: "http://h/p", http: http.DefaultClient}).send(nil, func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {kind}}, Body: body}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			took := time.Since(began)
			resp.Body.Close()
			synctest.Wait()
			return string(text), took, err
		}
		text, took, err := read("text/event-stream; charset=utf-8")
		want(t, "text", text, "...")
		want(t, "time", took, 37*time.Minute)
		wantError(t, "error", err, "POST h/p: nothing came for 10m0s: i/o timeout")
		if e, ok := errors.AsType[*runner.ConnectionError](err); !ok || !e.Timeout || !e.Began {
			t.Errorf("error %+v", err)
		}
		text, took, err = read("application/json") // one that is not streamed is bounded as a whole only
		want(t, "text", text, "...")
		want(t, "time", took, 87*time.Minute)
		if err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour) // until the silent provider has noticed, too
	})
}

// The wait ends also where the connection itself hangs.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	for _, zipped := range []bool{false, true} {
		s := provide(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("Content-Type", "text/event-stream")
			var body io.Writer = w
			if zipped {
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				defer z.Close()
				body = z
			}
			io.WriteString(body, "data: 1\n\n")
			if z, ok := body.(*gzip.Writer); ok {
				z.Flush()
			}
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		c := newClient(t, Options{})
		resp, err := c.http.Get(s.url)
		if err != nil {
			t.Fatal(err)
		}
		body := &answerBody{ReadCloser: resp.Body, wire: &wire{url: s.url, http: c.http}, left: maxStream, silence: 50 * time.Millisecond}
		text, err := io.ReadAll(body)
		body.Close()
		want(t, "text", string(text), "data: 1\n\n")
		if e, ok := errors.AsType[*runner.ConnectionError](err); !ok || !e.Timeout || !e.Began {
			t.Errorf("zipped %v: error %+v", zipped, err)
		}
	}
}
