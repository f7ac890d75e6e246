package vectorshift

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"pgregory.net/rapid"

	"nightshift/runner"
)

// kind is what errors.AsType finds in an error.
func kind(err error) string {
	var names []string
	note := func(is bool, name string) {
		if is {
			names = append(names, name)
		}
	}
	is := func(_ any, ok bool) bool { return ok }
	note(is(errors.AsType[*runner.BadRequestError](err)), "bad request")
	note(is(errors.AsType[*runner.AuthenticationError](err)), "authentication")
	note(is(errors.AsType[*runner.PermissionDeniedError](err)), "permission denied")
	note(is(errors.AsType[*runner.NotFoundError](err)), "not found")
	note(is(errors.AsType[*runner.UnprocessableError](err)), "unprocessable")
	note(is(errors.AsType[*runner.RateLimitError](err)), "rate limit")
	note(is(errors.AsType[*runner.InternalServerError](err)), "internal server")
	note(is(errors.AsType[*runner.TimeoutError](err)), "timeout")
	return strings.Join(names, ", ")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 400)
	const page = "<!DOCTYPE html>\n<html><head><title>502 Bad\n Gateway &amp; so on</title></head><body>nginx</body>"
	for _, test := range []struct {
		status int
		header map[string]string
		body   string
		kind   string
		want   runner.APIError // StatusCode, Method, Endpoint and Raw left out
	}{
		{status: 400, body: `{"status": "failed", "error": "no such node"}`, kind: "bad request", want: runner.APIError{Message: "no such node"}},
		{status: 401, body: `{"error": "Invalid API key"}`, kind: "authentication", want: runner.APIError{Message: "Invalid API key"}},
		{status: 403, body: `{"message": "not allowed"}`, kind: "permission denied", want: runner.APIError{Message: "not allowed"}},
		{status: 404, body: `{"detail": "Not Found"}`, kind: "not found", want: runner.APIError{Message: "Not Found"}},
		{status: 422, body: `{"detail": [{"loc": ["body", "inputs"], "msg": "field required"}]}`, kind: "unprocessable",
			want: runner.APIError{Message: `[{"loc":["body","inputs"],"msg":"field required"}]`}},
		{status: 422, body: `{"errors": ["a is wrong", "b too"]}`, kind: "unprocessable", want: runner.APIError{Message: "a is wrong; b too"}},
		{status: 400, body: `{"status": "failed", "error": ["a", "b"]}`, kind: "bad request", want: runner.APIError{Message: "a; b"}},
		{status: 400, body: `{"error": [{"msg": "a"}, 2]}`, kind: "bad request", want: runner.APIError{Message: `[{"msg":"a"},2]`}},
		{status: 400, body: `{"error": [], "message": "b"}`, kind: "bad request", want: runner.APIError{Message: "b"}},
		{status: 422, body: `{"errors": {"a": "wrong"}}`, kind: "unprocessable", want: runner.APIError{Message: `{"a":"wrong"}`}},
		{status: 400, body: `{"errors": "wrong"}`, kind: "bad request", want: runner.APIError{Message: "wrong"}},
		{status: 400, body: `{"error": {"message": "inner", "code": 7}, "message": "outer"}`, kind: "bad request", want: runner.APIError{Message: "inner"}},
		{status: 400, body: `{"errors": "4", "detail": "3", "message": "2", "error": "1"}`, kind: "bad request", want: runner.APIError{Message: "1"}},
		{status: 400, body: `{"errors": "4", "detail": "3", "message": "2", "error": null}`, kind: "bad request", want: runner.APIError{Message: "2"}},
		{status: 400, body: `{"errors": "4", "detail": "3"}`, kind: "bad request", want: runner.APIError{Message: "3"}},
		{status: 400, body: `{"status": "failed"}`, kind: "bad request", want: runner.APIError{Message: `{"status": "failed"}`}},
		{status: 409, body: `conflict`, want: runner.APIError{Message: "conflict"}},
		{status: 429, body: `{"error": "slow down"}`, kind: "rate limit", want: runner.APIError{Message: "slow down"}},
		{status: 429, header: map[string]string{"Retry-After": "17"}, kind: "rate limit", want: runner.APIError{Message: "no message", RetryAfter: 17 * time.Second}},
		{status: 429, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "23"}, body: "{}", kind: "rate limit",
			want: runner.APIError{Message: "{}", RetryAfter: 23 * time.Second, Limits: runner.LimitsRate}},
		{status: 429, body: `{"error": "250 requests per minute"}`, kind: "rate limit", want: runner.APIError{Message: "250 requests per minute", Limits: runner.LimitsRate}},
		{status: 429, body: `{"error": "concurrency limit of the organisation"}`, kind: "rate limit", want: runner.APIError{Message: "concurrency limit of the organisation", Limits: runner.LimitsConcurrency}},
		{status: 500, body: `{"status": "failed", "error": "internal"}`, kind: "internal server", want: runner.APIError{Message: "internal"}},
		{status: 502, body: page, kind: "internal server", want: runner.APIError{Message: "502 Bad Gateway & so on"}},
		{status: 502, body: "<html><style>p{}</style><body><p>down for <b>repair</b></p>", kind: "internal server", want: runner.APIError{Message: "down for repair"}},
		{status: 502, body: "<html></html>", kind: "internal server", want: runner.APIError{Message: "<html></html>"}},
		{status: 503, header: map[string]string{"Retry-After": "5"}, body: "upstream\n\tis down", kind: "internal server", want: runner.APIError{Message: "upstream is down", RetryAfter: 5 * time.Second}},
		{status: 504, kind: "internal server", want: runner.APIError{Message: "no message"}},
		{status: 500, body: `{"error": "` + long + `"}`, kind: "internal server", want: runner.APIError{Message: long[:300] + "…"}},
		{status: 500, body: "\x1b[31mred\u202e", kind: "internal server", want: runner.APIError{Message: "[31mred"}},
	} {
		t.Run(fmt.Sprint(test.status, test.body), func(t *testing.T) {
			t.Parallel()
			p := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, value := range test.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			c := p.client(t, Options{})
			_, err := c.do(t.Context(), start())
			wanted := test.want
			wanted.StatusCode, wanted.Method, wanted.Endpoint, wanted.Raw = test.status, "POST", p.host()+"/v1/pipeline/p/run", []byte(test.body)
			got, ok := errors.AsType[*runner.APIError](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			want(t, "of a call", *got, wanted)
			want(t, "kind", kind(err), test.kind)
			_, err = c.open(t.Context(), start())
			if got, ok = errors.AsType[*runner.APIError](err); !ok {
				t.Fatalf("error %v", err)
			}
			want(t, "of a stream", *got, wanted)
			want(t, "calls", len(p.requests()), 2)
		})
	}
}

