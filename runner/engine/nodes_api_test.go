package engine

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// apiNodes is a pipeline of one request to the address in the input url; the
// inputs a and b are there for its inputs to refer to.
func apiNodes(inputs string) string {
	return `
		url: {type: input}
		a: {type: input, inputs: {use_default_value: true, default_value: ""}}
		v: {type: read_json_values, inputs: {json_string: "{{ a.text }}", keys: [a, b], processed_outputs: {a: any, b: any}}}
		n: {type: api, inputs: {` + inputs + `}}
		out: {type: output, inputs: {value: "{{ n.output }}"}}
	`
}

func callAPI(t *testing.T, url, inputs, given string) (string, error) {
	t.Helper()
	outputs, err := runNodes(t, apiNodes(inputs), runner.Inputs{"url": url, "a": given})
	text, _ := outputs["out"].(string)
	return text, err
}

// serve runs a server on the loopback; host is its address and port.
func serve(t *testing.T, handler http.HandlerFunc) (host string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// echo answers with the parts of the request that the author decides on.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s\ntype %s\nkey %v\nbody %s", r.Method, r.RequestURI, r.Header.Get("Content-Type"), r.Header["X-Key"], body)
}

func TestAPIRequest(t *testing.T) {
	t.Parallel()
	host := serve(t, echo)
	const url = `url: "{{ url.text }}", `
	for _, c := range []struct{ name, node, path, given, want string }{
		{"defaults", `url: "{{ url.text }}"`, "/p", `{}`, "GET /p\ntype \nkey []\nbody "},
		{"white space around the address", `url: " {{ url.text }} \n"`, "/p", `{}`, "GET /p\ntype \nkey []\nbody "},
		{"method and headers", url + `method: DELETE, headers: [{key: x-key, value: "{{ v.a }}"}, {key: X-Key, value: b}]`, "/p", `{"a": 12345678901234567890}`, "DELETE /p\ntype \nkey [12345678901234567890 b]\nbody "},
		{"method from elsewhere", url + `method: "{{ v.a }}"`, "/p", `{"a": "PUT"}`, "PUT /p\ntype \nkey []\nbody "},
		{"query in order", url + `query_params: [{key: z, value: "ä &="}, {key: a, value: "{{ v.a }}"}, {key: z}]`, "/p", `{"a": [1]}`, "GET /p?z=%C3%A4+%26%3D&a=%5B1%5D&z=\ntype \nkey []\nbody "},
		{"query behind one that is there", url + `query_params: [{key: b, value: x}]`, "/p?z=%2F&flag&b=100%&a=1", `{}`, "GET /p?z=%2F&flag&b=100%&a=1&b=x\ntype \nkey []\nbody "},
		{"what a request line cannot hold is escaped", `url: "{{ url.text }}"`, "/p?q=hello wörld \"x\"&b=1%20", `{}`, "GET /p?q=hello%20w%C3%B6rld%20%22x%22&b=1%20\ntype \nkey []\nbody "},
		{"a query is sent as it is", `url: "{{ url.text }}"`, "/p?z=1&a;b=%zz", `{}`, "GET /p?z=1&a;b=%zz\ntype \nkey []\nbody "},
		{"JSON body", url + `method: POST, body_params: [{key: z, value: "{{ v.a }}"}, {key: a, value: "ä {{ v.a }}"}, {key: n, value: "{{ v.b }}"}]`, "/p", `{"a": 12345678901234567890, "b": {"k": null}}`, "POST /p\ntype application/json\nkey []\nbody {\"z\":12345678901234567890,\"a\":\"ä 12345678901234567890\",\"n\":{\"k\":null}}"},
		{"raw JSON", url + `method: PATCH, is_raw_json: true, raw_json: "{\"k\": {{ v.a }} }", body_params: [{key: k, value: unused}]`, "/p", `{"a": [1, "x"]}`, "PATCH /p\ntype application/json\nkey []\nbody {\"k\": [1,\"x\"] }"},
		{"type of the author's", url + `method: POST, is_raw_json: true, raw_json: "<a/>", headers: [{key: content-type, value: text/xml}]`, "/p", `{}`, "POST /p\ntype text/xml\nkey []\nbody <a/>"},
		{"lists from elsewhere", url + `headers: "{{ v.a }}", query_params: "{{ v.b }}"`, "/p", `{"a": [{"key": "X-Key", "value": true}], "b": "[{\"key\": \"q\", \"value\": 1}]"}`, "GET /p?q=1\ntype \nkey [true]\nbody "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := callAPI(t, "http://"+host+c.path, c.node, c.given)
			if err != nil || got != c.want {
				t.Errorf("%q, %v\nwant %q", got, err, c.want)
			}
		})
	}
	named := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	if got, err := callAPI(t, "http://"+named, url+`headers: [{key: host, value: example.com}]`, "{}"); err != nil || got != "example.com" {
		t.Errorf("host %s, %v; want that of the header", got, err)
	}
}

