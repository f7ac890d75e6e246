package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// guard carries the requests of api and url_loader nodes, whose addresses may come
// from a model or a stranger's file: they go to public addresses only, unless the
// user allows others. What counts is the address that is dialled, after the names
// are looked up, so that neither redirects nor names that change lead past it.
type guard struct {
	private func(netip.Addr) bool                 // nil: any address may be called
	proxy   func(*http.Request) (*url.URL, error) // of a request; nil, nil: none
	lookup  func(host string) []netip.Addr        // of hosts that a proxy is to call
	direct  *http.Transport                       // dials public addresses
	proxied *http.Transport                       // dials the proxy, which is the user's own
	leave   string                                // what allows private addresses
}

func newGuard(anywhere bool) *guard {
	g := &guard{private: isPrivate, lookup: lookUp, direct: newTransport(), proxied: newTransport(), leave: "--allow-private-network"}
	if anywhere {
		g.private = nil
	}
	g.proxy, g.direct.Proxy = g.direct.Proxy, nil // by the environment: HTTPS_PROXY and its like
	dialer := &net.Dialer{Timeout: 30 * time.Second, ControlContext: g.control}
	g.direct.DialContext = dialer.DialContext
	g.proxied.Proxy = func(req *http.Request) (*url.URL, error) { return g.proxy(req) }
	return g
}

func newTransport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	transport.MaxResponseHeaderBytes = fetchMaxHeader
	return transport
}

// RoundTrip is http.RoundTripper's.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	proxy, err := g.proxy(req)
	if err != nil {
		return nil, err
	}
	if err := g.check(req.URL, proxy != nil); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err.behind(req)
	}
	carrier := g.direct
	if proxy != nil {
		carrier = g.proxied
	}
	resp, err := carrier.RoundTrip(req)
	if private, ok := errors.AsType[*privateError](err); ok {
		return nil, private.behind(req)
	}
	return resp, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (g *guard) CloseIdleConnections() {
	g.direct.CloseIdleConnections()
	g.proxied.CloseIdleConnections()
}

// check looks at an address before anything is sent. Names are looked up where a
// proxy is going to call them: it may stand where private addresses can be reached.
func (g *guard) check(address *url.URL, byProxy bool) *privateError {
	if g.private == nil {
		return nil
	}
	host := address.Hostname()
	if isLocalName(host) {
		return &privateError{host: host, leave: g.leave}
	}
	found, written := writtenAddr(host)
	if written && g.private(found) {
		return &privateError{host: found.String(), leave: g.leave}
	}
	if !written && byProxy {
		for _, addr := range g.lookup(host) {
			if g.private(addr) {
				return &privateError{host: addr.String(), leave: g.leave}
			}
		}
	}
	return nil
}

// control is net.Dialer's: it has the very address that is about to be dialled.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	if g.private == nil {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", address, err)
	}
	if g.private(to.Addr()) {
		return &privateError{host: to.Addr().WithZone("").Unmap().String(), leave: g.leave}
	}
	return nil
}

// lookUp gives the addresses of a name, as far as this machine knows them.
func lookUp(host string) []netip.Addr {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host) // a name that only the proxy knows is its own affair
	return found
}

// privateError says that a node was kept from calling an address.
type privateError struct {
	host       string
	leave      string // what allows it
	redirected string // the host and port that an answer pointed to; "": it is what the author asked for
}

func (e *privateError) Error() string {
	text := "the address is private (" + e.host + "); " + e.leave + " lets api and url_loader nodes call it"
	if e.redirected != "" {
		text = "redirected to " + e.redirected + ": " + text
	}
	return text
}

// Class is the class of the error in results.
func (*privateError) Class() string { return "private_address" }

// behind notes that the request came of a redirect, if it did.
func (e *privateError) behind(req *http.Request) error {
	if req.Response != nil {
		return &privateError{e.host, e.leave, req.URL.Host}
	}
	return e
}

// missPrivate notes an address that is written down, at least as far as its host,
// and that the guard would refuse, as something that is missing: the user's leave.
// A rehearsal, which calls nobody, has no guard and needs none.
func (s *setup) missPrivate(in input) {
	g, guarded := s.engine.http.Transport.(*guard)
	text, _ := s.spec.Inputs[in.name].(string)
	text, _, open := strings.Cut(strings.TrimSpace(text), "{{")
	address, err := url.Parse(text)
	if !guarded || err != nil || open && !endsHost(text) {
		return
	}
	if private := g.check(address, false); private != nil {
		s.program.needs.Missing = append(s.program.needs.Missing, s.spec.Problem(in.name, "node %s (%s): %v", s.spec.Name, s.spec.Type, private))
	}
}

// endsHost tells whether the host of an address is whole, whatever follows its text.
func endsHost(text string) bool {
	_, rest, _ := strings.Cut(text, "://")
	return strings.ContainsAny(rest, "/?#")
}