// The status is told, though the body does not end.
func TestRefusalThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 503 No\r\nContent-Length: 1000000000\r\nRetry-After: 3\r\n\r\n"
	for name, test := range map[string]struct {
		answer func(net.Conn)
		after  time.Duration
	}{
		"silent": {silent(head + "busy"), 2 * time.Second},
		"slow":   {trickle(head+"busy", " ", 10*time.Millisecond), 2 * time.Second},
		"large":  {trickle(head+"busy", strings.Repeat(" ", 1000), time.Millisecond), 65 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, Options{}, test.answer)
			began := time.Now()
			_, err := c.do(t.Context(), start())
			want(t, name, time.Since(began), test.after)
			e, ok := errors.AsType[*runner.APIError](err)
			if !ok || e.StatusCode != 503 || e.Message != "busy" || e.RetryAfter != 3*time.Second || len(e.Raw) > 64<<10 {
				t.Errorf("%s: error %v", name, err)
			}
			time.Sleep(time.Hour)
		})
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var to string
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
	here := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/there" {
			io.WriteString(w, `{"there": true}`)
			return
		}
		status := http.StatusFound
		if r.URL.Query().Has("keep") {
			status = http.StatusTemporaryRedirect
		}
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	})
	c := here.client(t, Options{HTTP: &http.Client{Transport: newTransport()}})
	for _, test := range []struct {
		method, to string
		followed   int // requests here
	}{
		{"GET", "there", 1},
		{"GET", "/v1/there", 1},
		{"GET", here.URL + "/v1/there", 1},
		{"GET", "/v1/again", 6}, // it goes round
		{"GET", other.URL + "/v1/there", 1},
		{"GET", strings.Replace(here.URL, "127.0.0.1", "localhost", 1) + "/v1/there", 1},
		{"GET", strings.Replace(here.URL, "http:", "https:", 1) + "/v1/there", 1},
		{"GET", "file:///etc/passwd", 1},
		{"GET", "", 1},
		{"POST", "/v1/there", 1},
		{"POST", other.URL + "/v1/there", 1},
		{"DELETE", other.URL + "/v1/there", 1},
	} {
		for _, query := range []string{"", "keep"} {
			to = test.to
			what := call{method: test.method, path: "/here", query: url.Values{}}
			if query != "" {
				what.query.Set(query, "")
			}
			if test.method != "GET" {
				what.body = map[string]any{"private": true}
			}
			before := len(here.requests())
			answer, err := c.do(t.Context(), what)
			followed := len(here.requests()) - before
			name := fmt.Sprint(test.method, " ", test.to, " ", query)
			if answer["there"] == true {
				want(t, name, followed, 2)
				if test.method != "GET" || err != nil {
					t.Errorf("%s was followed, error %v", name, err)
				}
				continue
			}
			want(t, name, followed, test.followed)
			e, ok := errors.AsType[*runner.APIError](err)
			if !ok || e.StatusCode < 300 || e.StatusCode > 399 || e.Transient() || e.Denied() {
				t.Errorf("%s: error %v", name, err)
			} else if to != "" {
				there, _ := url.Parse(here.URL)
				there, _ = there.Parse(to)
				want(t, name, e.Message, "it redirects to "+there.Scheme+"://"+there.Host+", where nothing is sent: set VECTORSHIFT_BASE_URL")
			}
			if test.method == "GET" && test.followed == 1 && (strings.HasPrefix(to, here.URL) || to == "there" || to == "/v1/there") {
				t.Errorf("%s was not followed: %v", name, err)
			}
		}
	}
	want(t, "requests elsewhere", len(other.requests()), 0)
	for _, r := range here.requests() {
		want(t, "key here", r.Header.Get("Authorization"), "Bearer "+testKey)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"https://h/a", "https://H:443/b", true},
		{"http://h:80", "http://h/b", true},
		{"http://h", "https://h", false},
		{"https://h", "https://h:8443", false},
		{"https://h", "https://a.h", false},
		{"https://h", "https://h.", false},
	} {
		a, _ := url.Parse(test.a)
		b, _ := url.Parse(test.b)
		want(t, test.a+" "+test.b, place(a) == place(b), test.same)
	}
}

