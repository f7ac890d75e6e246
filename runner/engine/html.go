package engine

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds of what is made Markdown of: pages are strangers', and each level of a
// list, or row of a table, writes what is in it once more.
const (
	htmlMax   = 4 << 20 // bytes of a page; the text of a longer one is given without its form
	htmlDepth = 60      // elements within one another; those further down lose their own form, not their text
	htmlNests = 8       // of these, lists, quotations and tables
	htmlGrid  = 4       // how many times the cells of a table its grid may have
)

// chrome are elements that hold nothing of what a page says.
var chrome = []atom.Atom{
	atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Nav, atom.Footer, atom.Aside, atom.Form, atom.Iframe, atom.Svg,
	atom.Object, atom.Embed, atom.Canvas, atom.Button, atom.Select,
}

// readable gives what an HTML page says as Markdown: its main part, if it names
// one, below its title. Links and images are made absolute where base, the address
// of the page, is known.
func readable(page string, base *url.URL) (text string, err error) {
	doc := parseHTML(page)
	if doc == nil {
		return plainText(page), nil
	}
	content := mainPart(doc)
	title := strings.Join(strings.Fields(textOf(find(find(doc, atom.Head), atom.Title))), " ")
	tidy{baseOf(doc, base)}.children(content, 0, 0)
	markdown, err := toMarkdown(content)
	if err != nil {
		return "", err
	}
	text = strings.TrimSpace(asWere.Replace(string(markdown)))
	if title != "" && find(content, atom.H1) == nil {
		text = strings.TrimSpace("# " + title + "\n\n" + text)
	}
	return text, nil
}

// The library writes &lt; for < even though Markdown needs it before letters only;
// what is no character of Unicode carries them past it.
var (
	asIs   = strings.NewReplacer("<", "\ufdd0", ">", "\ufdd1")
	asWere = strings.NewReplacer("\ufdd0", "<", "\ufdd1", ">")
)

// parseHTML gives the tree of a page; nil: it is too long, or nested too deeply.
func parseHTML(page string) *html.Node {
	if len(page) > htmlMax {
		return nil
	}
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil
	}
	return doc
}

// baseOf gives what the addresses in a page are relative to; nil: nobody knows.
func baseOf(doc *html.Node, base *url.URL) *url.URL {
	if b := find(doc, atom.Base); base != nil && b != nil {
		if to, err := base.Parse(attribute(b, "href")); err == nil {
			return to
		}
	}
	return base
}

// toMarkdown converts a tidy tree. A panic of the library is an error.
func toMarkdown(content *html.Node) (markdown []byte, err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("the page cannot be made Markdown of: %v", bug)
		}
	}()
	c := converter.NewConverter(
		converter.WithEscapeMode(converter.EscapeModeDisabled), // which takes for ever on some pages, and is noise to a model
		converter.WithPlugins(
			base.NewBasePlugin(),
			commonmark.NewCommonmarkPlugin(commonmark.WithLinkEmptyHrefBehavior(commonmark.LinkBehaviorSkip), commonmark.WithLinkEmptyContentBehavior(commonmark.LinkBehaviorSkip)),
			table.NewTablePlugin(table.WithCellPaddingBehavior(table.CellPaddingBehaviorMinimal)),
		))
	return c.ConvertNode(content)
}

// mainPart gives the only <main> of a page, or else its only <article>, or else its body.
func mainPart(doc *html.Node) *html.Node {
	for _, name := range []atom.Atom{atom.Main, atom.Article} {
		var found []*html.Node
		for n := range doc.Descendants() {
			if n.DataAtom == name {
				found = append(found, n)
			}
		}
		if len(found) == 1 {
			return found[0]
		}
	}
	if body := find(doc, atom.Body); body != nil {
		return body
	}
	return doc
}

// tidy takes from a tree what is not to be read, and what would make too much of it.
type tidy struct{ base *url.URL }

