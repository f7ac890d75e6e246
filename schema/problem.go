// Package schema holds what a batch file and a result line may look like: the
// JSON Schemas, the catalogue of node types, and validation against them.
//
// Everything that is wrong comes back as positioned [Problem] values, in the
// words of the batch file and never in those of JSON Schema.
package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Problem is one thing wrong with a file, at its place.
type Problem struct {
	File    string // as the user named it; empty before the file is known
	Line    int    // from 1; 0 where the whole file is meant
	Col     int    // from 1, in characters; 0 with Line
	Message string // lower case, no final stop
	Snippet string // the source line and a caret below the place, or ""
	Warning bool   // worth saying, but no reason to refuse the file
}

// String gives "file:line:col: message", the form that editors jump to.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Col)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are all problems of one or more files. As an error it says them all,
// each with its snippet.
type Problems []Problem

func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
		if p.Snippet != "" {
			b.WriteByte('\n')
			b.WriteString(p.Snippet)
		}
	}
	return b.String()
}

// Split separates what refuses a file from what is only worth saying.
func (ps Problems) Split() (errs, warnings Problems) {
	for _, p := range ps {
		if p.Warning {
			warnings = append(warnings, p)
		} else {
			errs = append(errs, p)
		}
	}
	return errs, warnings
}

// Sort orders problems by file, then by place, and drops exact repeats.
func (ps Problems) Sort() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Col, b.Col), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(ps, func(a, b Problem) bool {
		return a.File == b.File && a.Line == b.Line && a.Col == b.Col && a.Message == b.Message
	})
}

// DidYouMean gives `; did you mean "x"?` for the candidate nearest to word, or
// "" where none is near enough to be a likely slip of the pen.
func DidYouMean(word string, candidates []string) string {
	if best := Nearest(word, candidates); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// Nearest gives the candidate that a word is likely a slip for, or "". Of those that
// differ in case and word separators only, that is the one with the fewest slips.
func Nearest(word string, candidates []string) string {
	slips := 1
	if len(word) > 3 {
		slips = max(2, len(word)/3) // two letters in the wrong order are two slips
	}
	best, bestDistance := "", slips+1
	folded := fold(word)
	for _, c := range candidates {
		other := fold(c)
		if gap := len([]rune(other)) - len([]rune(folded)); max(gap, -gap) > bestDistance {
			continue // whatever the letters are
		}
		d := levenshtein.ComputeDistance(folded, other)
		if d > 0 && d >= len(folded) {
			continue // nothing in common
		}
		if d < bestDistance || d == bestDistance && best != "" && nearer(word, c, best) {
			best, bestDistance = c, d
		}
	}
	if best == word {
		return ""
	}
	return best
}

// nearer compares candidates that are alike when folded: letter by letter, then by
// their order.
func nearer(word, a, b string) bool {
	return cmp.Or(cmp.Compare(levenshtein.ComputeDistance(word, a), levenshtein.ComputeDistance(word, b)), cmp.Compare(a, b)) < 0
}

// Cut is what stands in a message where the end of a long value was left out.
const Cut = "…"

// Shorten keeps the first characters of a value that a message is to quote.
func Shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + Cut
	}
	return s
}

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

// fold makes spellings that differ in case or in word separators equal.
func fold(s string) string {
	return separators.Replace(strings.ToLower(s))
}