// The key turns up nowhere, however the platform repeats it.
func TestKeyIsHidden(t *testing.T) {
	t.Parallel()
	const key = `sk_0123/4567"89<ab>+cd`
	marshalled, _ := json.Marshal(key)
	slashed := strings.ReplaceAll(strings.Trim(string(marshalled), `"`), "/", `\/`)
	spelt := ""
	for _, r := range key {
		spelt += fmt.Sprintf(`\u%04x`, r)
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			connection, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(connection, text)
			connection.Close()
		}
	}
	body := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"in a message":         body(401, `{"error": "bad key `+strings.Trim(string(marshalled), `"`)+`"}`),
		"with slashes":         body(401, `{"error": "bad key `+slashed+`", "more": ["`+slashed+`"]}`),
		"all escaped":          body(401, `{"error": "`+spelt+`", "`+spelt+`": 1}`),
		"in a header":          body(401, `{"error": {"headers": {"Authorization": "Bearer `+slashed+`"}}}`),
		"in text":              body(500, "Bearer "+key),
		"in an address":        body(500, "https://h?key="+url.QueryEscape(key)),
		"in base64":            body(500, base64.StdEncoding.EncodeToString([]byte("user:"+key))),
		"in a page":            body(502, "<html><title>sk_0123/4567&quot;89&lt;ab&gt;+cd</title>"),
		"at the cut":           body(500, strings.Repeat(" ", 64<<10-8)+key),
		"where it is cut off":  raw("HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\n" + key[:15]),
		"at the message's cut": body(500, strings.Repeat("x", 290)+key),
		"in a location": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://h/"+key)
			w.WriteHeader(307)
		},
		"credentials of a redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://user:pass23%2F4567@h/x?token=23/4567")
			w.WriteHeader(307)
		},
		"credentials of a bad one": raw("HTTP/1.1 302 No\r\nLocation: http://user:pass234567@[h\r\nContent-Length: 0\r\n\r\n"),
		"in UTF-16":                body(500, utf16le(`{"error": "`+key+`"}`)),
		"in UTF-16, cut off":       raw("HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\n" + utf16le(key[:15])),
		"with a tag in it":         body(502, "<html><body>bad <b>"+key[:9]+"</b><i class=x>"+html.EscapeString(key[9:])+"</i>"),
		"with spaces in it":        body(401, `{"error": "`+strings.Join(strings.Split(key[:8], ""), " ")+`\t45\u200b67\"89<ab>+cd"}`),
		"with a newline in it":     body(500, key[:9]+"\r\n  "+key[9:]),
		"with unseen ones in it":   body(500, key[:9]+"\u200b\u00ad\ufeff"+key[9:]),

		"in a bad location":  raw("HTTP/1.1 302 No\r\nLocation: http://[" + key + "\r\nContent-Length: 0\r\n\r\n"),
		"as the answer":      raw(key + "\r\n\r\n"),
		"in a header line":   raw("HTTP/1.1 200 OK\r\n" + key + "\r\n\r\n"),
		"in a failure":       body(200, `{"status": "failed", "error": "`+slashed+`"}`),
		"in a page with 200": body(200, key),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, answer)
			var log bytes.Buffer
			c := newClient(t, Options{BaseURL: p.URL, Key: key, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			what := start()
			what.mutates = true
			for _, method := range []string{"GET", "POST"} {
				what.method = method
				_, err := c.do(t.Context(), what)
				if err == nil {
					t.Fatal("no error")
				}
				shown := fmt.Sprintf("%v %+v %s", err, err, &log)
				if api, ok := errors.AsType[*runner.APIError](err); ok {
					var decoded any
					_ = json.Unmarshal(api.Raw, &decoded)
					shown += fmt.Sprintf("%s %v %+v", api.Raw, decoded, *api)
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					shown += e.Error() + fmt.Sprintf("%#v", e)
				}
				spaceless := strings.Join(strings.Fields(strings.NewReplacer("\x00", "", "\u200b", "", "\u00ad", "", "\ufeff", "").Replace(shown)), "")
				if strings.Contains(spaceless, key[3:12]) || strings.Contains(spaceless, `67"89`) {
					t.Errorf("%s: a part of it is in %s", method, shown)
				}
				for _, part := range []string{key, slashed, spelt, key[:12], key[8:], "23/4567", "67&#34;89", "pass", base64.StdEncoding.EncodeToString([]byte("user:" + key))[8:20]} {
					if strings.Contains(shown, part) {
						t.Errorf("%s: %s is in %s", method, part, shown)
					}
				}
			}
		})
	}
}

