package spec

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// Source is where the rows of a batch come from: inline inputs, files, standard
// input, or a matrix. Files are streamed; only .yaml sources are read whole.
type Source struct {
	Format string // as written; "": by the file's ending

	inline *yaml.Node
	axes   []axisOf
	at     schema.Problem // the place of the axes
	from   []*yaml.Node   // paths, globs, or "-"
	doc    *document

	pathsOnly bool // rows of whole files have no text: nobody asks for it
}

type axisOf struct {
	name   string
	values []any
}

// row is one row of a source. Where err is set the row cannot be used, but the
// rows after it can.
type row struct {
	values map[string]any
	place  schema.Problem // where it stands; without a message
	err    error
	raw    []byte // of a row that cannot be used: what its id is made from
}

// rowFunc takes rows one by one; false asks for no more.
type rowFunc func(row) bool

// maxRow is the most that one row of a streamed source may take, in bytes.
const maxRow = 16 << 20

// Stdin tells whether rows come from standard input.
func (s *Source) Stdin() bool {
	return slices.ContainsFunc(s.from, func(n *yaml.Node) bool { return n.Value == "-" })
}

// Rereadable tells whether the rows can be read twice: not from standard input,
// a pipe or a device.
func (s *Source) Rereadable() bool {
	if s.Stdin() {
		return false
	}
	for _, n := range s.from {
		if info, err := os.Stat(s.doc.path(n.Value)); err == nil && !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// oneFile tells whether every row has a line of its own.
func (s *Source) oneFile() bool {
	return s.inline != nil || len(s.from) == 1 && s.Format != "file" && !isGlob(s.from[0].Value)
}

// Describe says in words where rows come from.
func (s *Source) Describe() string {
	switch {
	case s.inline != nil:
		return "the batch file"
	case s.axes != nil:
		return "a matrix"
	}
	var names []string
	for _, n := range s.from {
		if n.Value == "-" {
			names = append(names, "standard input")
		} else {
			names = append(names, s.doc.path(n.Value))
		}
	}
	return strings.Join(names, ", ")
}

// rows walks all rows. An error is one after which nothing can be read: a file
// that is not there, a syntax error that the rest of the file hangs on.
func (s *Source) rows(stdin io.Reader, yield rowFunc) error {
	more := true
	next := func(r row) bool {
		more = yield(r)
		return more
	}
	switch {
	case s.inline != nil:
		nodeRows(s.doc, s.inline, next)
		return nil
	case s.axes != nil:
		matrixRows(s.axes, s.at, next)
		return nil
	}
	for _, n := range s.from {
		if !more {
			return nil
		}
		if err := s.fileRows(n, stdin, next); err != nil {
			if problem, ok := errors.AsType[*sourceError](err); ok && problem.File != "" {
				return err
			}
			return &sourceError{s.doc.problem(n, "%v", err)}
		}
	}
	return nil
}

// sourceError is an error at a place in a source, or in the batch file.
type sourceError struct{ schema.Problem }

func (e *sourceError) Error() string { return e.String() }

func (s *Source) fileRows(n *yaml.Node, stdin io.Reader, yield rowFunc) error {
	if n.Value == "-" {
		return s.read(stdin, "standard input", s.format("", "jsonl"), yield)
	}
	path := s.doc.path(n.Value)
	if !isGlob(n.Value) {
		if s.Format == "file" {
			s.wholeFile(path, n.Value, yield)
			return nil
		}
		return s.open(path, s.format(path, ""), yield)
	}
	matches, err := s.doc.glob(n.Value)
	if err != nil {
		return fmt.Errorf("%q is not a pattern: a bracket in it is not closed", n.Value)
	}
	if len(matches) == 0 {
		return fmt.Errorf("no file matches %q", n.Value)
	}
	more := true
	for _, match := range matches {
		if !more {
			break
		}
		if s.Format == "" || s.Format == "file" {
			relative, err := filepath.Rel(filepath.Dir(s.doc.file), match)
			if err != nil || filepath.IsAbs(n.Value) {
				relative = match
			}
			more = s.wholeFile(match, filepath.ToSlash(relative), yield)
			continue
		}
		if err := s.open(match, s.Format, func(r row) bool { more = yield(r); return more }); err != nil {
			return err
		}
	}
	return nil
}

// wholeFile makes the row of a file, which is read only where its text is wanted:
// it may be a picture, or too large for a row.
func (s *Source) wholeFile(path, shown string, yield rowFunc) bool {
	if s.pathsOnly {
		return yield(row{place: placeAt(path, 1), values: map[string]any{"path": shown}})
	}
	return textFileRow(path, shown, yield)
}

var escapeGlob = strings.NewReplacer("\\", `[\\]`, "*", "\\*", "?", "\\?", "[", "\\[", "{", "\\{")

// glob gives the files that a pattern matches, sorted; the batch file's own
// folder is none of the pattern, whatever characters are in its name.
func (d *document) glob(pattern string) ([]string, error) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(escapeGlob.Replace(filepath.Dir(d.file)), pattern)
	}
	// Links to folders are not followed, as they may lead in circles.
	matches, err := doublestar.FilepathGlob(pattern, doublestar.WithNoFollow())
	matches = slices.DeleteFunc(matches, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && !info.Mode().IsRegular()
	})
	slices.Sort(matches)
	return matches, err
}

func isGlob(path string) bool { return strings.ContainsAny(path, "*?[{") }

// format is what the author said, else the file's ending, else the fallback.
func (s *Source) format(path, fallback string) string {
	if s.Format != "" {
		return s.Format
	}
	switch ending := strings.ToLower(filepath.Ext(path)); ending {
	case ".csv", ".jsonl", ".json", ".yaml", ".txt":
		return ending[1:]
	case ".yml":
		return "yaml"
	case ".ndjson":
		return "jsonl"
	}
	return fallback
}

func (s *Source) open(path, format string, yield rowFunc) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder; name its files with a pattern such as %s", path, filepath.Join(path, "*.txt"))
	}
	return s.read(f, path, format, yield)
}

func (s *Source) read(from io.Reader, name, format string, yield rowFunc) error {
	r, err := openText(from, name)
	if err != nil {
		return err
	}
	switch format {
	case "csv":
		return csvRows(r, name, yield)
	case "jsonl":
		return jsonlRows(r, name, yield)
	case "json":
		return jsonRows(r, name, yield)
	case "yaml":
		return yamlRows(r, name, yield)
	case "txt":
		return textRows(r, name, yield)
	}
	return fmt.Errorf("the format of %s is not known by its ending; say format: csv, jsonl, json, yaml or txt", name)
}

// openText skips a byte-order mark and refuses UTF-16, which editors and
// spreadsheets on Windows write.
func openText(from io.Reader, name string) (*bufio.Reader, error) {
	r := bufio.NewReaderSize(from, 64<<10)
	start, err := r.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read %s: %w", name, reason(err))
	}
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, _ = r.Discard(3)
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return nil, &sourceError{schema.Problem{File: name, Line: 1, Col: 1, Message: "the file is UTF-16; save it as UTF-8"}}
	}
	return r, nil
}

// rowLimit ends a source in which one row takes more than maxRow, as a quote
// that is never closed makes of all that follows. Whoever reads rows from it
// sets left anew at each.
type rowLimit struct {
	from io.Reader
	left int
}

var errRowTooLong = fmt.Errorf("a row has more than %d MB", maxRow>>20)

func (l *rowLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errRowTooLong
	}
	n, err := l.from.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

func placeAt(file string, line int) schema.Problem {
	return schema.Problem{File: file, Line: line, Col: 1}
}
