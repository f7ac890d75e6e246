package vectorshift

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// platform is a server on loopback that keeps what it is asked.
type platform struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
	said []string // the bodies
}

func serve(t testing.TB, answer http.HandlerFunc) *platform {
	t.Helper()
	p := &platform{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.seen, p.said = append(p.seen, r), append(p.said, string(body))
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *platform) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// host is what messages show of the server.
func (p *platform) host() string { return strings.TrimPrefix(p.URL, "http://") }

func (p *platform) client(t testing.TB, o Options) *Client {
	t.Helper()
	o.BaseURL, o.Key = p.URL+"/v1", testKey
	return newClient(t, o)
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	o.Env = func(string) (string, bool) { return "", false }
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// start is a call that must not be made twice.
func start() call {
	return call{method: "POST", path: "/pipeline/p/run", body: map[string]any{"inputs": map[string]any{}}, pipelineID: "p", traceID: "trace"}
}

func look() call { return call{method: "GET", path: "/pipeline/p/run/status/t"} }

// unanswered is the error of a call that has no answer, or none that can be read.
func unanswered(t testing.TB, err error) *runner.ConnectionError {
	t.Helper()
	e, ok := errors.AsType[*runner.ConnectionError](err)
	if !ok {
		t.Fatalf("error %v, want a connection error", err)
	}
	return e
}

// flags are unsent, began, foreign, timeout: "u", "bf", ...
func flags(e *runner.ConnectionError) (set string) {
	for _, f := range []struct {
		on   bool
		name string
	}{{e.Unsent, "u"}, {e.Began, "b"}, {e.Foreign, "f"}, {e.Timeout, "t"}} {
		if f.on {
			set += f.name
		}
	}
	return set
}

func TestCallOnTheWire(t *testing.T) {
	t.Parallel()
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "\ufeff {\"status\": \"ok\", \"n\": 12345678901234567890.10}\n")
	})
	c := p.client(t, Options{})
	answer, err := c.do(t.Context(), start())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "answer", answer, map[string]any{"status": "ok", "n": json.Number("12345678901234567890.10")})
	_, err = c.do(t.Context(), call{method: "GET", path: "/pipeline/" + url.PathEscape("a/b ü"), query: url.Values{"name": {"ü & b"}}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range p.requests() {
		got = append(got, fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Header.Get("Authorization"), " ", r.Header.Get("Content-Type"), " ", p.said[i]))
	}
	want(t, "requests", got, []string{
		"POST /v1/pipeline/p/run Bearer " + testKey + ` application/json {"inputs":{}}`,
		"GET /v1/pipeline/a%2Fb%20%C3%BC?name=%C3%BC+%26+b Bearer " + testKey + "  ",
	})
}

// An id that is empty would make another call of it: DELETE /pipeline/ID.
func TestCallWithoutID(t *testing.T) {
	t.Parallel()
	p := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/pipeline/", "/pipeline//run", "/pipeline/../run", "/pipeline/./run"} {
		if _, err := p.client(t, Options{}).do(t.Context(), call{method: "DELETE", path: path}); err == nil {
			t.Errorf("%s is called", path)
		}
	}
	_, err := p.client(t, Options{}).do(t.Context(), call{method: "POST", path: "/pipeline", body: map[string]any{"f": func() {}}})
	if err == nil {
		t.Error("a body that is no JSON is sent")
	}
	want(t, "requests", len(p.requests()), 0)
}

