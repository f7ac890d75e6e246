package engine

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestReadable(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("http://h.example/a/b.html?q=1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, page, want string }{
		{"nothing", "", ""},
		{"text", "hello", "hello"},
		{"title", "<title> A\n  page </title><p>x", "# A page\n\nx"},
		{"title of a page that has a heading", "<title>T</title><h1>H</h1><p>x", "# H\n\nx"},
		{"title alone", "<title>T</title>", "# T"},
		{"a heading that is not in the main part", "<title>T</title><h1>Site</h1><main><h2>H</h2></main>", "# T\n\n## H"},
		{"structure", "<h2>H</h2><ul><li>a<li>b <b>c</b></ul><ol><li>x</ol><blockquote>q</blockquote><pre>  p\n</pre><hr>", "## H\n\n- a\n- b **c**\n\n<!--THE END-->\n\n1. x\n\n> q\n\n```\n  p\n```\n\n* * *"},
		{"table", "<table><tr><th>a<th>b<tr><td>1<td>2 | 3</table>", "| a | b |\n|---|---|\n| 1 | 2 \\| 3 |"},
		{"what nobody reads", "<script>s</script><style>s</style><noscript>n</noscript><nav>n</nav><footer>f</footer><aside>a</aside><form>f</form><iframe>i</iframe><svg><title>t</title></svg><button>b</button><!-- c --><p>x", "x"},
		{"a page within a form", "<form action=x><h1>H</h1><p>x<input value=v></form>", "# H\n\nx"},
		{"one main", "<p>no<main><p>yes</main><article>no</article>", "yes"},
		{"two mains, one article", "<main>a</main><main>b</main><article><p>yes</article>", "yes"},
		{"two articles", "<article>a</article><article>b</article>", "a\n\nb"},
		{"addresses", `<a href="c">c</a> <a href="/d?x=1 2#e">d</a> <a href="//o.example">o</a> <a href="https://p.example/">p</a> <a href="mailto:x@y.example">m</a> <img src=i.png alt=I>`,
			"[c](http://h.example/a/c) [d](http://h.example/d?x=1%202#e) [o](http://o.example) [p](https://p.example/) [m](mailto:x@y.example) ![I](http://h.example/a/i.png)"},
		{"a base of the page's own", `<base href="/z/"><a href="c">c</a>`, "[c](http://h.example/z/c)"},
		{"addresses that are none", `<a href="javascript:alert(1)">j</a> <img src="data:image/png;base64,AAAA" alt=I> <a href="http://[">b</a> <a>n</a>`, "j  b n"},
		{"entities", "<p>&auml;&nbsp;&amp;&lt;b&gt; &#x1F600; &nosuch; 5 &lt; 6", "ä\u00a0&<b> 😀 &nosuch; 5 < 6"},
		{"what Markdown takes for its own is left", "<p>1. *a* _b_ # c [d](e) `f`", "1. *a* _b_ # c [d](e) `f`"},
		{"broken", "<p>a<b>b<i>c</b>d</p></div><td>e<<<p", "a**b*c*de<<**"},
		{"a span that is too wide", "<table><tr><td rowspan=999999999 colspan=999999999>a<td>b</table>", "|  |  |\n|---|---|\n| a | b |"},
		{"nested too deeply for a tree", strings.Repeat("<div>", 1000) + "a<script>s</script><b>b &amp;</b>", "a\nb &"},
		{"too long for a tree", "<h1>a</h1>" + strings.Repeat(" ", htmlMax), "a"},
		{"nested deeply", strings.Repeat("<div>", 400) + "a <b>b</b>", "a b"},
	} {
		got, err := readable(c.page, base)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v\nwant %q", c.name, got, err, c.want)
		}
	}
	if got, err := readable(`<a href="c">c</a>`, nil); err != nil || got != "[c](c)" {
		t.Errorf("without a base: %q, %v", got, err)
	}
}

// Pages that are made to take for ever, or to become very large, are neither: most of
// these are done within a tenth of a second, and without their bound in minutes.
func TestReadableIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("reads pages of megabytes")
	}
	fill := func(s string) string { return strings.Repeat(s, 512<<10/len(s)) }
	deep := func(n int, open string) string { return strings.Repeat(open, n) }
	for name, page := range map[string]string{
		"divs":        fill("<div>"),
		"bold":        fill("<b>"),
		"quotes":      deep(200, "<blockquote>") + fill("a<br>"),
		"lists":       deep(200, "<ul><li>") + fill("a<br>"),
		"bolds":       deep(200, "<b>") + fill("a<br>"),
		"links":       deep(200, "<b><a href=x>") + fill("<a href=x>"),
		"nested a":    deep(200, "<a href=x><table><td>"),
		"spans":       deep(200, "<em><strong>"),
		"headings":    deep(200, "<h1><div>"),
		"tables":      deep(100, "<table><tr><td>") + "x",
		"wide":        "<table>" + fill("<tr><td>") + "<tr>" + strings.Repeat("<td>x", 100_000) + "</table>",
		"spanning":    "<table>" + fill("<tr><td rowspan=65000 colspan=1000>x"),
		"rows":        "<table>" + fill("<tr><td>x<td>y"),
		"paragraphs":  fill("<p>x"),
		"breaks":      fill("<br>"),
		"spaces":      fill(" "),
		"newlines":    "<pre>" + fill("\n") + "x",
		"text":        fill("word "),
		"one word":    fill("x"),
		"stars":       fill("*_`[<"),
		"open":        fill("<"),
		"attributes":  fill("<p a b c d=1>"),
		"one tag":     "<p " + fill("a ") + ">",
		"entities":    fill("&amp;"),
		"misnested":   fill("<b><p></b>"),
		"formatting":  fill("<a><b><i>") + fill("<p>"),
		"foster":      "<table>" + fill("<b>x</b>"),
		"svg":         fill("<svg><p>"),
		"select":      fill("<select><option>"),
		"lis":         fill("<li>x"),
		"code":        fill("<code>`</code>"),
		"mains":       fill("<main>x</main>"),
		"many tables": fill("<table><tr><td><tr><td><td><td></table>"),
	} {
		began := time.Now()
		got, err := readable(page, nil)
		if took := time.Since(began); took > 20*time.Second || len(got) > 20*len(page) || err != nil {
			t.Errorf("%s: %d KB of %d after %v, %v", name, len(got)>>10, len(page)>>10, took, err)
		}
	}
}

func FuzzReadable(f *testing.F) {
	for _, page := range []string{"", "<p>x", "<table><tr><td colspan=9>", "<a href=//[>x</a><base href=:>", "<ul><li><blockquote><pre>\n```", "<title>t</title><form><h1>", "\xff<p\x00>", "<svg><math><mi><p>", "<ol start=9999999999><li>x"} {
		f.Add(page)
	}
	base, err := url.Parse("http://h.example/a/b")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, page string) {
		got, err := readable(page, base)
		if err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(page) && !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
	})
}
