package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// Limits of what is read whole. Row sources that are streamed have none.
const (
	maxDocument = 16 << 20 // bytes of a batch file, a pipeline file, or a .yaml source
	maxScalar   = 1 << 20  // bytes of one value in a batch file
	maxAliased  = 100_000  // nodes that aliases may add: far past honest reuse, far below a bomb
	maxDepth    = 1_000    // levels of nesting
)

// document is one parsed YAML file: its root with aliases, merges and
// duplicate keys dealt with, and the source for snippets.
type document struct {
	file     string
	lines    []string
	root     *yaml.Node
	sets     []string // --set flags; nodes made by them have the line -1-index
	env      Environment
	redact   *Redactor
	problems schema.Problems
}

// parseDocument reads one YAML document. What is wrong with it is collected in
// problems; root is nil where nothing could be read.
func parseDocument(file string, source []byte) *document {
	d := &document{file: file, redact: &Redactor{}}
	source = bytes.TrimPrefix(source, []byte("\xef\xbb\xbf"))
	switch {
	case len(source) > maxDocument:
		d.wholeFile("the file has more than %d MB; put the rows into a .csv or .jsonl file and name it with from", maxDocument>>20)
		return d
	case bytes.HasPrefix(source, []byte("\xff\xfe")), bytes.HasPrefix(source, []byte("\xfe\xff")):
		d.wholeFile("the file is UTF-16; save it as UTF-8")
		return d
	case bytes.IndexByte(source, 0) >= 0:
		line := 1 + bytes.Count(source[:bytes.IndexByte(source, 0)], []byte("\n"))
		d.problems = append(d.problems, schema.Problem{File: file, Line: line, Col: 1, Message: "the file holds a zero byte; it is not YAML text"})
		return d
	case !utf8.Valid(source):
		line := 1
		for rest := source; len(rest) > 0; {
			r, size := utf8.DecodeRune(rest)
			if r == utf8.RuneError && size == 1 {
				break
			}
			if r == '\n' {
				line++
			}
			rest = rest[size:]
		}
		d.problems = append(d.problems, schema.Problem{File: file, Line: line, Col: 1, Message: "the file is not valid UTF-8"})
		return d
	}
	d.lines = strings.Split(strings.ReplaceAll(string(source), "\r\n", "\n"), "\n")

	root, err := decodeYAML(source)
	switch {
	case errors.Is(err, io.EOF) || err == nil && emptyNode(root):
		d.wholeFile("the file is empty")
	case err != nil:
		d.syntaxError(err)
	default:
		r := resolver{document: d, active: map[*yaml.Node]bool{}}
		d.root = r.resolve(root, 0)
	}
	return d
}

func emptyNode(n *yaml.Node) bool {
	return n == nil || n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// decodeYAML gives the content of the only document. The parser is known to
// panic on some malformed input, and one bad file must not end the process.
func decodeYAML(source []byte) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(source))
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

var yamlLine = regexp.MustCompile(`line (\d+): `)

func (d *document) syntaxError(err error) {
	p := schema.Problem{File: d.file, Line: 1, Col: 1}
	if extra := (*extraDocument)(nil); errors.As(err, &extra) {
		p.Line = extra.line
		p.Message = "a second YAML document begins here; a batch file is one document"
	} else {
		message := strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(message); m != nil {
			p.Line, _ = strconv.Atoi(m[1])
			message = strings.Replace(message, m[0], "", 1)
		}
		p.Message = "not valid YAML: " + strings.TrimSuffix(message, ".")
	}
	p.Snippet = d.snippet(p.Line, p.Col)
	d.problems = append(d.problems, p)
}

func (d *document) wholeFile(format string, args ...any) {
	d.problems = append(d.problems, schema.Problem{File: d.file, Line: 1, Col: 1, Message: fmt.Sprintf(format, args...)})
}

// problem makes a problem at a node of this document.
func (d *document) problem(n *yaml.Node, format string, args ...any) schema.Problem {
	return d.place(schema.Problem{Line: n.Line, Col: n.Column, Message: fmt.Sprintf(format, args...)})
}

// place completes a problem that knows its line and column only.
func (d *document) place(p schema.Problem) schema.Problem {
	p.Message = d.redact.Text(p.Message)
	if p.Line < 0 { // the value came from a flag
		p.File, p.Line, p.Col = "--set "+d.redact.Text(d.sets[-1-p.Line]), 0, 0
		return p
	}
	p.File = d.file
	p.Snippet = d.snippet(p.Line, p.Col)
	return p
}

