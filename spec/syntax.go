package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

func emptyNode(n *yaml.Node) bool {
	return n == nil || n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// decodeYAML gives the content of the only document. The parser is known to
// panic on some malformed input, and one bad file must not end the process.
func decodeYAML(source []byte) (*yaml.Node, error) {
	return firstDocument(bytes.NewReader(source))
}

func firstDocument(source io.Reader) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(source)
	var first, second yaml.Node
	if err := decoder.Decode(&first); err != nil {
		return nil, err
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, &extraDocument{line: second.Line}
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(first.Content) == 0 {
		return nil, io.EOF
	}
	return first.Content[0], nil
}

type extraDocument struct{ line int }

func (e *extraDocument) Error() string { return "a second YAML document" }

// yamlLines splits a text where a line ends for the parser, whose line numbers are
// used.
func yamlLines(text string) (lines []string) {
	for {
		end := strings.IndexFunc(text, isYAMLBreak)
		if end < 0 {
			return append(lines, text)
		}
		lines = append(lines, text[:end])
		_, size := utf8.DecodeRuneInString(text[end:])
		if strings.HasPrefix(text[end:], "\r\n") {
			size = 2
		}
		text = text[end+size:]
	}
}

func isYAMLBreak(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}

var yamlLine = Pattern(`line (\d+): `)

func (d *document) syntaxError(err error, source []byte) {
	p := schema.Problem{File: d.file, Line: 1, Col: 1}
	if extra := (*extraDocument)(nil); errors.As(err, &extra) {
		p.Line = extra.line
		p.Message = "a second YAML document begins here; a batch file is one document"
	} else {
		message := strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine().FindStringSubmatch(message); m != nil {
			p.Line, _ = strconv.Atoi(m[1])
			message = strings.Replace(message, m[0], "", 1)
		}
		if line := brokenLine(source); line > 0 {
			p.Line = line
		}
		p.Line = min(p.Line, len(d.lines()))
		text := d.lines()[p.Line-1]
		p.Col = 1 + utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimLeft(text, " "))
		p.Message = "not valid YAML: " + strings.TrimSuffix(message, ".") + syntaxHint(text, message)
	}
	p.Snippet = d.snippet(p.Line, p.Col)
	d.problems = append(d.problems, p)
}

// brokenLine finds the line that breaks the syntax: the one after the longest
// run of lines that can be read by itself. The parser names the place where the
// construct around it began, or the line before. 0: it would take too long.
func brokenLine(source []byte) int {
	const effort = 4 << 20 // bytes to parse
	var ends []int
	reader := &lineReader{source: source, ends: &ends}
	if _, err := firstDocument(reader); err == nil {
		return 0
	}
	for spent, i := 0, len(ends)-1; i >= 0; i-- { // nothing past the lines that the parser asked for matters
		if spent += ends[i]; spent > effort {
			return 0
		}
		if _, err := firstDocument(bytes.NewReader(source[:ends[i]])); err == nil || errors.Is(err, io.EOF) {
			return i + 2
		}
	}
	return 1
}

// lineReader hands out one line at a time and keeps where each ended.
type lineReader struct {
	source []byte
	at     int
	ends   *[]int
}

func (r *lineReader) Read(p []byte) (int, error) {
	if r.at == len(r.source) {
		return 0, io.EOF
	}
	n := len(r.source) - r.at
	if i := bytes.IndexByte(r.source[r.at:], '\n'); i >= 0 {
		n = i + 1
	}
	n = copy(p, r.source[r.at:r.at+n])
	if r.at += n; r.at == len(r.source) || r.source[r.at-1] == '\n' {
		*r.ends = append(*r.ends, r.at)
	}
	return n, nil
}

// syntaxHint says what to do about the usual slips.
func syntaxHint(line, message string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "; indent with spaces, never with tabs"
	case strings.Contains(line, ": {{"), strings.Contains(line, "- {{"), strings.Contains(line, "[{{"):
		return "; put a value that begins with {{ in quotes"
	case strings.Contains(line, "${") && strings.Contains(message, "did not find expected"):
		return "; inside of { } or [ ] put ${...} in quotes"
	case strings.Contains(message, "mapping values are not allowed"):
		return "; check the indentation, and put a text that holds \": \" in quotes"
	case strings.Contains(message, "cannot start any token"):
		return "; put a text that begins with such a character in quotes"
	case strings.Contains(message, "unknown escape"), strings.Contains(message, "escape"):
		return "; in double quotes a backslash is written twice, or use single quotes"
	case strings.Contains(message, "unexpected end of stream"), strings.Count(line, "\"")%2 == 1:
		return "; is a quote not closed?"
	case strings.Count(line, "{") != strings.Count(line, "}"), strings.Count(line, "[") != strings.Count(line, "]"):
		return "; is a bracket not closed?"
	case strings.Contains(message, "did not find expected"), strings.Contains(message, "could not find expected"):
		return "; check the indentation, and that a colon and a space follow the key"
	}
	return ""
}
