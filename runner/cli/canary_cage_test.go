package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asCanary makes a process of ours come upon what is hard to come by: a bug, and
// a host that cannot be found.
const asCanary = "NIGHTSHIFT_TEST_AS_CANARY"

func init() {
	if os.Getenv(asCanary) == "" {
		return
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no network")
	}}
	http.DefaultTransport.(*http.Transport).Proxy = func(r *http.Request) (*url.URL, error) {
		if r.Header.Get("X-How") == "panic" {
			panic(fmt.Sprintf("no proxy for %s with %q", r.URL, r.Header))
		}
		return nil, nil
	}
}

// cage is what all processes of a test read and write, and print.
type cage struct {
	t      *testing.T
	root   string          // all that is written
	dir    string          // of the batch files
	given  map[string]bool // files of the user, which hold the secrets
	said   map[string]bool // what was found: once is enough
	env    []string
	server string // its address
	model  *modelServer
	tls    *httptest.Server
	held   chan struct{} // a token for each request that is kept waiting
	free   chan struct{} // closed: they may go on
}

func newCage(t *testing.T) *cage {
	c := &cage{t: t, root: t.TempDir(), given: map[string]bool{}, said: map[string]bool{}, held: make(chan struct{}, 64), free: make(chan struct{})}
	c.dir = filepath.Join(c.root, "work")
	for _, folder := range []string{"work", "tmp", "home"} {
		if err := os.Mkdir(filepath.Join(c.root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.model = serveModel(t, 0, byWord)
	server := httptest.NewServer(c)
	c.tls = httptest.NewUnstartedServer(c)
	c.tls.Config.ErrorLog = log.New(io.Discard, "", 0) // that nobody trusts it
	c.tls.StartTLS()
	c.server = server.URL
	t.Cleanup(server.Close)
	t.Cleanup(c.tls.Close)
	c.env = []string{
		asCanary + "=1", "TMPDIR=" + filepath.Join(c.root, "tmp"), "HOME=" + filepath.Join(c.root, "home"),
		"SERVER=" + server.URL, "OPENAI_BASE_URL=" + server.URL + "/v1",
		"LISTED=" + listed.String(), "HOSTNAME=" + hostname.String(), "NUMBER=" + numeric.String(),
		"OPENAI_API_KEY=" + openKey.String(), "ROUTER_KEY=" + routerKey.String(), "OTHER_KEY=" + otherKey.String(), "GROQ_API_KEY=" + unaskedKey.String(),
	}
	c.give("env", "FILED="+`"\`+filed.String()+`"`+"\n")
	return c
}

// give writes a file of the user.
func (c *cage) give(name, text string) {
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.given[path] = true
}

// start starts a command; --env-file is added.
func (c *cage) start(args ...string) *process {
	if args[0] == "run" {
		args = append(args, "--allow-private-network")
	}
	return startProcess(c.t, c.dir, "", c.env, append(args, "--env-file", "env")...)
}

// run runs a command to its end, and searches what it has printed and written.
func (c *cage) run(code int, args ...string) (out, said string) {
	c.t.Helper()
	p := c.start(args...)
	p.ends(code)
	c.searchPrinted(p)
	c.search("after nightshift " + strings.Join(args, " "))
	return p.out.String(), p.err.String()
}

func (c *cage) searchPrinted(p *process) {
	c.t.Helper()
	for name, text := range map[string]string{"standard output": p.out.String(), "standard error": p.err.String()} {
		for _, found := range leaks([]byte(text), allNeedles) {
			c.t.Errorf("nightshift %s: %s shows %s", strings.Join(p.cmd.Args[1:], " "), name, found)
		}
	}
}

// search looks into all files but those of the user, and at their names.
func (c *cage) search(when string) {
	c.t.Helper()
	err := filepath.WalkDir(c.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || c.given[path] {
			return err
		}
		found := leaks([]byte(entry.Name()), allNeedles)
		if entry.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found = append(found, leaks(text, allNeedles)...)
		}
		for _, found := range found {
			if said := filepath.Base(path) + found; !c.said[said] {
				c.said[said] = true
				c.t.Errorf("%s, %s shows %s", when, path, found)
			}
		}
		return nil
	})
	if err != nil {
		c.t.Error(err)
	}
}

// ServeHTTP is a model where it is asked as one; else it answers as X-How asks, and
// tells whatever it was told.
func (c *cage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/chat/completions") {
		c.serveModel(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	token := r.Header.Get("X-Token")
	quoted, _ := json.Marshal(token)
	told := strings.Join([]string{
		token, string(body), string(quoted), fmt.Sprintf("%q %+q", token, quoted), html.EscapeString(token), url.QueryEscape(token), url.PathEscape(token),
		r.RequestURI, r.URL.Path, r.Header.Get("Authorization"), base64.StdEncoding.EncodeToString(body), base64.URLEncoding.EncodeToString([]byte("me:" + token)),
	}, "\n")
	broken := func(text string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
	switch how := r.Header.Get("X-How"); how {
	case "hold":
		c.held <- struct{}{}
		select {
		case <-c.free:
		case <-r.Context().Done():
		}
	case "400", "401", "500": // these are cut, at a place of the secret that is another each time
		w.WriteHeader(map[string]int{"400": 400, "401": 401, "500": 500}[how])
		told = strings.Repeat(".", 30+len(how)+int(how[0]-'0')) + string(quoted) + told
	case "malformed":
		broken("HTTP/1.1 " + token + "\r\n\r\n")
		return
	case "header":
		broken("HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n")
		return
	case "unsolicited": // as if it answered once more
		broken("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + token)
		return
	case "location":
		w.Header().Set("Location", "http://[%"+token)
		w.WriteHeader(http.StatusFound)
	case "elsewhere":
		w.Header().Set("Location", "http://"+hostname.String()+".invalid/"+url.PathEscape(token))
		w.WriteHeader(http.StatusFound)
	}
	_, _ = io.WriteString(w, told)
}

// serveModel answers a question that has [prose] in it with no JSON. One that has
// [denied] in it is denied, and repeated.
func (c *cage) serveModel(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if bytes.Contains(body, []byte("[denied]")) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(body)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var asked question
	if err := json.Unmarshal(body, &asked); err != nil || asked.ResponseFormat == nil {
		c.model.ServeHTTP(w, r)
		return
	}
	answer := []byte(`{"label": "x"}`)
	if prompt := asked.Messages[len(asked.Messages)-1].Content; strings.Contains(prompt, "[prose]") {
		answer = []byte(`I would rather not say "` + prompt)
	}
	text, _ := json.Marshal(string(answer))
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%s}}],"usage":{"prompt_tokens":2,"completion_tokens":5,"total_tokens":7}}`, text)
}

// waitHeld waits until a process has a request that is kept waiting, and results.
func (c *cage) waitHeld(p *process) {
	c.t.Helper()
	for range 4 {
		select {
		case <-c.held:
		case <-p.ended:
			c.t.Fatalf("it ended before it was kept waiting:\n%s", p.err.String())
		}
	}
	for len(c.held) > 0 {
		<-c.held
	}
}

// ids are those of the results.
func (c *cage) ids() []string {
	c.t.Helper()
	paths, _ := filepath.Glob(filepath.Join(c.dir, "results", "*", "calls.jsonl"))
	if len(paths) != 1 {
		c.t.Fatalf("results are in %q", paths)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		c.t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(string(text)) {
		var r struct{ ID string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			c.t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// wantLines holds the results against the number of items; each has an id of its own.
func (c *cage) wantLines(rows int) {
	c.t.Helper()
	ids := c.ids()
	if slices.Sort(ids); len(slices.Compact(slices.Clone(ids))) != rows || len(ids) != rows {
		c.t.Errorf("there are results of %d items, of which there are %d: %q", len(ids), rows, ids)
	}
	if users := slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, "user [hidden]-") }); len(users) != 2 {
		c.t.Errorf("users are %q", users)
	}
}