// utf16le is a text as some servers of Windows write it.
func utf16le(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return string(out)
}

// An id or a word with the key in it is none: it would be logged, and kept.
func TestKeyAsAnID(t *testing.T) {
	t.Parallel()
	c, _, log := scriptedLog(t, said(`{"task_id": "`+testKey+`"}`))
	_, err := c.Pipeline("p").Start(t.Context(), nil, RunOptions{TraceID: "ours"})
	want(t, "start", flags(unanswered(t, err)), "bf")

	c, _, log2 := scriptedLog(t, said(`{"status": "is `+testKey+`", "trace_id": "`+testKey+`"}`))
	r, err := c.Handle("p", "t", "ours").Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "status", []string{r.TaskID, r.TraceID, r.Word}, []string{"t", "ours", "is [hidden]"})

	c, _, log3 := scriptedLog(t, events(`data: {"type": "stream", "run_id": "`+testKey+`", "trace_id": "`+testKey+`"}`+"\n\n"))
	for chunk := range c.Pipeline("p").Stream(t.Context(), nil, RunOptions{}) {
		want(t, "run", chunk.RunID, "")
	}
	if all := log.String() + log2.String() + log3.String(); strings.Contains(all, testKey) {
		t.Error(all)
	}
}

// A short key is a word that may stand in any text.
func TestPlaceholderIsNotHidden(t *testing.T) {
	t.Parallel()
	p := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); io.WriteString(w, "none of that") })
	_, err := newClient(t, Options{BaseURL: p.URL, Key: "none"}).do(t.Context(), start())
	want(t, "error", err.Error(), "POST "+p.host()+"/pipeline/p/run answered 500 Internal Server Error: none of that")
}

