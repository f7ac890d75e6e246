package spec

import "strings"

// nodeReferences finds the matches of nodeReference in a text, with the places that
// FindAllStringSubmatchIndex gives: of the whole, of the node, of the output.
func nodeReferences(s string) (matches [][]int) {
	for at := 0; ; {
		i := strings.Index(s[at:], "{{")
		if i < 0 {
			return matches
		}
		start := at + i
		at = start + 1
		node := skip(s, start+2, isSpace)
		dot := skip(s, node, isWord)
		if dot == node || dot == len(s) || s[dot] != '.' {
			continue
		}
		output := dot + 1
		end := skip(s, output, func(c byte) bool { return c == '.' || isWord(c) })
		if closed := skip(s, end, isSpace); end > output && strings.HasPrefix(s[closed:], "}}") {
			at = closed + 2
			matches = append(matches, []int{start, at, node, dot, output, end})
		}
	}
}

// skip gives the first place from i on whose character is another one.
func skip(s string, i int, is func(c byte) bool) int {
	for i < len(s) && is(s[i]) {
		i++
	}
	return i
}

// isWord and isSpace are \w and \s.
func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r' }
