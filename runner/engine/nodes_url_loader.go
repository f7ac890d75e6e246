package engine

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
)

// compileURLLoader fetches a page itself, whatever scraping service is named, and
// gives what it says: HTML as Markdown, other text as it is. What only a service
// can do is refused; keys of services are not looked at.
func compileURLLoader(s *setup) step {
	target, limit, out := s.in("url"), s.in("url_limit"), s.out("content")
	recursive, sitemap := s.in("recursive"), s.in("load_sitemap")
	for _, later := range [][2]string{
		{"use_proxy", "; pages are loaded directly, or through the proxy that HTTPS_PROXY names"},
		{"ai_enhance_content", ", and give the content to an llm node"},
		{"actions", ", as there is no browser, or run the pipeline with run.backend: vectorshift"},
	} {
		if on(s.spec.Inputs[later[0]]) {
			s.refuse(later[0], "%s is not done by this engine: leave it out%s", later[0], later[1])
		}
	}
	s.missPrivate(target)
	engine := s.engine
	return func(c *call) error {
		address, err := webAddress(target, target.text(c))
		if err != nil {
			return err
		}
		l := loader{engine: engine}
		if l.recursive, err = recursive.boolean(c); err != nil {
			return err
		}
		if l.sitemap, err = sitemap.boolean(c); err != nil {
			return err
		}
		if l.limit, err = limit.integer(c); err != nil {
			return err
		}
		if l.limit < 1 || l.limit > maxPages {
			return fmt.Errorf("input \"url_limit\": must be from 1 to %d", maxPages)
		}
		text, err := l.load(c.ctx, address)
		if err != nil {
			return err
		}
		c.set(out, text)
		return nil
	}
}

// loader loads a page, or several, for one call.
type loader struct {
	engine    *Engine
	recursive bool // follow the links of the page to others of its host
	sitemap   bool // take the pages from the sitemap of the host
	limit     int  // of pages
}

func (l loader) load(ctx context.Context, address *url.URL) (string, error) {
	_, imitated := l.engine.http.Transport.(imitatedWeb)
	switch {
	case l.sitemap && !imitated: // a rehearsal has a page for every address, but no sitemaps
		return l.loadSitemap(ctx, address)
	case l.recursive:
		return l.crawl(ctx, []*url.URL{address}, true)
	}
	p, err := l.page(ctx, address)
	return p.text, err
}

// page is what a page says, and the address that it was found at.
type page struct {
	url  *url.URL
	text string
	html string // "": it is none
}

// page loads one page.
func (l loader) page(ctx context.Context, address *url.URL) (page, error) {
	got, err := l.get(ctx, address, "text/html, application/xhtml+xml, text/*;q=0.9, */*;q=0.5")
	if err != nil {
		return page{}, err
	}
	p := page{url: got.url}
	kind, text, err := got.text()
	if err == nil && kind == "text/html" {
		p.html = text
		text, err = readable(text, got.url)
	}
	if err != nil {
		return page{}, &webError{class: "bad_answer", err: fmt.Errorf("GET %s: %w", address.Host, err)}
	}
	p.text = text
	return p, nil
}

// get fetches what is at an address. A status that is not 2xx is an error.
func (l loader) get(ctx context.Context, address *url.URL, accept string) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("the request cannot be made: %w", bare(err))
	}
	req.Header.Set("User-Agent", "nightshift")
	req.Header.Set("Accept", accept)
	got, err := l.engine.fetch(req)
	if err == nil && (got.status < 200 || got.status > 299) {
		err = notFine(req, got)
	}
	if err != nil {
		return nil, err
	}
	return got, nil
}

// Types of what is text although it is not called so.
var textTypes = []string{
	"application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml",
	"application/javascript", "application/x-ndjson", "application/jsonl",
}

// text gives an answer as text in UTF-8, and its type: text/html for all that is
// read as a page.
func (a *answer) text() (kind, text string, err error) {
	declared := a.header.Get("Content-Type")
	if declared == "" {
		declared = http.DetectContentType(a.body)
	}
	kind, _, err = mime.ParseMediaType(declared)
	switch {
	case err != nil && kind == "":
		kind, _, _ = strings.Cut(declared, ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
	case kind == "application/xhtml+xml":
		kind = "text/html"
	}
	switch {
	case strings.HasPrefix(kind, "text/"), slices.Contains(textTypes, kind), strings.HasSuffix(kind, "+json"), strings.HasSuffix(kind, "+xml") && kind != "image/svg+xml":
	default:
		return "", "", fmt.Errorf("the page is of type %s, and only HTML and text are loaded: make text of it first, or run the pipeline with run.backend: vectorshift", quote(kind))
	}
	encoding, _, certain := charset.DetermineEncoding(a.body, declared)
	if !certain && utf8.Valid(a.body) { // the guess is by the beginning only
		return kind, strings.TrimPrefix(string(a.body), "\ufeff"), nil
	}
	decoded, err := encoding.NewDecoder().Bytes(a.body)
	if err != nil {
		return "", "", errors.New("the page is not in the character set that it names")
	}
	return kind, strings.TrimPrefix(strings.ToValidUTF8(string(decoded), "\ufffd"), "\ufeff"), nil
}
