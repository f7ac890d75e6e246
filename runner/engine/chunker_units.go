package engine

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"nightshift/spec"
)

// divider finds the first unit of a text, which is not empty. White space belongs to
// the unit before it.
type divider func(text string) unit

type unit struct {
	length  int     // in bytes, more than 0
	heading bool    // of what stands below it
	word    bool    // divided only where it is longer than a chunk
	finer   divider // divides it further; nil: it stays whole
}

// firstCharacter is what a reader takes for one, such as a letter with its accents.
func firstCharacter(text string) unit {
	first, _, _, _ := uniseg.FirstGraphemeClusterInString(text, -1)
	return unit{length: len(first)}
}

func firstWord(text string) unit {
	u := unit{length: len(text), word: true, finer: firstCharacter}
	space := false
	for i, r := range text {
		if space && !unicode.IsSpace(r) {
			u.length = i
			break
		}
		space = unicode.IsSpace(r)
	}
	return u
}

func firstSentence(text string) unit {
	u := unit{finer: firstWord}
	for rest, state := text, -1; rest != ""; {
		var sentence string
		sentence, rest, state = uniseg.FirstSentenceInString(rest, state)
		u.length += len(sentence)
		if !wraps(sentence, rest) {
			break
		}
	}
	return u
}

// wraps tells whether a line was broken inside of a sentence.
func wraps(line, next string) bool {
	text := strings.TrimRight(line, " \t\r\n")
	if !strings.HasSuffix(line, "\n") || text == "" || isBlank(firstLineOf(next)) {
		return false
	}
	last, _ := utf8.DecodeLastRuneInString(text)
	return !strings.ContainsRune(`.!?…:;"”»)。！？`, last) && !listItem().MatchString(firstLineOf(next))
}

var listItem = spec.Pattern(`^\s*([-*+>|]|\d+[.)])\s?`)

func firstLineOf(text string) string {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return text[:i+1]
	}
	return text
}

func isBlank(line string) bool { return strings.TrimSpace(line) == "" }

func firstLine(text string) unit {
	return unit{length: len(firstLineOf(text)), finer: firstWord}
}

// firstParagraph ends at a blank line.
func firstParagraph(text string) unit {
	return unit{length: untilBlank(text, func(string) bool { return false }), finer: firstSentence}
}

// untilBlank is the length of the text up to the blank lines behind its first
// paragraph, with them, or to a line that begins something else.
func untilBlank(text string, begins func(line string) bool) int {
	at, blank, any := 0, false, false
	for at < len(text) {
		line := firstLineOf(text[at:])
		switch isBlankLine := isBlank(line); {
		case isBlankLine:
			blank = any
		case blank, any && begins(line):
			return at
		default:
			any = true
		}
		at += len(line)
	}
	return at
}

var (
	mdHeading = spec.Pattern(`^ {0,3}#{1,6}([ \t]|\r?\n|$)`)
	mdFence   = spec.Pattern("^ {0,3}(```+|~~~+)")
)

// firstBlock is a block of Markdown: a heading (with #), code between fences, or a
// paragraph, with the blank lines behind it.
func firstBlock(text string) unit {
	if n := blanks(text); n > 0 { // what the text begins with
		return unit{length: n, finer: firstWord}
	}
	first := firstLineOf(text)
	begins := func(line string) bool { return mdHeading().MatchString(line) || mdFence().MatchString(line) }
	switch {
	case mdHeading().MatchString(first):
		return unit{length: len(first) + blanks(text[len(first):]), heading: true, finer: firstSentence}
	case mdFence().MatchString(first):
		return unit{length: fenced(text), finer: firstLine}
	}
	return unit{length: untilBlank(text, begins), finer: firstSentence}
}

// fenced is the length of a block of code with its fences and the blank lines
// behind it; one that is not closed goes on to the end.
func fenced(text string) int {
	fence := mdFence().FindStringSubmatch(text)[1]
	at := len(firstLineOf(text))
	for at < len(text) {
		line := firstLineOf(text[at:])
		at += len(line)
		if end := mdFence().FindStringSubmatch(line); end != nil && strings.HasPrefix(end[1], fence) && strings.Trim(line, " \t\r\n"+fence[:1]) == "" {
			break
		}
	}
	return at + blanks(text[at:])
}

// blanks is the length of the blank lines that a text begins with.
func blanks(text string) int {
	at := 0
	for at < len(text) {
		line := firstLineOf(text[at:])
		if !isBlank(line) {
			break
		}
		at += len(line)
	}
	return at
}
