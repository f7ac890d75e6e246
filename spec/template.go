package spec

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Ref is a reference inside a template: {{ node.output }} or {{ variable }} in a
// pipeline, {{ row.column }} in `map` and `key`.
type Ref struct {
	Node   string // what stands before the first dot; "" of a variable
	Output string // the rest; of a variable its name
	Slot   int    // set by Bind: where the one who evaluates keeps the value
}

// Template is a value that may hold references, at any depth of lists and maps.
// Text that is exactly one reference takes the referenced value with its type;
// a reference inside other text is turned into text.
type Template struct {
	value any    // a plain value without any reference
	parts []part // text with references
	list  []*Template
	names []string // of a map, sorted, beside list
}

// part is literal text or, where ref is set, a reference.
type part struct {
	text string
	ref  *Ref
}

var (
	nodeReference   = Pattern(`\{\{\s*(\w+)\.([\w.]+)\s*\}\}`)
	rowReference    = Pattern(`\{\{\s*(row)\.([^{}]*?)\s*\}\}`)
	bareReference   = Pattern(`\{\{\s*(\w+)\s*\}\}`)
	eitherReference = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(nodeReference().String() + "|" + bareReference().String())
	})
	wordAfterBraces = Pattern(`^\{\{\s*[\w.]`)
	likeReference   = Pattern(`\{\{\s*([\w.-]+)\s*\}\}`) // an author may have meant one
)

// looseBraces gives the text at the first {{ that begins none of the patterns,
// or "": a brace that was forgotten, or a filter that does not exist.
func looseBraces(s string, patterns ...*regexp.Regexp) string {
	for at := 0; ; {
		i := strings.Index(s[at:], "{{")
		if i < 0 {
			return ""
		}
		at += i
		end := at
		for _, p := range patterns {
			if m := p.FindStringIndex(s[at:]); m != nil && m[0] == 0 {
				end = at + m[1]
			}
		}
		switch {
		case end > at:
			at = end
		case wordAfterBraces().MatchString(s[at:]):
			return shorten(s[at:])
		default:
			at += 2 // JSON in a prompt, say
		}
	}
}

// ParseTemplate parses a value of a pipeline. Braces that hold anything else
// than a reference stay as they are.
func ParseTemplate(v any) *Template { return grammar{pattern: nodeReference()}.parse(v) }

// Template parses a value of the pipeline. Beside references to nodes, it knows
// those to the variables that the pipeline declares.
func (p *Pipeline) Template(v any) *Template {
	if len(p.Variables) == 0 {
		return ParseTemplate(v)
	}
	return grammar{eitherReference(), p.Variables}.parse(v)
}

// parseRowTemplate parses a value of `map`, or the `key`; columns may have any name.
func parseRowTemplate(v any) *Template { return grammar{pattern: rowReference()}.parse(v) }

// grammar is what counts as a reference: a match of the pattern, whose first groups
// are the two sides of the dot. A third one is the name of a variable.
type grammar struct {
	pattern   *regexp.Regexp
	variables map[string]any
}

func (g grammar) parse(v any) *Template {
	switch v := v.(type) {
	case string:
		t, end := &Template{}, 0
		for _, m := range g.matches(v) {
			ref := &Ref{}
			if m[2] >= 0 {
				ref.Node, ref.Output = v[m[2]:m[3]], v[m[4]:m[5]]
			} else if ref.Output = v[m[6]:m[7]]; !g.declares(ref.Output) {
				continue
			}
			if m[0] > end {
				t.parts = append(t.parts, part{text: v[end:m[0]]})
			}
			t.parts = append(t.parts, part{ref: ref})
			end = m[1]
		}
		if t.parts == nil {
			return &Template{value: v}
		}
		if end < len(v) {
			t.parts = append(t.parts, part{text: v[end:]})
		}
		return t
	case []any:
		return simplify(&Template{list: g.parseAll(slices.Values(v), len(v))}, v)
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		values := func(yield func(any) bool) {
			for _, name := range names {
				if !yield(v[name]) {
					return
				}
			}
		}
		return simplify(&Template{names: names, list: g.parseAll(values, len(v))}, v)
	}
	return &Template{value: v}
}