func (t tidy) children(n *html.Node, depth, nested int) {
	for child := n.FirstChild; child != nil; {
		next, inner := child.NextSibling, nested
		if nests(child) {
			inner++
		}
		switch {
		case child.Type == html.TextNode:
			child.Data = asIs.Replace(child.Data)
		case child.Type != html.ElementNode:
		case t.drops(child):
			n.RemoveChild(child)
		case (depth == htmlDepth || inner > htmlNests) && child.FirstChild != nil:
			next = unwrap(child) // whose children are looked at next
		default:
			t.attributes(child)
			t.children(child, depth+1, inner)
		}
		child = next
	}
}

// drops tells whether an element is left out. Some frameworks put a whole page into
// a form.
func (t tidy) drops(n *html.Node) bool {
	return slices.Contains(chrome, n.DataAtom) && (n.DataAtom != atom.Form || find(n, atom.H1) == nil)
}

func nests(n *html.Node) bool {
	return n.DataAtom == atom.Ul || n.DataAtom == atom.Ol || n.DataAtom == atom.Blockquote || n.DataAtom == atom.Table
}

func (t tidy) attributes(n *html.Node) {
	switch n.DataAtom {
	case atom.A:
		t.resolve(n, "href")
	case atom.Img:
		t.resolve(n, "src")
	case atom.Td, atom.Th:
		n.Attr = nil // the span of a cell may be any number
		for d := range n.Descendants() {
			if d.Type == html.TextNode && !strings.Contains(d.Data, `\|`) { // that of a table within it has been here
				d.Data = strings.ReplaceAll(d.Data, "|", `\|`)
			}
		}
	case atom.Table:
		if !isRegular(n) {
			n.Attr = []html.Attribute{{Key: "role", Val: "presentation"}} // its cells are then written below one another
		}
	}
}

// resolve makes an address absolute, and takes it away where it is none.
func (t tidy) resolve(n *html.Node, key string) {
	for i := range n.Attr {
		if n.Attr[i].Key != key {
			continue
		}
		to, err := url.Parse(strings.TrimSpace(n.Attr[i].Val))
		if err == nil && t.base != nil {
			to = t.base.ResolveReference(to)
		}
		if err != nil || slices.Contains([]string{"javascript", "data", "blob"}, to.Scheme) {
			n.Attr = slices.Delete(n.Attr, i, i+1)
		} else {
			n.Attr[i].Val = to.String()
		}
		return
	}
}

// isRegular tells whether a table is not much larger as a grid than it is.
func isRegular(t *html.Node) bool {
	rows, widest, cells := 0, 0, 0
	for n := range t.Descendants() {
		if n.DataAtom != atom.Tr {
			continue
		}
		rows++
		width := 0
		for cell := n.FirstChild; cell != nil; cell = cell.NextSibling {
			width++
		}
		widest, cells = max(widest, width), cells+width
	}
	return rows*widest <= htmlGrid*cells+100
}

// unwrap puts what is in an element in its place, and gives the first of it.
func unwrap(n *html.Node) (first *html.Node) {
	first = n.FirstChild
	for n.FirstChild != nil {
		child := n.FirstChild
		n.RemoveChild(child)
		n.Parent.InsertBefore(child, n)
	}
	n.Parent.RemoveChild(n)
	return first
}

// find gives the first element of a kind below a node; nil: there is none.
func find(n *html.Node, name atom.Atom) *html.Node {
	if n == nil {
		return nil
	}
	for d := range n.Descendants() {
		if d.DataAtom == name {
			return d
		}
	}
	return nil
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	if n != nil {
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				b.WriteString(d.Data)
			}
		}
	}
	return b.String()
}

// plainText gives the text of a page that is too long or too deep, without its form.
func plainText(page string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(page))
	hidden := false // the text belongs to a script, or the like
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.StartTagToken:
			name, _ := z.TagName()
			hidden = slices.Contains(chrome[:3], atom.Lookup(name))
		case html.EndTagToken:
			hidden = false
		case html.TextToken:
			if text := strings.TrimSpace(string(z.Text())); text != "" && !hidden {
				if b.Len() > 0 {
					b.WriteString("\n")
				}
				b.WriteString(text)
			}
		}
	}
}
