package runner

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// cursor walks over a JSON text that has no white space. Its methods go past what
// they name, and return false where there is something else.
type cursor struct{ rest []byte }

func (c *cursor) skip(word string) bool {
	if len(c.rest) < len(word) || string(c.rest[:len(word)]) != word {
		return false
	}
	c.rest = c.rest[len(word):]
	return true
}

// next is the byte at the cursor; 0, which JSON has nowhere, at the end.
func (c *cursor) next() byte {
	if len(c.rest) == 0 {
		return 0
	}
	return c.rest[0]
}

// object goes past an object or null.
func (c *cursor) object() bool {
	if c.next() == '{' {
		return c.value(0)
	}
	return c.skip("null")
}

// maxFastDepth is how many values may lie in each other; the decoder takes more.
const maxFastDepth = 100

// value goes past any JSON value without white space.
func (c *cursor) value(depth int) bool {
	switch b := c.next(); b {
	case '"':
		_, _, ok := c.quoted()
		return ok
	case '{', '[':
		if depth == maxFastDepth {
			return false
		}
		end := "}"
		if b == '[' {
			end = "]"
		}
		c.rest = c.rest[1:]
		if c.skip(end) {
			return true
		}
		for {
			if b == '{' {
				if _, _, ok := c.quoted(); !ok || !c.skip(":") {
					return false
				}
			}
			if !c.value(depth + 1) {
				return false
			}
			if !c.skip(",") {
				return c.skip(end)
			}
		}
	case 't':
		return c.skip("true")
	case 'f':
		return c.skip("false")
	case 'n':
		return c.skip("null")
	}
	return c.number()
}

// number goes past a number of any form.
func (c *cursor) number() bool {
	c.skip("-")
	if !c.skip("0") && !c.manyDigits() {
		return false
	}
	if c.skip(".") && !c.manyDigits() {
		return false
	}
	if c.skip("e") || c.skip("E") {
		_ = c.skip("+") || c.skip("-")
		return c.manyDigits()
	}
	return true
}

func (c *cursor) manyDigits() bool {
	width := 0
	for width < len(c.rest) && isDigit(c.rest[width]) {
		width++
	}
	c.rest = c.rest[width:]
	return width > 0
}

// quoted gives what is between the quotes of a string, and whether there are
// escapes in it.
func (c *cursor) quoted() (text []byte, escaped, ok bool) {
	if c.next() != '"' {
		return nil, false, false
	}
	b := c.rest[1:]
	ascii := true
	for end := 0; ; {
		n, plain := untilStop(b[end:])
		end += n
		ascii = ascii && plain
		if end == len(b) {
			return nil, false, false
		}
		if b[end] == '"' {
			c.rest = b[end+1:]
			return b[:end], escaped, ascii || utf8.Valid(b[:end])
		}
		width := escapeWidth(b[end:])
		if width == 0 {
			return nil, false, false
		}
		escaped = true
		end += width
	}
}

// untilStop counts the bytes before a quote, a backslash or a control character,
// and tells whether all are ASCII; it may deny that where a few bytes behind are
// not.
//
// Nearly all of a line is text, so it is looked at 8 bytes at once. In stops,
// the highest bit of a byte is set where there is a byte to stop at. A borrow may
// set it too, but only above such a byte, and the lowest is the one that counts.
func untilStop(b []byte) (n int, ascii bool) {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	var all uint64
	for ; n+8 <= len(b); n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		all |= x
		quote, slash := x^ones*'"', x^ones*'\\'
		if stops := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & highs; stops != 0 {
			return n + bits.TrailingZeros64(stops)/8, all&highs == 0
		}
	}
	for ; n < len(b) && b[n] >= ' ' && b[n] != '"' && b[n] != '\\'; n++ {
		all |= uint64(b[n])
	}
	return n, all&highs == 0
}

// escapeWidth is the length of the escape that b begins with; 0 where there is
// none, or half of a surrogate pair, of which the decoder knows more.
func escapeWidth(b []byte) int {
	if len(b) < 2 || b[0] != '\\' {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, digit := range b[2:6] {
			if !isDigit(digit) && (digit|0x20 < 'a' || digit|0x20 > 'f') {
				return 0
			}
		}
		if b[2]|0x20 == 'd' && b[3] >= '8' {
			return 0
		}
		return 6
	}
	return 0
}
