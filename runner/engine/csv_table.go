package engine

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

// csvTable is a CSV file: rows as long as its header.
type csvTable struct {
	header []string
	rows   [][]string
	lines  []int // of each row that was read; from 1
	comma  rune
}

// readTable reads CSV with a header. Commas stand between its fields or, where the
// header has none, tabs or semicolons. Where there is nothing at all the error
// is errNoHeader.
func readTable(f file) (csvTable, error) {
	text, err := decodeText(f.data)
	if err != nil {
		if instead := insteadOf(f.name, f.data); instead != "" {
			return csvTable{}, errors.New("it is " + instead)
		}
		return csvTable{}, fmt.Errorf("it %w", err)
	}
	if !strings.Contains(text, "\n") { // as old programs end lines
		text = strings.ReplaceAll(text, "\r", "\n")
	}
	t := csvTable{comma: separator(text)}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord = t.comma, -1 // counted here: the message should name both numbers
	if t.header, err = r.Read(); err != nil {
		if errors.Is(err, io.EOF) {
			return t, errNoHeader
		}
		return t, csvError(err)
	}
	for i, name := range t.header {
		if t.header[i] = strings.TrimSpace(name); strings.Contains(t.header[i], "\r") {
			return t, errors.New(`the header holds a carriage return that ends no line: end all lines with \n, or all with \r\n`)
		}
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return t, csvError(err)
		}
		line, _ := r.FieldPos(0)
		if len(row) != len(t.header) {
			return t, fmt.Errorf("line %d has %d fields, but the header names %d columns", line, len(row), len(t.header))
		}
		t.rows, t.lines = append(t.rows, row), append(t.lines, line)
	}
}

var errNoHeader = errors.New("it is empty, but must have a header")

// separator tells by the header what stands between fields.
func separator(text string) rune {
	found := map[rune]bool{}
	quoted := false
	for _, r := range text {
		switch {
		case r == '"':
			quoted, found[r] = !quoted, true
		case quoted, r == '\r':
		case r == '\n' && len(found) > 0:
			return firstOf(found)
		case r != '\n':
			found[r] = true
		}
	}
	return firstOf(found)
}

func firstOf(found map[rune]bool) rune {
	for _, r := range []rune{',', '\t', ';'} {
		if found[r] {
			return r
		}
	}
	return ','
}

// csvError says what is wrong with a row, and at which line.
func csvError(err error) error {
	syntax, ok := errors.AsType[*csv.ParseError](err)
	switch {
	case !ok:
		return err
	case syntax.Line > syntax.StartLine && errors.Is(err, csv.ErrQuote):
		return fmt.Errorf("line %d: a quoted field begins here and is not closed as it should be", syntax.StartLine)
	case errors.Is(err, csv.ErrBareQuote):
		return fmt.Errorf(`line %d: a quote inside of a field that does not begin with one; put the field in quotes and write the quote as ""`, syntax.Line)
	case errors.Is(err, csv.ErrQuote):
		return fmt.Errorf(`line %d: text follows the quote that ends a field; a quote inside of a field is written as ""`, syntax.Line)
	}
	return fmt.Errorf("line %d: %w", syntax.Line, syntax.Err)
}

// columns gives the cells of columns, each with its type.
func (t csvTable) columns(wanted []column) ([][]any, error) {
	lists := make([][]any, len(wanted))
	for i, c := range wanted {
		at, err := t.find(c)
		if err != nil {
			return nil, err
		}
		lists[i] = make([]any, len(t.rows))
		for row, cells := range t.rows {
			// A copy: else one cell would keep the whole row in memory.
			if lists[i][row], err = convertCell(strings.Clone(cells[at]), c.typ); err != nil {
				return nil, fmt.Errorf("line %d: column %s: %w", t.lines[row], quote(t.header[at]), err)
			}
		}
	}
	return lists, nil
}

func convertCell(cell, typ string) (any, error) {
	switch {
	case typ == "string", typ == "any", typ == "timestamp":
		return cell, nil
	case strings.TrimSpace(cell) == "":
		return nil, nil
	case typ == "json":
		v, err := spec.ParseJSON([]byte(cell))
		if err != nil {
			return nil, fmt.Errorf("%s is not JSON", quote(cell))
		}
		return v, nil
	}
	return spec.Convert(cell, typ)
}

// find gives the place of a column: by its name, or else by what its output is
// called.
func (t csvTable) find(c column) (int, error) {
	at := -1
	for i, name := range t.header {
		if name != c.name && (schema.OutputName(name) != c.output || slices.Contains(t.header, c.name)) {
			continue
		}
		if at >= 0 {
			return 0, fmt.Errorf("columns %d and %d of the header are both %s; give them names of their own", at+1, i+1, quote(c.name))
		}
		at = i
	}
	if at < 0 {
		hint := likeliest(c.name, t.header)
		if hint == "" {
			hint = "; it has " + someOf(t.header)
		}
		return 0, fmt.Errorf("there is no column %s%s", quote(c.name), hint)
	}
	return at, nil
}

// maxShown is how many names of columns a message has, and maxShownName how much of
// each.
const (
	maxShown     = 10
	maxShownName = 60
)

// someOf lists names of columns for a message: of a file that is none of CSV, they are
// as long as it is.
func someOf(names []string) string {
	shown := make([]string, min(len(names), maxShown))
	for i := range shown {
		shown[i] = schema.Shorten(names[i], maxShownName)
	}
	if more := len(names) - len(shown); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), more)
	}
	return strings.Join(shown, ", ")
}

// likeliest is a hint at the column that is meant by a name; "" where there is none.
func likeliest(name string, header []string) string {
	var names []string
	for _, other := range header[:min(len(header), 1000)] { // each is compared letter by letter
		if len(other) <= 4*maxShownName {
			names = append(names, other)
		}
	}
	if len(name) > 4*maxShownName {
		return ""
	}
	return schema.DidYouMean(name, names)
}

// append puts the rows of another table below, whose columns must be the same, in
// any order.
func (t *csvTable) append(more csvTable) error {
	places := make([]int, len(t.header))
	for i, name := range t.header {
		if places[i] = slices.Index(more.header, name); places[i] < 0 {
			return fmt.Errorf("input \"columns\": the file has a column %s, for which there are no values%s", quote(name), likeliest(name, more.header))
		}
		if slices.Index(t.header, name) != i {
			return fmt.Errorf("the header of the file names column %s twice", quote(name))
		}
	}
	for _, name := range more.header {
		if !slices.Contains(t.header, name) {
			return fmt.Errorf("input \"columns\": the file has no column %s; it has %s", quote(name), someOf(t.header))
		}
	}
	for _, cells := range more.rows {
		row := make([]string, len(places))
		for i, at := range places {
			row[i] = cells[at]
		}
		t.rows = append(t.rows, row)
	}
	return nil
}

// bytes gives the table as CSV.
func (t csvTable) bytes() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = t.comma
	for _, row := range slices.Concat([][]string{t.header}, t.rows) {
		if len(row) == 1 && row[0] == "" { // else the line would be blank, and readers pass over those
			w.Flush()
			b.WriteString("\"\"\n")
			continue
		}
		_ = w.Write(row) // a buffer takes all
	}
	w.Flush()
	return b.Bytes()
}

func sortedNames(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