// What comes back and is no answer: whether there is a run is known only where
// nothing was sent.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			connection, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(connection, text)
			connection.Close()
		}
	}
	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
	}
	const platformless = "what answers is not the platform, by its answer: "
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		flags  string
		want   string
	}{
		{"cut before", raw(""), "", "the connection was closed without an answer"},
		{"cut in the head", raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"), "", "the connection was closed without an answer"},
		{"cut in the body", raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\""), "b", "the answer broke off"},
		{"cut in a chunk", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\""), "b", "the answer broke off"},
		{"cut, and no length", raw("HTTP/1.1 200 OK\r\n\r\n{\"task_id\": \"1"), "b", "the answer broke off"},
		{"nothing", says(""), "b", "the answer broke off"},
		{"spaces", says(" \n"), "b", "the answer broke off"},
		{"no HTTP", raw("SSH-2.0-x\r\n\r\n"), "", `net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-x"`},
		{"a page", says("<html><title>Log in</title>"), "bf", platformless + "invalid character '<' looking for beginning of value; is VECTORSHIFT_BASE_URL right?"},
		{"text", says("ok"), "bf", platformless + "invalid character 'o' looking for beginning of value; is VECTORSHIFT_BASE_URL right?"},
		{"half a page", says("{<"), "bf", platformless + "invalid character '<' looking for beginning of object key string; is VECTORSHIFT_BASE_URL right?"},
		{"a list", says(`[{"task_id": "t"}]`), "bf", platformless + "no JSON object; is VECTORSHIFT_BASE_URL right?"},
		{"null", says("null"), "bf", platformless + "no JSON object; is VECTORSHIFT_BASE_URL right?"},
		{"two", says("{} {}"), "bf", platformless + "something follows the JSON object; is VECTORSHIFT_BASE_URL right?"},
		{"deep", says(`{"a":` + strings.Repeat("[", 20_000)), "bf", platformless + "invalid character '[' exceeded max depth; is VECTORSHIFT_BASE_URL right?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := atomic.Int64{}
			p := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == 1 { // leaves a connection that is used again
					says("{}")(w, r)
					return
				}
				test.answer(w, r)
			})
			c := p.client(t, Options{})
			if _, err := c.do(t.Context(), start()); err != nil {
				t.Fatal(err)
			}
			_, err := c.do(t.Context(), start())
			e := unanswered(t, err)
			want(t, "flags", flags(e), test.flags)
			want(t, "error", err.Error(), "POST "+p.host()+"/v1/pipeline/p/run: "+test.want)
			want(t, "starts", len(p.requests()), 2)
			for _, r := range p.requests() {
				if r.Header.Get("Idempotency-Key") != "" {
					t.Error("Idempotency-Key is sent: net/http repeats such requests")
				}
			}
		})
	}
}

// brittle is a connection that may break before anything is written.
type brittle struct {
	net.Conn
	broken *atomic.Bool
}

func (b brittle) Write(p []byte) (int, error) {
	if b.broken.Swap(false) {
		return 0, errors.New("broken pipe")
	}
	return b.Conn.Write(p)
}

// A connection that the other side has closed meanwhile is no reason to start a run
// twice, nor to think that it may have been.
func TestStartOnAConnectionThatIsGone(t *testing.T) {
	t.Parallel()
	p := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"task_id": "t"}`) })
	var broken atomic.Bool
	transport := newTransport()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := new(net.Dialer).DialContext(ctx, network, address)
		return brittle{connection, &broken}, err
	}
	c := p.client(t, Options{HTTP: &http.Client{Transport: transport}})
	for range 2 {
		if _, err := c.do(t.Context(), start()); err != nil {
			t.Fatal(err)
		}
		broken.Store(true)
	}
	want(t, "starts", len(p.requests()), 2)
	want(t, "broken", broken.Swap(false), true)
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	c := newClient(t, Options{BaseURL: "http://" + listener.Addr().String(), Key: testKey})
	_, err = c.do(t.Context(), start())
	want(t, "of a closed port", flags(unanswered(t, err)), "u")
	_, err = c.open(t.Context(), start())
	want(t, "of a closed port, of a stream", flags(unanswered(t, err)), "u")

	c, _ = scripted(t, reply{err: io.ErrUnexpectedEOF})
	_, err = c.do(t.Context(), start())
	want(t, "of a transport that does not tell", flags(unanswered(t, err)), "")

	s := httptest.NewTLSServer(http.NotFoundHandler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	defer s.Close()
	_, err = newClient(t, Options{BaseURL: s.URL, Key: testKey}).do(t.Context(), start())
	want(t, "of a certificate that nobody knows", flags(unanswered(t, err)), "u")
}

// mb200 is an answer of that size.
func mb200(w io.Writer) {
	piece := bytes.Repeat([]byte("x"), 1<<16)
	io.WriteString(w, `{"a": "`)
	for range 200 << 20 / len(piece) {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

func TestAnswerThatIsTooLarge(t *testing.T) { // not parallel: it counts memory
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(bytes.Repeat([]byte("x"), 1<<20))
	z.Close()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		most   uint64 // bytes of memory
	}{
		"chunked": {func(w http.ResponseWriter, _ *http.Request) { mb200(w) }, 5 * maxAnswer},
		"with a length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(200<<20))
			mb200(w)
		}, 4 << 20},
		"zipped": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for range 200 {
				w.Write(zipped.Bytes())
			}
		}, 5 * maxAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, test.answer)
			c := p.client(t, Options{})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.do(t.Context(), start())
			runtime.ReadMemStats(&after)
			want(t, "flags", flags(unanswered(t, err)), "bf")
			large, ok := errors.AsType[*TooLargeError](err)
			if !ok || large.Class() != "bad_answer" || !strings.Contains(err.Error(), "more than 32 MB") {
				t.Errorf("error %v, want one that states the limit", err)
			}
			// All that was allocated meanwhile: more than was ever held at once.
			if got := after.TotalAlloc - before.TotalAlloc; got > test.most {
				t.Errorf("%d MB of memory were taken", got>>20)
			}
		})
	}
	x := &exchange{Client: newClient(t, Options{Key: testKey}), ctx: t.Context()}
	for size, fits := range map[int]bool{maxAnswer: true, maxAnswer + 1: false} {
		body, err := x.readAnswer(&http.Response{ContentLength: -1, Body: io.NopCloser(bytes.NewReader(make([]byte, size)))})
		if (err == nil) != fits || fits && len(body) != size {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// piped makes a client whose connections are answered by a function, for tests with
// a clock of their own.
func piped(t testing.TB, o Options, answer func(net.Conn)) *Client {
	t.Helper()
	transport := newTransport()
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			if strings.HasPrefix(o.BaseURL, "https:") {
				answer(server)
			} else if req, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				answer(server)
			}
		}()
		return client, nil
	}
	o.HTTP, o.Key = &http.Client{Transport: transport}, testKey
	if o.BaseURL == "" {
		o.BaseURL = "http://h"
	}
	return newClient(t, o)
}