// matches gives what FindAllStringSubmatchIndex does, of the pattern that nearly all
// templates have in a tenth of its time.
func (g grammar) matches(s string) [][]int {
	if g.pattern == nodeReference() {
		return nodeReferences(s)
	}
	return g.pattern.FindAllStringSubmatchIndex(s, -1)
}

func (g grammar) declares(name string) bool {
	_, ok := g.variables[name]
	return ok
}

func (g grammar) parseAll(values func(func(any) bool), n int) []*Template {
	list := make([]*Template, 0, n)
	for v := range values {
		list = append(list, g.parse(v))
	}
	return list
}

// simplify turns a list or map without references back into a plain value.
func simplify(t *Template, v any) *Template {
	for range t.Refs() {
		return t
	}
	return &Template{value: v}
}

// Refs walks the references of a template, in the order of the text.
func (t *Template) Refs() func(yield func(*Ref) bool) {
	return func(yield func(*Ref) bool) { t.walk(yield) }
}

func (t *Template) walk(yield func(*Ref) bool) bool {
	for _, p := range t.parts {
		if p.ref != nil && !yield(p.ref) {
			return false
		}
	}
	for _, item := range t.list {
		if !item.walk(yield) {
			return false
		}
	}
	return true
}

// holdsRefs tells whether there is a reference in the template.
func (t *Template) holdsRefs() bool {
	for range t.Refs() {
		return true
	}
	return false
}

// Literal gives the value of a template without references.
func (t *Template) Literal() (v any, ok bool) {
	return t.value, t.parts == nil && t.list == nil
}

// Whole gives the reference of a template that is nothing but one.
func (t *Template) Whole() (ref *Ref, ok bool) {
	if len(t.parts) == 1 {
		return t.parts[0].ref, true
	}
	return nil, false
}

// Value evaluates the template; get gives a reference's value.
func (t *Template) Value(get func(*Ref) any) any {
	switch {
	case len(t.parts) == 1:
		return get(t.parts[0].ref)
	case t.parts != nil:
		return t.Text(get)
	case t.names != nil:
		m := make(map[string]any, len(t.names))
		for i, name := range t.names {
			m[name] = t.list[i].Value(get)
		}
		return m
	case t.list != nil:
		list := make([]any, len(t.list))
		for i, item := range t.list {
			list[i] = item.Value(get)
		}
		return list
	}
	return t.value
}

// Text evaluates the template to text.
func (t *Template) Text(get func(*Ref) any) string {
	if t.parts == nil {
		return Text(t.Value(get))
	}
	if len(t.parts) == 1 {
		return Text(get(t.parts[0].ref))
	}
	var buf [8]string
	texts, size := buf[:0], 0
	for _, p := range t.parts {
		s := p.text
		if p.ref != nil {
			s = Text(get(p.ref))
		}
		texts, size = append(texts, s), size+len(s)
	}
	var b strings.Builder
	b.Grow(size)
	for _, s := range texts {
		b.WriteString(s)
	}
	return b.String()
}

// Items gives the elements of a template that is a list as written, so that
// each can be evaluated by itself; ok is false where the whole is a reference.
func (t *Template) Items() (items []*Template, ok bool) {
	if t.list != nil && t.names == nil {
		return t.list, true
	}
	if plain, isList := t.value.([]any); isList {
		for _, v := range plain {
			items = append(items, &Template{value: v})
		}
		return items, true
	}
	return nil, false
}

// Text turns a plain value (nil, bool, string, json.Number, []any,
// map[string]any) into text: nothing for nil, JSON for lists and maps.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return string(v)
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return string(AppendJSON(nil, v))
}
