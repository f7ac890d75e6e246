package engine

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// loadPages runs a url_loader node on an address; inputs are its others.
func loadPages(t *testing.T, e *Engine, address, inputs string) (string, error) {
	t.Helper()
	defer e.http.CloseIdleConnections()
	id := save(t, e, `
		url: {type: input}
		n: {type: url_loader, inputs: {url: "{{ url.text }}", provider: modal`+inputs+`}}
		out: {type: output, inputs: {value: "{{ n.content }}"}}
	`)
	status, err := e.Wait(t.Context(), start(t, e, id, runner.Inputs{"url": address}))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := status.Outputs["out"].(string)
	return text, status.Err
}

func TestURLLoaderSaysWhoItIs(t *testing.T) {
	t.Parallel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s, %s", r.UserAgent(), r.Header.Get("Accept"))
	})
	got, err := loadPages(t, New(Options{AllowPrivateNetwork: true}), "http://"+host+"/#part", "")
	if want := "nightshift, text/html, application/xhtml+xml, text/*;q=0.9, */*;q=0.5"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
}

// Nobody says that it is UTF-8, and its beginning does not show it.
func TestURLLoaderGuessesUTF8(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 2000) + "ä"
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, text)
	})
	if got, err := loadPages(t, New(Options{AllowPrivateNetwork: true}), "http://"+host, ""); err != nil || got != text {
		t.Errorf("%q, %v", got, err)
	}
}

// Links, and where they are redirected to, are followed on the host of the first
// page only: where that one was redirected to.
func TestURLLoaderStaysOnTheHost(t *testing.T) {
	t.Parallel()
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/away" {
			t.Errorf("%s of another host was loaded", r.URL)
		}
		io.WriteString(w, "elsewhere")
	})
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			io.WriteString(w, `<html><a href="/away">a</a><a href="http://`+other+`/link">l</a><a href="/b">b</a>`)
		case "/away":
			http.Redirect(w, r, "http://"+other+"/away", http.StatusFound)
		default:
			io.WriteString(w, "B")
		}
	})
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+host+"/", http.StatusFound)
	})
	got, err := loadPages(t, New(Options{AllowPrivateNetwork: true}), "http://"+first, ", recursive: true")
	want := "# http://" + host + "/\n\n[a](http://" + host + "/away)[l](http://" + other + "/link)[b](http://" + host + "/b)\n\n# http://" + host + "/b\n\nB"
	if err != nil || got != want {
		t.Errorf("%q, %v\nwant %q", got, err, want)
	}
}

// A site without end costs no more than was asked for, and is not asked for more at
// once than a visitor would.
func TestURLLoaderIsBounded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	working, most, all := 0, 0, 0
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		working, all = working+1, all+1
		most = max(most, working)
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			working--
		}()
		if strings.HasPrefix(r.URL.Path, "/gone") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "<html>")
		for i := range 100 {
			fmt.Fprintf(w, `<a href="%s%d/">x</a><a href="/gone%s%d">x</a>`, r.URL.Path, i, r.URL.Path, i)
		}
	})
	got, err := loadPages(t, New(Options{AllowPrivateNetwork: true}), "http://"+host+"/", ", recursive: true, url_limit: 20")
	if n := strings.Count(got, "# http://"); err != nil || n != 20 {
		t.Errorf("%d pages, %v; want 20", n, err)
	}
	if most > perHost || all > triesEach*20 {
		t.Errorf("%d requests, %d of them at once", all, most)
	}
	again, err := loadPages(t, New(Options{AllowPrivateNetwork: true}), "http://"+host+"/", ", recursive: true, url_limit: 20")
	if err != nil || again != got {
		t.Errorf("another time the pages, or their order, are others: %v", err)
	}
}

func TestURLLoaderGivesUp(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "<html>")
		for i := range 100 {
			fmt.Fprintf(w, `<a href="/%d">x</a>`, i)
		}
	})
	got, err := loadPages(t, New(Options{AllowPrivateNetwork: true}), "http://"+host, ", recursive: true, url_limit: 2")
	if err != nil || strings.Count(got, "# http://") != 1 || asked.Load() > 3*2 {
		t.Errorf("%.40q, %v after %d requests", got, err, asked.Load())
	}
}

func TestURLLoaderMaxContent(t *testing.T) {
	t.Parallel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/robots.txt":
			http.NotFound(w, r)
		case "/sitemap.xml":
			io.WriteString(w, "<urlset><url><loc>/1</loc></url><url><loc>/2</loc></url><url><loc>/3</loc></url></urlset>")
		default:
			io.WriteString(w, strings.Repeat("x", 9<<20))
		}
	})
	_, err := loadPages(t, New(Options{AllowPrivateNetwork: true}), "http://"+host, ", load_sitemap: true")
	checkError(t, err, "node n (url_loader): the pages of "+host+" have more than 25 MB: lower url_limit")
}

// A rehearsal needs no leave, calls nobody, and has a page for everything.
func TestURLLoaderRehearses(t *testing.T) {
	t.Parallel()
	host := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("somebody was called") })
	for _, inputs := range []string{"", ", recursive: true", ", load_sitemap: true"} {
		e := New(Options{Rehearse: &spec.Rehearse{}})
		p := parsePipeline(t, `
			n: {type: url_loader, inputs: {url: "http://`+host+`", provider: modal`+inputs+`}}
			out: {type: output, inputs: {value: "{{ n.content }}"}}
		`)
		if missing := e.Needs(p).Missing; len(missing) > 0 {
			t.Errorf("%s: %v", inputs, missing)
		}
		if got, err := loadPages(t, e, "http://"+host, inputs); err != nil || !strings.Contains(got, "Rehearsal") {
			t.Errorf("%s: %q, %v", inputs, got, err)
		}
	}
}