// trickle sends a piece every so often, without an end.
func trickle(head, piece string, every time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, head)
		for {
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
			time.Sleep(every)
		}
	}
}

func silent(said string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, said)
		io.Copy(io.Discard, c)
	}
}

// TestCallsAreBounded: whatever the other side does with a call, there is an end to it.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
	for name, test := range map[string]struct {
		answer  func(net.Conn)
		timeout time.Duration
		after   time.Duration
		flags   string
		want    string
	}{
		"no answer":        {silent(""), 0, time.Minute, "t", "no answer within 1m0s"},
		"a slow head":      {trickle("HTTP/1.1 200 OK\r\nX: ", "x", time.Second), 0, time.Minute, "t", "no answer within 1m0s"},
		"a silent body":    {silent(ok), 0, time.Minute, "bt", "the answer was not whole within 1m0s"},
		"a slow body":      {trickle(ok, " ", time.Second), 0, time.Minute, "bt", "the answer was not whole within 1m0s"},
		"a smaller limit":  {trickle(ok, " ", time.Second), 3 * time.Second, 3 * time.Second, "bt", "the answer was not whole within 3s"},
		"no TLS handshake": {silent(""), 5 * time.Second, 5 * time.Second, "ut", "no connection within 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Options{Timeout: test.timeout}
				if strings.Contains(name, "TLS") {
					o.BaseURL = "https://h"
				}
				c := piped(t, o, test.answer)
				began := time.Now()
				_, err := c.do(t.Context(), start())
				want(t, "time", time.Since(began), test.after)
				e := unanswered(t, err)
				want(t, "flags", flags(e), test.flags)
				want(t, "error", e.Err.Error(), test.want)
				time.Sleep(time.Hour) // until the server has noticed
			})
		})
	}
}

// What is sent along takes its time: a second for each 100 kB.
func TestUploadsHaveTime(t *testing.T) {
	t.Parallel()
	for size, within := range map[int]time.Duration{99_000: time.Minute, 250_000: time.Minute + 2*time.Second, 6_000_000: 2 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, Options{}, silent(""))
			what := start()
			what.body = strings.Repeat("x", size)
			began := time.Now()
			_, err := c.do(t.Context(), what)
			want(t, "time", time.Since(began), within)
			want(t, "error", unanswered(t, err).Err.Error(), fmt.Sprintf("no answer within %v", within))
			time.Sleep(time.Hour)
		})
	}
}