// What is to change something and was not done is an error, whatever the status.
func TestMutationThatFailed(t *testing.T) {
	t.Parallel()
	for body, wanted := range map[string]string{
		`{"status": "success", "id": "x"}`:      "",
		`{"status": "success", "error": "old"}`: "",
		`{"id": "x", "error": null}`:            "",
		`{"id": "x", "error": ""}`:              "",
		`{"id": "x", "error": false}`:           "",
		`{}`:                                    "",
		``:                                      "",
		`{"status": "failed", "error": "no such folder"}`: "no such folder",
		`{"status": "FAILED", "detail": "no"}`:            "no",
		`{"status": "error"}`:                             `{"status":"error"}`,
		`{"error": "no such folder"}`:                     "no such folder",
		`{"error": {"message": "no"}}`:                    "no",
	} {
		p := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		what := call{method: "POST", path: "/update/pipeline/x", mutates: true}
		_, err := p.client(t, Options{}).do(t.Context(), what)
		if wanted == "" {
			if err != nil {
				t.Errorf("%s: %v", body, err)
			}
			continue
		}
		e, ok := errors.AsType[*runner.APIError](err)
		if !ok || e.StatusCode != 200 || e.Transient() || e.Message != wanted || len(e.Raw) == 0 {
			t.Errorf("%s: error %v", body, err)
		}
		what.mutates = false
		if _, err := p.client(t, Options{}).do(t.Context(), what); err != nil {
			t.Errorf("%s, of a look: %v", body, err)
		}
	}
}

func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	status := 200
	p := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, `{"error": "no"}`)
	})
	var log bytes.Buffer
	c := p.client(t, Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	what := call{method: "GET", path: "/pipeline/p/run/status/t", pipelineID: "p", taskID: "t", traceID: "r"}
	said := func(context.Context) []map[string]any { defer log.Reset(); return records(t, &log) }

	_, _ = c.do(t.Context(), what)
	want(t, "of a success", said(t.Context()), []map[string]any(nil))
	status = 503
	_, _ = c.do(t.Context(), what)
	want(t, "of a failure", said(t.Context()), []map[string]any{{
		"level": "WARN", "msg": "call failed", "method": "GET", "path": "/pipeline/p/run/status/t", "pipeline_id": "p", "task_id": "t", "trace_id": "r",
		"status": 503.0, "error": "GET " + p.host() + "/v1/pipeline/p/run/status/t answered 503 Service Unavailable: no",
	}})
	status = 404
	_, _ = c.do(t.Context(), what)
	want(t, "of a run that is not there", len(said(t.Context())), 1)
	_, _ = c.do(t.Context(), call{method: "GET", path: "/pipeline"})
	want(t, "of a pipeline that is not there", len(said(t.Context())), 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = c.do(ctx, what)
	want(t, "of one that is cancelled", len(said(t.Context())), 0)
}

// TestTimeoutKind: a timeout is a connection error, and the other way round.
func TestTimeoutKind(t *testing.T) {
	t.Parallel()
	p := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := p.client(t, Options{Timeout: 20 * time.Millisecond}).do(t.Context(), look())
	want(t, "kind", kind(err), "timeout")
	want(t, "flags", flags(unanswered(t, err)), "t")
}

// The key is found however JSON spells it, also where that is cut in the middle.
func TestAnySpellingIsHidden(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[!-~]{8,40}`).Draw(t, "key")
		var spelt strings.Builder
		for _, r := range key {
			forms := []string{fmt.Sprintf(`\u%04x`, r), fmt.Sprintf(`\u%04X`, r)}
			forms = append(forms, fmt.Sprintf("&#%d;", r), fmt.Sprintf("&#x%X;", r))
			switch r {
			case '"', '\\':
				forms = append(forms, `\`+string(r))
			case '/':
				forms = append(forms, `\/`, "/")
			default:
				forms = append(forms, string(r))
			}
			if spelt.Len() > 0 {
				spelt.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "\x00", "\r\n ", "\u200b", `\n`, `\u00ad`, `<b class="x">`, "</b> <i>"}).Draw(t, "between"))
			}
			spelt.WriteString(rapid.SampledFrom(forms).Draw(t, "form"))
		}
		text := `{"error": "key ` + spelt.String() + rapid.SampledFrom([]string{`"}`, ` is bad"}`, "", "\xff"}).Draw(t, "rest")
		shown := newHider(key).Text(text)
		if strings.Contains(shown, spelt.String()) || strings.Contains(shown, key) || !strings.Contains(shown, `"key [hidden]`) {
			t.Fatalf("%s is shown as %s", text, shown)
		}
	})
}
