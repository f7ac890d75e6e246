package engine

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// chunker cuts text into chunks of a size, of which neighbours share some text.
// Lengths are in characters (runes); overlap is less than size.
type chunker struct{ size, overlap int }

// chunks cuts a text. As many of its units as fit make a chunk; one that is too large
// by itself is divided further, at last between characters as readers see them.
// White space at the ends of chunks is not kept.
//
// Neighbours share whole units, or words of one, as far as they are not longer than
// the overlap and leave room for the next unit. A heading begins a chunk, which
// shares nothing with those before, and stays with what is below it.
func (k chunker) chunks(text string, by divider) []any {
	chunks := []any{}
	now := chunk{whole: text}
	end := func() {
		if now.full {
			chunks = append(chunks, strings.TrimSpace(text[now.begin():now.end]))
		}
	}
	for todo := []part{{text, by}}; len(todo) > 0; {
		top := &todo[len(todo)-1]
		if top.rest == "" {
			todo = todo[:len(todo)-1]
			continue
		}
		u := top.divide(top.rest)
		unit := top.rest[:u.length]
		core := utf8.RuneCountInString(strings.TrimRightFunc(unit, unicode.IsSpace))
		fits := core <= k.size-now.runes
		switch {
		case u.heading && now.body:
			end()
			now = now.tail(0)
			continue
		case !fits && now.body, !fits && now.full && (u.finer == nil || u.word && core <= k.size):
			end()
			now = now.tail(k.overlap)
			continue
		case !fits && u.finer != nil && (core > k.size || now.full): // the latter: below a heading
			top.rest = top.rest[u.length:]
			todo = append(todo, part{unit, u.finer})
			continue
		case !fits:
			now = now.tail(k.size - core)
		}
		now.add(len(unit), utf8.RuneCountInString(unit))
		now.full = now.full || core > 0
		now.body = now.body || core > 0 && !u.heading
		top.rest = top.rest[u.length:]
	}
	end()
	return chunks
}

// part is text that is not in a chunk yet, and how it is divided.
type part struct {
	rest   string
	divide divider
}

// chunk is one in the making: units side by side.
type chunk struct {
	whole string // the text
	units []span
	end   int  // offset of where the next unit begins
	runes int  // of all units
	full  bool // holds what no chunk before it holds
	body  bool // and not headings alone
}

type span struct{ begin, runes int }

func (c *chunk) add(length, runes int) {
	c.units = append(c.units, span{c.end, runes})
	c.end += length
	c.runes += runes
}

func (c *chunk) begin() int {
	if len(c.units) == 0 {
		return c.end
	}
	return c.units[0].begin
}

// tail begins the next chunk with the end of this one: at most so many characters,
// in whole units or, where the last is longer, in words or characters of it.
func (c *chunk) tail(most int) chunk {
	next := chunk{whole: c.whole, end: c.end}
	units := c.units
	for _, divide := range []divider{nil, firstWord, firstCharacter} {
		if divide != nil && len(units) > 0 {
			last := units[len(units)-1].begin
			units = units[:0:0]
			for at := last; at < c.end; {
				n := divide(c.whole[at:c.end]).length
				units = append(units, span{at, utf8.RuneCountInString(c.whole[at : at+n])})
				at += n
			}
		}
		at := len(units)
		for at > 0 && next.runes+units[at-1].runes <= most {
			at--
			next.runes += units[at].runes
		}
		if next.units = slices.Clone(units[at:]); len(next.units) > 0 || most <= 0 {
			break
		}
	}
	return next
}
