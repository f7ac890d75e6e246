package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"nightshift/runner"
)

// asPublic are loopback addresses that the guards of these tests take for public.
var asPublic = netip.MustParsePrefix("127.7.0.0/16")

// testGuard is a guard that takes 127.7.x.x for public addresses, uses no proxy, and
// asks this resolver.
func testGuard(resolver *net.Resolver) *guard {
	g := newGuard(false)
	g.private = func(addr netip.Addr) bool { return isPrivate(addr) && !asPublic.Contains(addr) }
	g.proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	dialer := &net.Dialer{Timeout: 5 * time.Second, Resolver: resolver, ControlContext: g.control}
	g.direct.DialContext = dialer.DialContext
	return g
}

// public serves at a loopback address that those guards take for public.
func public(t *testing.T, handler http.HandlerFunc) (host string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.7.7.7:0")
	if err != nil {
		t.Skip("this machine has one loopback address only:", err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

// names is a resolver that answers questions for addresses of IPv4 with what it is told.
func names(answer func(name string) []string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for {
				var length [2]byte // net.Pipe is no packet connection: this is DNS over TCP
				if _, err := io.ReadFull(server, length[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(server, query); err != nil {
					return
				}
				var m dnsmessage.Message
				if err := m.Unpack(query); err != nil {
					return
				}
				m.Response, m.Authoritative, m.Additionals = true, true, nil
				if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
					for _, addr := range answer(strings.TrimSuffix(q.Name.String(), ".")) {
						m.Answers = append(m.Answers, dnsmessage.Resource{
							Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
							Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()},
						})
					}
				}
				packed, err := m.Pack()
				if err != nil {
					return
				}
				if _, err := server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

// through fetches a page with a guard, and gives its body.
func through(t *testing.T, g *guard, address string) (string, error) {
	t.Helper()
	e := New(Options{})
	e.http.Transport = g
	defer g.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.fetch(req)
	if err != nil {
		return "", err
	}
	return string(got.body), nil
}

const leave = "; --allow-private-network lets api and url_loader nodes call it"

func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	host := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	_, port, _ := net.SplitHostPort(host)
	for address, private := range map[string]string{
		"127.0.0.1": "127.0.0.1", "good.example@127.0.0.1": "127.0.0.1", "2130706433": "127.0.0.1", "0x7f.1": "127.0.0.1", "127.1": "127.0.0.1", "0": "0.0.0.0",
		"[::ffff:127.0.0.1]": "::ffff:127.0.0.1", "[::1]": "::1", "[fe80::1%25lo]": "fe80::1%lo", "[::]": "::",
		"localhost": "localhost", "localhost.": "localhost.", "x.localhost": "x.localhost", "169.254.169.254": "169.254.169.254",
	} {
		_, err := through(t, newGuardWithoutProxy(), "http://"+address+":"+port+"/?key=secret")
		if err == nil || !strings.HasSuffix(err.Error(), ": the address is private ("+private+")"+leave) {
			t.Errorf("%s: %v", address, err)
		}
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: %v tells the query", address, err)
		}
	}
}

func newGuardWithoutProxy() *guard {
	g := newGuard(false)
	g.proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	return g
}

// What is looked at is the address that is dialled, each time.
func TestGuardAfterNames(t *testing.T) {
	t.Parallel()
	host := public(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // or there would be no second look
		io.WriteString(w, "public")
	})
	_, port, _ := net.SplitHostPort(host)
	inside, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err == nil {
		server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived inside") })}
		go server.Serve(inside)
		t.Cleanup(func() { server.Close() })
	}
	var asked atomic.Int32
	g := testGuard(names(func(name string) []string {
		switch {
		case strings.HasPrefix(name, "rebinding.test") && asked.Add(1) == 1, strings.HasPrefix(name, "public.test"):
			return []string{"127.7.7.7"}
		}
		return []string{"127.0.0.1"}
	}))
	for _, c := range []struct{ name, want string }{
		{"public.test", ""},
		{"private.test", "127.0.0.1"},
		{"rebinding.test", ""},
		{"rebinding.test", "127.0.0.1"},
	} {
		body, err := through(t, g, "http://"+c.name+":"+port)
		if c.want != "" {
			checkError(t, err, "GET "+c.name+":"+port+": the address is private ("+c.want+")"+leave)
		} else if err != nil || body != "public" {
			t.Errorf("%s: %q, %v", c.name, body, err)
		}
	}
}

func TestGuardRedirects(t *testing.T) {
	t.Parallel()
	inside := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived inside") })
	_, port, _ := net.SplitHostPort(inside)
	host := public(t, func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		io.WriteString(w, "public")
	})
	g := testGuard(nil)
	for to, want := range map[string]string{
		"http://" + inside + "/": "redirected to " + inside + ": the address is private (127.0.0.1)" + leave,
		"http://" + host + "/?to=" + url.QueryEscape("http://2130706433:"+port): "redirected to 2130706433:" + port + ": the address is private (127.0.0.1)" + leave,
		"//localhost:" + port + "/":   "redirected to localhost:" + port + ": the address is private (localhost)" + leave,
		"https://[::1]:" + port + "/": "redirected to [::1]:" + port + ": the address is private (::1)" + leave,
		"file:///etc/passwd":          `unsupported protocol scheme "file"`,
		"/":                           "",
	} {
		body, err := through(t, g, "http://"+host+"/?to="+url.QueryEscape(to))
		if want != "" {
			checkError(t, err, "GET "+host+": "+want)
		} else if err != nil || body != "public" {
			t.Errorf("%s: %q, %v", to, body, err)
		}
	}
}

// A proxy is the user's own, wherever it is; what it is asked to call is not.
func TestGuardByProxy(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Host == "redirecting.test" {
			http.Redirect(w, r, "http://10.1.2.3/", http.StatusFound)
			return
		}
		fmt.Fprintf(w, "%s by proxy", r.URL)
	})
	g := newGuard(false)
	g.proxy = func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: proxy}, nil }
	g.lookup = func(host string) []netip.Addr {
		switch host {
		case "inside.test":
			return []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.7")}
		case "public.test":
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}
		}
		return nil // the proxy may know it
	}
	for host, want := range map[string]string{
		"public.test": "", "unknown.test": "", "8.8.8.8": "",
		"inside.test": "the address is private (10.0.0.7)", "10.0.0.1": "the address is private (10.0.0.1)", "0x7f.1": "the address is private (127.0.0.1)",
		"localhost": "the address is private (localhost)", "redirecting.test": "redirected to 10.1.2.3: the address is private (10.1.2.3)",
	} {
		asked.Store(0)
		body, err := through(t, g, "http://"+host+"/p")
		if want == "" {
			if err != nil || body != "http://"+host+"/p by proxy" {
				t.Errorf("%s: %q, %v", host, body, err)
			}
			continue
		}
		checkError(t, err, "GET "+host+": "+want+leave)
		if n := asked.Load(); n > 0 && host != "redirecting.test" {
			t.Errorf("%s: the proxy was asked", host)
		}
	}
	g.private = nil // with the user's leave
	if body, err := through(t, g, "http://10.0.0.1/p"); err != nil || body != "http://10.0.0.1/p by proxy" {
		t.Errorf("allowed: %q, %v", body, err)
	}
}