// What was made by no client says so.
func TestWithoutAClient(t *testing.T) {
	t.Parallel()
	var h RunHandle
	if err := json.Unmarshal([]byte(`{"pipeline_id": "p", "task_id": "t"}`), &h); err != nil {
		t.Fatal(err)
	}
	nobody := (*Client)(nil)
	for name, do := range map[string]func() error{
		"status":                  func() error { _, err := h.Status(t.Context()); return err },
		"result":                  func() error { _, err := h.Result(t.Context(), ResultOptions{}); return err },
		"terminate":               func() error { return h.Terminate(t.Context()) },
		"status, zero client":     func() error { _, err := new(Client).Handle("p", "t", "").Status(t.Context()); return err },
		"status, no client":       func() error { _, err := nobody.Handle("p", "t", "").Status(t.Context()); return err },
		"list":                    func() error { _, err := new(Client).List(t.Context(), ListOptions{}); return err },
		"a run":                   func() error { _, err := new(Pipeline).Run(t.Context(), nil, RunOptions{}); return err },
		"a start":                 func() error { _, err := new(Pipeline).Start(t.Context(), nil, RunOptions{}); return err },
		"a start of a client's":   func() error { _, err := new(Client).Pipeline("p").Start(t.Context(), nil, RunOptions{}); return err },
		"a start of none":         func() error { _, err := (*Pipeline)(nil).Start(t.Context(), nil, RunOptions{}); return err },
		"a termination":           func() error { return new(Pipeline).Terminate(t.Context(), "t") },
		"a termination of none":   func() error { return (*Pipeline)(nil).Terminate(t.Context(), "t") },
		"a stream":                func() error { return last(new(Pipeline).Stream(t.Context(), nil, RunOptions{})) },
		"a stream of none":        func() error { return last((*Pipeline)(nil).Stream(t.Context(), nil, RunOptions{})) },
		"frames":                  func() error { return last(new(Pipeline).RunStream(t.Context(), nil, RunOptions{})) },
		"frames of none":          func() error { return last((*Pipeline)(nil).RunStream(t.Context(), nil, RunOptions{})) },
		"a stream without client": func() error { _, err := new(Client).open(t.Context(), start()); return err },
	} {
		if err := do(); !errors.Is(err, errNoClient) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	want(t, "key", new(Client).Key()+nobody.Key(), "")
}

// last is the error of the last that is given.
func last[T any](all iter.Seq2[T, error]) (err error) {
	for _, err = range all {
	}
	return err
}

// A run that is waited for takes as long as the caller gives it.
func TestPatientCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, Options{}, func(c net.Conn) {
			time.Sleep(3 * time.Hour)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
			time.Sleep(time.Hour)
			io.WriteString(c, "{}")
		})
		what := start()
		what.patient = true
		began := time.Now()
		if _, err := c.do(t.Context(), what); err != nil {
			t.Error(err)
		}
		want(t, "time", time.Since(began), 4*time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := c.do(ctx, what)
		want(t, "flags", flags(unanswered(t, err)), "t")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
		time.Sleep(24 * time.Hour)
	})
}

// A client that is given with a timeout would else cut streams.
func TestTimeoutOfTheHTTPClient(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Key: testKey, HTTP: &http.Client{Timeout: 7 * time.Second}})
	want(t, "of calls", c.timeout, 7*time.Second)
	want(t, "of all", c.http.Timeout, time.Duration(0))
	c = newClient(t, Options{Key: testKey, HTTP: &http.Client{Timeout: 7 * time.Second}, Timeout: time.Second})
	want(t, "of calls", c.timeout, time.Second)
}

func TestCallIsCancelled(t *testing.T) {
	t.Parallel()
	for _, begun := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		p := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if begun {
				io.WriteString(w, "{")
				w.(http.Flusher).Flush()
			}
			time.AfterFunc(20*time.Millisecond, cancel)
			<-r.Context().Done()
			close(left)
		})
		_, err := p.client(t, Options{}).do(ctx, start())
		if e := unanswered(t, err); e.Unsent || e.Timeout || !errors.Is(err, context.Canceled) {
			t.Errorf("error %+v", e)
		}
		<-left // the other side is told
		_, err = p.client(t, Options{}).do(ctx, start())
		if e := unanswered(t, err); !e.Unsent || !errors.Is(err, context.Canceled) {
			t.Errorf("of one that was not sent: %+v", e)
		}
		want(t, "requests", len(p.requests()), 1)
	}
}

