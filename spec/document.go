package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// Limits of what is read whole. Row sources that are streamed have none.
const (
	maxDocument = 16 << 20 // bytes of a batch file, a pipeline file, or a .yaml source
	maxScalar   = 1 << 20  // bytes of one value in a batch file
	maxCopied   = 16 << 20 // bytes of text that aliases may add
	maxAliased  = 100_000  // nodes that aliases may add: far past honest reuse, far below a bomb
	maxDepth    = 1_000    // levels of nesting
	maxSnippets = 100      // problems shown with their line: nobody reads more
)

// document is one parsed YAML file: its root with aliases, merges and
// duplicate keys dealt with, and the source for snippets.
type document struct {
	file     string
	source   []byte
	split    []string // see lines
	root     *yaml.Node
	sets     []string // --set flags; nodes made by them have the line -1-index
	redact   *Redactor
	inner    bool       // a pipeline file
	subs     *subFiles  // all pipeline files
	within   []*subFile // those around this one and itself, the outermost pipeline first
	problems schema.Problems
	reading  *reading              // of the batch file that this is a part of
	written  map[*yaml.Node]string // values into which variables were filled, as they were
}

// parseDocument reads one YAML document. What is wrong with it is collected in
// problems; root is nil where nothing could be read.
func parseDocument(file string, source []byte, redact *Redactor) *document {
	d := &document{file: file, redact: redact}
	source = bytes.TrimPrefix(source, []byte("\xef\xbb\xbf"))
	switch {
	case len(source) > maxDocument:
		d.wholeFile("the file has more than %d MB; put the rows into a .csv or .jsonl file and name it with from", maxDocument>>20)
		return d
	case bytes.HasPrefix(source, []byte("\xff\xfe")), bytes.HasPrefix(source, []byte("\xfe\xff")):
		d.wholeFile("the file is UTF-16; save it as UTF-8")
		return d
	}
	d.source = source
	for rest := source; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if size = max(size, 1); r == 0 || r == utf8.RuneError && size == 1 {
			before := source[:len(source)-len(rest)]
			start := 1 + bytes.LastIndexByte(before, '\n')
			at := &yaml.Node{Line: 1 + bytes.Count(before, []byte("\n")), Column: 1 + utf8.RuneCount(before[start:])}
			if r == 0 {
				d.report(d.problem(at, "the file holds a zero byte; it is not YAML text"))
			} else {
				d.report(d.problem(at, "the file is not valid UTF-8 from here; save it as UTF-8"))
			}
			return d
		}
		rest = rest[size:]
	}

	root, err := decodeYAML(source)
	switch {
	case errors.Is(err, io.EOF) || err == nil && emptyNode(root):
		d.wholeFile("the file is empty")
	case err != nil:
		d.syntaxError(err, source)
	default:
		r := resolver{document: d, active: map[*yaml.Node]bool{}}
		if d.root = r.resolve(root, 0); r.tooMany { // what is left is not what the author wrote
			d.root = nil
		}
	}
	return d
}

// lines are those of the source, for whoever has a problem to show.
func (d *document) lines() []string {
	if d.split == nil {
		d.split = yamlLines(strings.ToValidUTF8(string(d.source), "\ufffd"))
	}
	return d.split
}

// inside tells whether this is the file of a pipeline inside of another one.
func (d *document) inside() bool { return len(d.within) > 1 }

func (d *document) wholeFile(format string, args ...any) {
	d.problems = append(d.problems, schema.Problem{File: d.file, Line: 1, Col: 1, Message: fmt.Sprintf(format, args...)})
}

// problem makes a problem at a node of this document.
func (d *document) problem(n *yaml.Node, format string, args ...any) schema.Problem {
	return d.place(schema.Problem{Line: n.Line, Col: n.Column, Message: fmt.Sprintf(format, args...)})
}

// place completes a problem that knows its line and column only.
func (d *document) place(p schema.Problem) schema.Problem {
	p.Message = d.redact.Message(p.Message)
	if p.Line < 0 { // the value came from a flag
		p.File, p.Line, p.Col = "--set "+d.redact.Text(d.sets[-1-p.Line]), 0, 0
		return p
	}
	p.File = d.file
	if len(d.problems) < maxSnippets {
		p.Snippet = d.snippet(p.Line, p.Col)
	}
	return p
}

// inBlock finds a place of the text of a literal block in the file. There is none
// where the text came from a flag, or does not stand there line by line, as that of
// variables.
func (d *document) inBlock(block *yaml.Node, line, col int) (*yaml.Node, bool) {
	text := strings.Split(strings.TrimRight(block.Value, "\n"), "\n")
	lines := d.lines()
	if line > len(text) { // what is missing is missing at the end
		line, col = len(text), utf8.RuneCountInString(text[len(text)-1])+1
	}
	at := block.Line + line
	if block.Style&yaml.LiteralStyle == 0 || block.Line < 1 || line < 1 || at > len(lines) {
		return nil, false
	}
	indent, ok := strings.CutSuffix(strings.ReplaceAll(lines[at-1], "$$", "$"), text[line-1])
	if !ok || strings.Trim(indent, " ") != "" {
		return nil, false
	}
	return &yaml.Node{Line: at, Column: len(indent) + col}, true
}

func (d *document) report(problems ...schema.Problem) {
	for _, p := range problems {
		if p.File == "" {
			p = d.place(p)
		}
		d.problems = append(d.problems, p)
	}
}

// warn reports what is no reason to refuse the file.
func (d *document) warn(p schema.Problem) {
	p.Warning = true
	d.report(p)
}

// reportFor reports what is a reason to refuse the file here. The hosted platform knows
// best what it takes: there it is a warning.
func (d *document) reportFor(backend string, p schema.Problem) {
	p.Warning = backend == "vectorshift"
	d.report(p)
}

// snippet shows the source line and a caret below the column; of a long line it
// shows the part around the column.
func (d *document) snippet(line, col int) string {
	const before, width = 40, 100
	lines := d.lines()
	if line < 1 || line > len(lines) {
		return ""
	}
	full := []rune(strings.ReplaceAll(lines[line-1], "\t", " "))
	col = min(max(col, 1), len(full)+1)
	// Secrets are hidden before the line is cut: half of one would not be found.
	text := []rune(d.redact.Text(string(full)))
	col = min(col+len([]rune(d.redact.Text(string(full[:col-1]))))-(col-1), len(text)+1)
	prefix := ""
	if len(text) > width && col > before {
		text, prefix = text[col-1-before:], schema.Cut
		col = before + 1
	}
	suffix := ""
	if len(text) > width {
		text, suffix = text[:width], schema.Cut
	}
	number := fmt.Sprintf("%5d | ", line)
	shown := number + prefix + string(text) + suffix
	caret := strings.Repeat(" ", len(number)-2) + "| " + strings.Repeat(" ", uniseg.StringWidth(prefix+string(text[:col-1]))) + "^"
	return strings.TrimRight(shown, " ") + "\n" + caret
}

// readFile reads a file that is held whole, up to the stated limit. A pipe will do.
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
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
