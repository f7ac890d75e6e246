package engine

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

func TestAPIHost(t *testing.T) {
	t.Parallel()
	named := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	if got, err := callAPI(t, "http://"+named, `url: "{{ url.text }}", headers: [{key: host, value: example.com}]`, "{}"); err != nil || got != "example.com" {
		t.Errorf("host %s, %v; want that of the header", got, err)
	}
}

// Files go as parts of a form, behind the other fields.
func TestAPIFiles(t *testing.T) {
	t.Parallel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		reader, err := r.MultipartReader()
		if err != nil {
			t.Error(err)
			return
		}
		for {
			part, err := reader.NextPart()
			if err != nil {
				return
			}
			body, _ := io.ReadAll(part)
			fmt.Fprintf(w, "%q %q %s %q\n", part.FormName(), part.FileName(), part.Header.Get("Content-Type"), body)
		}
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "c.csv"), []byte("1,2"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := New(Options{AllowPrivateNetwork: true, Dir: dir})
	defer e.http.CloseIdleConnections()
	id := save(t, e, apiNodes(`url: "{{ url.text }}", method: POST, headers: [{key: Content-Type, value: multipart/form-data}],
		body_params: [{key: n, value: "{{ v.b }}"}, {key: "ä\"", value: "x"}],
		files: [{key: doc, value: "{{ v.a }}"}, {key: doc, value: {type: file, raw_bytes: e30=, metadata: {name: "b \"q\".json"}}}, {key: mine, value: c.csv}, {key: mine, value: {file: c.csv}}]`))
	status, err := e.Wait(t.Context(), start(t, e, id, runner.Inputs{"url": "http://" + host, "a": `{"a": {"type": "file", "raw_bytes": "aGk=", "metadata": {"name": "ä.txt"}}, "b": [1]}`}))
	want := `"n" ""  "[1]"` + "\n" + `"ä\"" ""  "x"` + "\n" + `"doc" "ä.txt" text/plain "hi"` + "\n" + `"doc" "b \"q\".json" application/json "{}"` + "\n" + strings.Repeat(`"mine" "c.csv" text/csv "1,2"`+"\n", 2)
	if got := status.Outputs["out"]; err != nil || got != want {
		t.Errorf("%v, %v, %v\nwant %s", got, status.Err, err, want)
	}
}

func TestAPIInputErrors(t *testing.T) {
	t.Parallel()
	host := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	const ok = `url: "{{ url.text }}", `
	for _, c := range []struct{ url, node, given, want string }{
		{"", ok, `{}`, `input "url": must begin with http:// or https:// and name a host`},
		{"http:///p", ok, `{}`, `input "url": must begin with http:// or https:// and name a host`},
		{"http://h\x7f/?key=secret", ok, `{}`, `input "url": net/url: invalid control character in URL`},
		{"http://h:port/?key=secret", ok, `{}`, `input "url": invalid port ":port" after host`},
		{"http://" + host, ok + `method: "{{ v.a }}"`, `{"a": "get"}`, `input "method": "get" is not one of DELETE, GET, PATCH, POST, PUT`},
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
		"/full": func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat("x", fetchMaxAnswer)) },
		"/over": func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat("x", fetchMaxAnswer+1)) },
		"/torn": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); io.WriteString(w, "x") },
	}
	host := serve(t, func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w) })
	for _, c := range []struct{ path, node, want, err string }{
		{"/204", `fail_non_2xx_response: true`, "", ""},
		{"/404", ``, "no ä\n", ""},
		{"/404", `fail_non_2xx_response: true`, "", `answered 404 Not Found: "no ä\n"`},
		{"/full", ``, strings.Repeat("x", fetchMaxAnswer), ""},
		{"/over", ``, "", `the answer has more than 10 MB`},
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
		if r.ContentLength != 0 {
			t.Error("the other host was sent the body")
		}
		echo(w, r)
	})
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var left int
		switch _, err := fmt.Sscanf(r.URL.Path, "/%d", &left); {
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://"+other+"/there", http.StatusTemporaryRedirect)
		case r.URL.Path == "/seen":
			http.Redirect(w, r, "http://"+other+"/result", http.StatusSeeOther)
		case err == nil && left > 0:
			http.Redirect(w, r, fmt.Sprintf("/%d", left-1), http.StatusTemporaryRedirect)
		default:
			echo(w, r)
		}
	})
	for path, want := range map[string]string{
		"/10":            "POST /0\ntype application/json\nkey [secret]\nbody {\"k\":\"v\"}",
		"/seen?q=secret": "GET /result\ntype \nkey []\nbody ",
	} {
		if got, err := callAPI(t, "http://"+host+path, node, "{}"); err != nil || got != want {
			t.Errorf("%s: %q, %v\nwant %q", path, got, err, want)
		}
	}
	for path, want := range map[string]string{
		"/11?key=secret":   "more than 10 redirects",
		"/away?key=secret": "redirected to http://" + other + ", where the body is not sent on: give that address if it is the right one",
	} {
		_, err := callAPI(t, "http://"+host+path, node, "{}")
		checkError(t, err, "node n (api): POST "+host+": "+want)
	}
	got, err := callAPI(t, "http://"+host+"/away", `url: "{{ url.text }}", method: GET, headers: [{key: X-Key, value: secret}]`, "{}")
	if want := "GET /there\ntype \nkey []\nbody "; err != nil || got != want {
		t.Errorf("without a body: %q, %v\nwant %q", got, err, want)
	}
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
		if err != nil || time.Since(began) != fetchTimeout {
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
	e := New(Options{AllowPrivateNetwork: true})
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
