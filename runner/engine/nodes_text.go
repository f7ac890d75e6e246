package engine

import (
	"fmt"
	"strings"
	"unicode"

	"nightshift/spec"
)

func compileText(s *setup) step {
	text, out := s.in("text"), s.out("text")
	return func(c *call) error {
		c.set(out, text.text(c))
		return nil
	}
}

func compileCombineText(s *setup) step {
	pieces, out := s.in("text"), s.out("processed_text")
	return func(c *call) error {
		list, err := pieces.list(c)
		if err != nil {
			return err
		}
		var b strings.Builder
		for _, piece := range list {
			b.WriteString(spec.Text(piece))
		}
		c.set(out, b.String())
		return nil
	}
}

func compileSplitText(s *setup) step {
	text, delimiter, character, out := s.in("text"), s.in("delimiter"), s.in("character"), s.out("processed_text")
	return func(c *call) error {
		kind, err := delimiter.choice(c)
		if err != nil {
			return err
		}
		var pieces []string
		switch kind {
		case "space":
			pieces = strings.Fields(text.text(c))
		case "newline":
			lines := strings.ReplaceAll(text.text(c), "\r\n", "\n")
			if lines != "" {
				pieces = strings.Split(strings.TrimSuffix(lines, "\n"), "\n")
			}
		default:
			separator := character.text(c)
			if separator == "" {
				return fmt.Errorf("input \"character\" is empty, so there is nothing to split at")
			}
			pieces = strings.Split(text.text(c), separator)
		}
		list := make([]any, len(pieces))
		for i, piece := range pieces {
			list[i] = piece
		}
		c.set(out, list)
		return nil
	}
}

// charactersPerToken is how the platform's help counts tokens.
const charactersPerToken = 4

func compileTextFormatter(s *setup) step {
	text, formatter, tokens, out := s.in("text"), s.in("formatter"), s.in("max_num_token"), s.out("output")
	return func(c *call) error {
		kind, err := formatter.choice(c)
		if err != nil {
			return err
		}
		in := text.text(c)
		switch kind {
		case "To Uppercase":
			in = strings.ToUpper(in)
		case "To Lowercase":
			in = strings.ToLower(in)
		case "To Propercase":
			in = properCase(in)
		case "Trim Spaces":
			in = strings.TrimSpace(in)
		default:
			limit, err := tokens.integer(c)
			if err != nil {
				return err
			}
			if limit < 0 {
				return fmt.Errorf("input \"max_num_token\": %d is negative", limit)
			}
			in = truncate(in, limit*charactersPerToken)
		}
		c.set(out, in)
		return nil
	}
}

// properCase capitalises the first letter of every word and lowers the others;
// an apostrophe does not end a word, nor does an accent that is a character of
// its own.
func properCase(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		begins := !inWord
		inWord = unicode.IsLetter(r) || unicode.IsDigit(r) || inWord && (r == '\'' || r == '’' || unicode.IsMark(r))
		if begins {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

// truncate keeps the first n characters.
func truncate(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func compileFindAndReplace(s *setup) step {
	text, replacements, out := s.in("text_to_manipulate"), s.in("replacements"), s.out("processed_text")
	return func(c *call) error {
		result := text.text(c)
		pairs, err := replacements.list(c)
		if err != nil {
			return err
		}
		for i, pair := range pairs {
			fields, ok := pair.(map[string]any)
			if !ok {
				return fmt.Errorf("input \"replacements\": element %d is not {find: ..., replace: ...}", i)
			}
			find := spec.Text(fields["find"])
			if find == "" {
				return fmt.Errorf("input \"replacements\": element %d has nothing to find", i)
			}
			result = strings.ReplaceAll(result, find, spec.Text(fields["replace"]))
		}
		c.set(out, result)
		return nil
	}
}