func (d *document) report(problems ...schema.Problem) {
	for _, p := range problems {
		if p.File == "" {
			p = d.place(p)
		}
		d.problems = append(d.problems, p)
	}
}

// snippet shows the source line and a caret below the column; of a long line it
// shows the part around the column.
func (d *document) snippet(line, col int) string {
	const before, width = 40, 100
	if line < 1 || line > len(d.lines) {
		return ""
	}
	text := []rune(strings.ReplaceAll(d.lines[line-1], "\t", " "))
	col = min(max(col, 1), len(text)+1)
	prefix := ""
	if len(text) > width && col > before {
		text, prefix = text[col-1-before:], "…"
		col = before + 1
	}
	suffix := ""
	if len(text) > width {
		text, suffix = text[:width], "…"
	}
	number := fmt.Sprintf("%5d | ", line)
	shown := number + prefix + string(text) + suffix
	caret := strings.Repeat(" ", len(number)-2) + "| " + strings.Repeat(" ", utf8.RuneCountInString(prefix)+col-1) + "^"
	return d.redact.Text(strings.TrimRight(shown, " ")) + "\n" + caret
}

// resolver replaces aliases by what they stand for, applies merge keys, and
// reports duplicate keys (which yaml.v3 accepts when it decodes into a Node).
type resolver struct {
	*document
	active  map[*yaml.Node]bool // anchors being expanded, to find those that hold themselves
	aliased int
	tooMany bool
}

func (r *resolver) resolve(n *yaml.Node, depth int) *yaml.Node {
	if depth > maxDepth {
		r.once(n, "nested more than %d levels deep", maxDepth)
		return null(n)
	}
	if len(r.active) > 0 {
		if r.aliased++; r.aliased > maxAliased {
			r.once(n, "aliases (*name) expand to more than %d values", maxAliased)
			return null(n)
		}
	}
	switch n.Kind {
	case yaml.AliasNode:
		if r.active[n.Alias] {
			r.once(n, "anchor &%s holds itself", n.Value)
			return null(n)
		}
		r.active[n.Alias] = true
		defer delete(r.active, n.Alias)
		return r.resolve(n.Alias, depth+1)
	case yaml.ScalarNode:
		if len(n.Value) > maxScalar {
			r.report(r.problem(n, "a value of %d bytes; the limit for one value is %d: put it into a file and name it with from", len(n.Value), maxScalar))
			return null(n)
		}
		if tag := n.ShortTag(); !strings.HasPrefix(tag, "!!") {
			r.report(r.problem(n, "unknown YAML tag %s", tag))
		}
		clone := *n
		return &clone
	case yaml.SequenceNode:
		clone := *n
		clone.Content = make([]*yaml.Node, len(n.Content))
		for i, c := range n.Content {
			clone.Content[i] = r.resolve(c, depth+1)
		}
		return &clone
	case yaml.MappingNode:
		return r.mapping(n, depth)
	}
	return null(n)
}

func (r *resolver) mapping(n *yaml.Node, depth int) *yaml.Node {
	clone := *n
	clone.Content = make([]*yaml.Node, 0, len(n.Content))
	seen := map[string]*yaml.Node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		key = r.resolve(key, depth+1)
		if key.Kind != yaml.ScalarNode {
			r.report(r.problem(key, "a key must be plain text"))
			continue
		}
		if first := seen[key.Value]; first != nil {
			r.report(r.problem(key, "key %q is given twice; the first is on line %d", key.Value, first.Line))
			continue
		}
		seen[key.Value] = key
		clone.Content = append(clone.Content, key, r.resolve(value, depth+1))
	}
	for _, m := range merged {
		sources := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			sources = m.Content
		}
		for _, source := range sources {
			from := r.resolve(source, depth+1)
			if from.Kind != yaml.MappingNode {
				r.report(r.problem(source, "<< takes a map, or a list of maps"))
				continue
			}
			for i := 0; i+1 < len(from.Content); i += 2 {
				if key := from.Content[i]; seen[key.Value] == nil {
					seen[key.Value] = key
					clone.Content = append(clone.Content, key, from.Content[i+1])
				}
			}
		}
	}
	return &clone
}

// once reports the first trouble with expansion; the rest would repeat it.
func (r *resolver) once(n *yaml.Node, format string, args ...any) {
	if !r.tooMany {
		r.tooMany = true
		r.report(r.problem(n, format, args...))
	}
}

func null(n *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
}

// readFile reads a file that is held whole, up to the stated limit.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("it is a folder")
	}
	return io.ReadAll(io.LimitReader(f, maxDocument+1))
}

// reason gives the cause of a file error without the path that the caller says.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
