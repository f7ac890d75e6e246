package engine

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/net/html/atom"
)

// Bounds of a url_loader that loads several pages.
const (
	maxPages   = 500
	maxContent = 25 << 20 // bytes of all that they say
	perHost    = 4        // requests at once
	triesEach  = 3        // addresses tried for each page that may be loaded
)

// crawl loads pages, breadth-first, and joins them under headings of their addresses.
// Links that are followed stay on the host of the first page. The first page must be
// there; others that cannot be loaded are left out, as links break.
func (l loader) crawl(ctx context.Context, queue []*url.URL, follow bool) (string, error) {
	var text strings.Builder
	var failure error
	queued, loaded := map[string]bool{}, map[string]bool{}
	host := ""
	for tried := 0; len(queue) > 0 && len(loaded) < l.limit && tried < triesEach*l.limit; {
		n := min(perHost, l.limit-len(loaded), len(queue))
		pages, errs := l.pages(ctx, queue[:n])
		queue, tried = queue[n:], tried+n
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		for i, p := range pages {
			if errs[i] != nil {
				failure = cmp.Or(failure, errs[i])
				continue
			}
			host = cmp.Or(host, p.url.Host)
			key := pageKey(p.url)
			if loaded[key] || follow && p.url.Host != host { // where it was redirected to
				continue
			}
			queued[key], loaded[key] = true, true
			if text.Len()+len(p.text) > maxContent {
				return "", &webError{class: "bad_answer", err: fmt.Errorf("the pages of %s have more than %d MB: lower url_limit", host, maxContent>>20)}
			}
			fmt.Fprintf(&text, "# %s\n\n%s\n\n", key, p.text)
			if !follow {
				continue
			}
			for _, link := range links(p) {
				if key := pageKey(link); link.Host == host && !queued[key] && len(queue) < triesEach*l.limit {
					queued[key] = true
					queue = append(queue, link)
				}
			}
		}
	}
	if len(loaded) == 0 {
		return "", failure
	}
	return strings.TrimSpace(text.String()), nil
}

// pages loads some pages at once.
func (l loader) pages(ctx context.Context, addresses []*url.URL) ([]page, []error) {
	pages, errs := make([]page, len(addresses)), make([]error, len(addresses))
	var group sync.WaitGroup
	for i, address := range addresses {
		group.Go(func() { pages[i], errs[i] = l.page(ctx, address) })
	}
	group.Wait()
	return pages, errs
}

// pageKey is the address of a page without what does not matter for which it is.
func pageKey(address *url.URL) string {
	key := url.URL{Scheme: address.Scheme, Host: address.Host, Path: cmp.Or(address.Path, "/"), RawPath: address.RawPath, RawQuery: address.RawQuery}
	return key.String()
}

// links gives the addresses that a page links to, in its order.
func links(p page) (found []*url.URL) {
	doc := parseHTML(p.html)
	if doc == nil {
		return nil
	}
	base := baseOf(doc, p.url)
	for n := range doc.Descendants() {
		if n.DataAtom != atom.A {
			continue
		}
		link, err := base.Parse(strings.TrimSpace(attribute(n, "href")))
		if err == nil && (link.Scheme == "http" || link.Scheme == "https") {
			found = append(found, link)
		}
	}
	return found
}

// loadSitemap loads the pages that the sitemap of a host names, in its order.
func (l loader) loadSitemap(ctx context.Context, address *url.URL) (string, error) {
	queue, err := l.sitemapOf(ctx, address)
	if err != nil {
		return "", err
	}
	if len(queue) == 0 {
		return "", &webError{class: "bad_answer", err: fmt.Errorf("the sitemap of %s names no pages; with load_sitemap: false the page itself is loaded", address.Host)}
	}
	return l.crawl(ctx, queue, false)
}

// sitemapOf finds the sitemap of a host, in its robots.txt or at /sitemap.xml, and
// gives what it names. Of an index, as many of its sitemaps are read as it takes.
func (l loader) sitemapOf(ctx context.Context, address *url.URL) ([]*url.URL, error) {
	maps := []*url.URL{address.ResolveReference(&url.URL{Path: "/sitemap.xml"})}
	if got, err := l.get(ctx, address.ResolveReference(&url.URL{Path: "/robots.txt"}), "text/plain"); err == nil {
		if named := sitemapsIn(string(got.body), got.url); named != nil {
			maps = named
		}
	}
	var pages []*url.URL
	var first error
	for i := 0; i < len(maps) && i < l.limit+1 && len(pages) < triesEach*l.limit; i++ {
		got, err := l.get(ctx, maps[i], "application/xml, text/xml")
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		var listed struct {
			Pages []string `xml:"url>loc"`
			Maps  []string `xml:"sitemap>loc"`
		}
		if err := xml.Unmarshal(got.body, &listed); err != nil {
			first = cmp.Or[error](first, &webError{class: "bad_answer", err: fmt.Errorf("GET %s: the sitemap is not XML", maps[i].Host)})
			continue
		}
		pages = append(pages, parseAll(got.url, listed.Pages)...)
		if i == 0 { // one level
			maps = append(maps, parseAll(got.url, listed.Maps)...)
		}
	}
	if len(pages) == 0 && first != nil {
		return nil, fmt.Errorf("there is no sitemap to load: %w; with load_sitemap: false the page itself is loaded", first)
	}
	return pages, nil
}

// sitemapsIn gives the sitemaps that a robots.txt names.
func sitemapsIn(robots string, base *url.URL) []*url.URL {
	var named []string
	for line := range strings.Lines(robots) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(key), "sitemap") {
			named = append(named, value)
		}
	}
	return parseAll(base, named)
}

// parseAll gives the addresses among texts that can be called.
func parseAll(base *url.URL, texts []string) (found []*url.URL) {
	for _, text := range texts {
		if address, err := base.Parse(strings.TrimSpace(text)); err == nil && (address.Scheme == "http" || address.Scheme == "https") {
			found = append(found, address)
		}
	}
	return found
}
