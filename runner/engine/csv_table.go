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
		t.header[i] = strings.TrimSpace(name)
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
				return nil, fmt.Errorf("line %d: column %q: %w", t.lines[row], t.header[at], err)
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
			return 0, fmt.Errorf("columns %d and %d of the header are both %q; give them names of their own", at+1, i+1, c.name)
		}
		at = i
	}
	if at < 0 {
		hint := schema.DidYouMean(c.name, t.header)
		if hint == "" {
			hint = "; it has " + strings.Join(t.header, ", ")
		}
		return 0, fmt.Errorf("there is no column %q%s", c.name, hint)
	}
	return at, nil
}

// append puts the rows of another table below, whose columns must be the same, in
// any order.
func (t *csvTable) append(more csvTable) error {
	places := make([]int, len(t.header))
	for i, name := range t.header {
		if places[i] = slices.Index(more.header, name); places[i] < 0 {
			return fmt.Errorf("input \"columns\": the file has a column %q, for which there are no values%s", name, schema.DidYouMean(name, more.header))
		}
		if slices.Index(t.header, name) != i {
			return fmt.Errorf("the header of the file names column %q twice", name)
		}
	}
	for _, name := range more.header {
		if !slices.Contains(t.header, name) {
			return fmt.Errorf("input \"columns\": the file has no column %q; it has %s", name, strings.Join(t.header, ", "))
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