// What a node is refused is an error of its own class, and none that passes.
func TestPrivateAddressOfARun(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"api", "url_loader"} {
		out := map[string]string{"api": "output", "url_loader": "content"}[typ]
		e := New(Options{})
		id := save(t, e, `
			url: {type: input}
			n: {type: `+typ+`, inputs: {url: "{{ url.text }}"}}
			out: {type: output, inputs: {value: "{{ n.`+out+` }}"}}
		`)
		h := start(t, e, id, runner.Inputs{"url": "http://127.0.0.1:1/"})
		status, err := e.Wait(t.Context(), h)
		if err != nil || status.State != runner.Failed {
			t.Fatalf("%v, %v", status.State, err)
		}
		checkError(t, status.Err, "node n ("+typ+"): GET 127.0.0.1:1: the address is private (127.0.0.1)"+leave)
		if class, ok := errors.AsType[interface {
			error
			Class() string
		}](status.Err); !ok || class.Class() != "private_address" {
			t.Errorf("%v has not its class", status.Err)
		}
		if runner.MayPass(status.Err) || runner.ReasonOf(status.Err) != runner.NotStopped {
			t.Errorf("%v is taken for one that passes, or that all runs meet", status.Err)
		}
	}
}

func TestPrivateAddressWrittenDown(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://127.0.0.1:8080/p":         "127.0.0.1",
		" http://localhost/ ":             "localhost",
		"https://10.0.0.1/{{ in.text }}":  "10.0.0.1",
		"http://0x7f.1?q={{ in.text }}":   "127.0.0.1",
		"http://10.0.0.1{{ in.text }}":    "", // may be 10.0.0.12.example
		"http://{{ in.text }}/127.0.0.1":  "",
		"https://example.com/":            "",
		"http://8.8.8.8/?to=http://[::1]": "",
		"{{ in.text }}":                   "",
	} {
		for _, typ := range []string{"api", "url_loader"} {
			p := parsePipeline(t, `
				in: {type: input}
				n: {type: `+typ+`, inputs: {url: "`+address+`"}}
				out: {type: output, inputs: {value: "{{ in.text }}"}}
			`)
			guarded := New(Options{})
			if problems := guarded.Check(p); len(problems) > 0 {
				t.Errorf("%s is not valid: %v", address, problems)
			}
			missing := guarded.Needs(p).Missing
			switch {
			case want == "" && len(missing) > 0:
				t.Errorf("%s: %v", address, missing)
			case want != "" && (len(missing) != 1 || missing[0].Message != "node n ("+typ+"): the address is private ("+want+")"+leave):
				t.Errorf("%s: %v", address, missing)
			}
			if missing := New(Options{AllowPrivateNetwork: true}).Needs(p).Missing; len(missing) > 0 {
				t.Errorf("%s, allowed: %v", address, missing)
			}
		}
	}
}