func TestAPIInputErrors(t *testing.T) {
	t.Parallel()
	host := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	const ok = `url: "{{ url.text }}", `
	for _, c := range []struct{ url, node, given, want string }{
		{"ftp://h/?key=secret", ok, `{}`, `input "url": must begin with http:// or https:// and name a host`},
		{"", ok, `{}`, `input "url": must begin with http:// or https:// and name a host`},
		{"http:///p", ok, `{}`, `input "url": must begin with http:// or https:// and name a host`},
		{"http://h\x7f/?key=secret", ok, `{}`, `input "url": net/url: invalid control character in URL`},
		{"http://h:port/?key=secret", ok, `{}`, `input "url": invalid port ":port" after host`},
		{"http://" + host, ok + `method: "{{ v.a }}"`, `{"a": "get"}`, `input "method": "get" is not one of DELETE, GET, PATCH, POST, PUT`},
		{"http://" + host, ok + `headers: "{{ v.a }}"`, `{"a": ["x"]}`, `input "headers": element 0 is not {key: ..., value: ...}`},
		{"http://" + host, ok + `query_params: "{{ v.a }}"`, `{"a": [{"value": 1}]}`, `input "query_params": element 0 is not {key: ..., value: ...}`},
		{"http://" + host, ok + `body_params: "{{ v.a }}"`, `{"a": 1}`, `input "body_params": "1" is not a list`},
		{"http://" + host, ok + `is_raw_json: "{{ v.a }}"`, `{"a": 1}`, `input "is_raw_json": "1" is not true or false`},
		{"http://" + host, ok + `fail_non_2xx_response: "{{ v.a }}"`, `{"a": "yes"}`, `input "fail_non_2xx_response": "yes" is not true or false`},
		{"http://" + host, ok + `headers: [{key: X-Key, value: "{{ v.a }}"}]`, `{"a": "secret\n"}`, `GET ` + host + `: net/http: invalid header field value for "X-Key"`},
	} {
		_, err := callAPI(t, c.url, c.node, c.given)
		checkError(t, err, `node n (api): `+c.want)
	}
}

func TestAPIAnswer(t *testing.T) {
	t.Parallel()
	answers := map[string]func(w http.ResponseWriter){
		"/204":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
		"/404":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound); io.WriteString(w, "no ä\n") },
		"/full": func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat("x", apiMaxAnswer)) },
		"/over": func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat("x", apiMaxAnswer+1)) },
		"/bin":  func(w http.ResponseWriter) { w.Write([]byte("a\xff")) },
		"/torn": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); io.WriteString(w, "x") },
	}
	host := serve(t, func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w) })
	for _, c := range []struct{ path, node, want, err string }{
		{"/204", `fail_non_2xx_response: true`, "", ""},
		{"/404", ``, "no ä\n", ""},
		{"/404", `fail_non_2xx_response: true`, "", `answered 404 Not Found: "no ä\n"`},
		{"/full", ``, strings.Repeat("x", apiMaxAnswer), ""},
		{"/over", ``, "", `the answer has more than 10 MB`},
		{"/bin", ``, "", `the answer is not text in UTF-8`},
		{"/torn", ``, "", `the answer broke off: unexpected EOF`},
	} {
		got, err := callAPI(t, "http://"+host+c.path+"?key=secret", `url: "{{ url.text }}", `+c.node, "{}")
		if c.err != "" {
			checkError(t, err, "node n (api): GET "+host+": "+c.err)
		} else if err != nil || got != c.want {
			t.Errorf("%s: %.100s, %v", c.path, got, err)
		}
	}
}

func TestAPIRedirects(t *testing.T) {
	t.Parallel()
	const node = `url: "{{ url.text }}", method: POST, headers: [{key: X-Key, value: secret}], body_params: [{key: k, value: v}]`
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" {
			t.Errorf("the other host was told where the request came from: %s", r.Header.Get("Referer"))
		}
		echo(w, r)
	})
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var left int
		switch _, err := fmt.Sscanf(r.URL.Path, "/%d", &left); {
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://"+other+"/there", http.StatusTemporaryRedirect)
		case err == nil && left > 0:
			http.Redirect(w, r, fmt.Sprintf("/%d", left-1), http.StatusTemporaryRedirect)
		default:
			echo(w, r)
		}
	})
	for path, want := range map[string]string{
		"/10":            "POST /0\ntype application/json\nkey [secret]\nbody {\"k\":\"v\"}",
		"/away?q=secret": "POST /there\ntype application/json\nkey []\nbody {\"k\":\"v\"}",
	} {
		if got, err := callAPI(t, "http://"+host+path, node, "{}"); err != nil || got != want {
			t.Errorf("%s: %q, %v\nwant %q", path, got, err, want)
		}
	}
	_, err := callAPI(t, "http://"+host+"/11?key=secret", node, "{}")
	checkError(t, err, "node n (api): POST "+host+": more than 10 redirects")
}

func TestAPIWithoutAnswer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	listener.Close()
	_, err = callAPI(t, "http://user:secret@"+host+"/secret?key=secret", `url: "{{ url.text }}"`, "{}")
	checkError(t, err, "node n (api): GET "+host+": dial tcp "+host+": connect: connection refused")
}

// silent is a server that never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAPITimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		e.http.Transport = silent{}
		began := time.Now()
		h := start(t, e, save(t, e, apiNodes(`url: "{{ url.text }}"`)), runner.Inputs{"url": "http://h/?key=secret", "a": "{}"})
		status, err := e.Wait(t.Context(), h)
		if err != nil || time.Since(began) != apiTimeout {
			t.Errorf("ended after %v, %v", time.Since(began), err)
		}
		checkError(t, status.Err, "node n (api): GET h: no answer within 1m0s")
	})
}

func TestAPICancelled(t *testing.T) {
	t.Parallel()
	arrived, left := make(chan struct{}), make(chan struct{})
	host := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	e := New(Options{})
	h := start(t, e, save(t, e, apiNodes(`url: "{{ url.text }}"`)), runner.Inputs{"url": "http://" + host, "a": "{}"})
	<-arrived
	if err := e.Terminate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	<-left // the server sees it too
	if status, err := e.Status(t.Context(), h); err != nil || status.State != runner.Cancelled {
		t.Errorf("%v, %v; want cancelled", status, err)
	}
}
