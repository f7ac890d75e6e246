package engine

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nightshift/runner"
)

// What is packed small may be large: the bound is that of what comes out.
func TestFetchUnpacks(t *testing.T) {
	t.Parallel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("packed answers are not asked for")
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		size := 1000
		if r.URL.Path == "/bomb" {
			size = 1 << 30
		}
		for piece := strings.Repeat("x", 1000); size > 0; size -= len(piece) {
			if _, err := io.WriteString(z, piece); err != nil {
				return
			}
		}
	})
	if got, err := callAPI(t, "http://"+host, `url: "{{ url.text }}"`, "{}"); err != nil || got != strings.Repeat("x", 1000) {
		t.Errorf("%.20s, %v", got, err)
	}
	_, err := callAPI(t, "http://"+host+"/bomb", `url: "{{ url.text }}"`, "{}")
	checkError(t, err, "node n (api): GET "+host+": the answer has more than 10 MB")
}

// Of an answer without end no more is read than is kept.
func TestFetchEndless(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for piece := strings.Repeat("x", 1<<20); sent.Load() < 1<<30; {
			n, err := io.WriteString(w, piece)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	_, err := callAPI(t, "http://"+host, `url: "{{ url.text }}"`, "{}")
	checkError(t, err, "node n (api): GET "+host+": the answer has more than 10 MB")
	if sent.Load() > 100<<20 { // what is on the way, in buffers, is let be
		t.Errorf("%d MB were taken", sent.Load()>>20)
	}
}

func TestFetchHeaderLimit(t *testing.T) {
	t.Parallel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", fetchMaxHeader))
	})
	_, err := callAPI(t, "http://"+host, `url: "{{ url.text }}"`, "{}")
	if err == nil || !strings.Contains(err.Error(), "server response headers exceeded 1048576 bytes") {
		t.Errorf("%v", err)
	}
}

// Who sends a little now and then is not waited for longer than others.
func TestFetchTrickle(t *testing.T) {
	t.Parallel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(New(Options{AllowPrivateNetwork: true}).http, req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// What an address answers is the matter of one item: its run is not suspended, and
// says nothing about others. Classes are those of the same failures of a model.
func TestFetchFailures(t *testing.T) {
	t.Parallel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			panic(http.ErrAbortHandler)
		}
		var status int
		for _, digit := range r.URL.Path[1:] {
			status = 10*status + int(digit-'0')
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
	})
	for path, want := range map[string]struct {
		class  string
		status int
	}{
		"400": {"bad_request", 400}, "401": {"denied", 401}, "403": {"denied", 403}, "404": {"run_failed", 404}, "429": {"rate_limited", 429}, "500": {"unavailable", 500}, "cut": {"connection", 0},
	} {
		for _, node := range []string{`type: api, inputs: {fail_non_2xx_response: true, `, `type: url_loader, inputs: {`} {
			_, err := runNodes(t, `
				n: {`+node+` url: "http://`+host+`/`+path+`"}}
				out: {type: output, inputs: {value: x, dependencies: ["{{ n.complete }}"]}}
			`, nil)
			failed, ok := errors.AsType[*webError](err)
			if !ok || failed.Class() != want.class || failed.Status() != want.status {
				t.Errorf("%s: %v", path, err)
			}
			if runner.MayPass(err) || runner.ReasonOf(err) != runner.NotStopped {
				t.Errorf("%s: %v is taken for one that passes, or that all runs meet", path, err)
			}
		}
	}
}

// TestFetchOrigins: one host may be spelled in several ways.
func TestFetchOrigins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		sent     bool
	}{
		{"http://h.example/a", "http://H.example:80/b", true},
		{"https://h.example:443", "https://h.example/b", true},
		{"http://h.example/", "https://h.example/", false},
		{"http://h.example/", "http://h.example:8080/", false},
		{"http://h.example/", "http://www.h.example/", false},
	} {
		var via, next *http.Request
		for address, req := range map[string]**http.Request{c.from: &via, c.to: &next} {
			*req, _ = http.NewRequest(http.MethodPost, address, strings.NewReader("body"))
			(*req).Header.Set("X-Key", "secret")
		}
		if err := checkRedirect(next, []*http.Request{via}); (err == nil) != c.sent {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
		next.Body = http.NoBody
		err := checkRedirect(next, []*http.Request{via})
		if kept := next.Header.Get("X-Key") != ""; err != nil || kept != c.sent {
			t.Errorf("%s to %s, without a body: header kept %v, %v", c.from, c.to, kept, err)
		}
	}
}