type limiter func(context.Context) error

func (l limiter) Wait(ctx context.Context) error { return l(ctx) }

// Waiting for the limiter is no part of a call.
func TestLimiterComesBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		o := Options{Limiter: limiter(func(ctx context.Context) error {
			calls++
			time.Sleep(time.Hour)
			return ctx.Err()
		})}
		c := piped(t, o, silent("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
		if _, err := c.do(t.Context(), look()); err != nil {
			t.Error(err)
		}
		body, err := c.open(t.Context(), look())
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		want(t, "waits", calls, 2)

		c.limiter = limiter(func(context.Context) error { return errors.New("would exceed context deadline") })
		_, err = c.do(t.Context(), start())
		want(t, "flags", flags(unanswered(t, err)), "ut")
		ctx, cancel := context.WithCancel(t.Context())
		c.limiter = limiter(func(ctx context.Context) error { cancel(); return ctx.Err() })
		_, err = c.do(ctx, start())
		want(t, "flags", flags(unanswered(t, err)), "u")
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		time.Sleep(24 * time.Hour)
	})
}

func TestStreams(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
	for name, test := range map[string]struct {
		answer func(net.Conn)
		after  time.Duration
		text   string
		flags  string
		want   string
	}{
		"whole": {func(c net.Conn) {
			io.WriteString(c, head+"data: 1\n\n")
			time.Sleep(9 * time.Minute) // of silence
			io.WriteString(c, "data: 2\n\n")
		}, 9 * time.Minute, "data: 1\n\ndata: 2\n\n", "", ""},
		"cut": {func(c net.Conn) {
			io.WriteString(c, strings.Replace(head, "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", 1)+"9\r\ndata: 1\n\n\r\n")
		}, 0, "data: 1\n\n", "b", "the answer broke off"},
		"no head":          {silent("HTTP/1.1 "), 10 * time.Minute, "", "t", "no answer within 10m0s"},
		"no connection":    {silent(""), 10 * time.Second, "", "ut", "net/http: TLS handshake timeout"},
		"nothing":          {silent(head), 10 * time.Minute, "", "bt", "nothing came for 10m0s: i/o timeout"},
		"falls silent":     {silent(head + "data: 1\n\n"), 10 * time.Minute, "data: 1\n\n", "bt", "nothing came for 10m0s: i/o timeout"},
		"HTML":             {silent("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"), 0, "", "bf", "what answers is not the platform, by its answer: a page; is VECTORSHIFT_BASE_URL right?"},
		"another error":    {silent("HTTP/1.1 429 No\r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\n{}"), 0, "", "", "POST h/pipeline/p/run answered 429 Too Many Requests: {}"},
		"JSON all at once": {silent("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"), 0, "{}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				o := Options{Log: slog.New(slog.NewJSONHandler(&log, nil))}
				if name == "no connection" {
					o.BaseURL = "https://h"
				}
				c := piped(t, o, test.answer)
				began := time.Now()
				body, err := c.open(t.Context(), start())
				var text []byte
				if err == nil {
					text, err = io.ReadAll(body)
					_, again := io.ReadAll(body)
					want(t, "read again", fmt.Sprint(again), fmt.Sprint(err))
					body.Close()
				}
				want(t, "time", time.Since(began), test.after)
				want(t, "text", string(text), test.text)
				if e, ok := errors.AsType[*runner.ConnectionError](err); ok {
					want(t, "flags", flags(e), test.flags)
					err = e.Err
				}
				if err == nil {
					err = errors.New("")
				}
				want(t, "error", err.Error(), test.want)
				logged := 0
				if body == nil { // else by who reads
					logged = 1
				}
				want(t, "log", len(records(t, &log)), logged)
				time.Sleep(24 * time.Hour)
			})
		})
	}
}

// A stream that is told something every minute may go on for a day.
func TestLongStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, Options{}, trickle("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", ": ping\n\n", time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour+time.Second)
		defer cancel()
		body, err := c.open(ctx, start())
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		want(t, "length", len(text), len(": ping\n\n")*(24*60+1))
		want(t, "flags", flags(unanswered(t, err)), "bt")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		body.Close()
		time.Sleep(time.Hour)
	})
}

func TestClosedStreamEndsTheCall(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(left)
	})
	body, err := p.client(t, Options{}).open(t.Context(), start())
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	<-left
	if _, err := body.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}
