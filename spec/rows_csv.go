package spec

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"nightshift/schema"
)

// csvRows reads a CSV file whose first line names the columns.
func csvRows(from *bufio.Reader, name string, yield rowFunc) error {
	limit := &rowLimit{from: from, left: maxRow}
	r := csv.NewReader(bufio.NewReaderSize(limit, 64<<10))
	r.ReuseRecord = true
	record, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	header, problem := csvHeader(name, record, err)
	if problem != nil {
		return &sourceError{*problem}
	}
	r.FieldsPerRecord = -1 // counted here: the message should name both numbers
	line := 1
	for {
		limit.left = maxRow
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil { // FieldPos panics where a row breaks off in its first field
			line, _ = r.FieldPos(0)
		}
		out := row{place: placeAt(name, line)}
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, errRowTooLong):
			return &sourceError{schema.Problem{File: name, Line: line, Col: 1,
				Message: fmt.Sprintf("a row after this one has more than %d MB; is a quote in it not closed?", maxRow>>20)}}
		case errors.As(err, &syntax):
			// A quote that swallowed lines leaves no telling where the next row begins.
			if syntax.Line > syntax.StartLine {
				return &sourceError{schema.Problem{File: name, Line: syntax.StartLine, Col: 1,
					Message: "a quoted field begins here and is not closed as it should be; what follows cannot be read"}}
			}
			out.place.Line, out.place.Col = syntax.StartLine, syntax.Column
			out.err = csvReason(syntax.Err)
			out.raw = fmt.Appendf(nil, "%s:%d", filepath.Base(name), syntax.StartLine) // what is in the row is lost
		case err != nil:
			return fmt.Errorf("cannot read %s: %w", name, reason(err))
		case len(record) != len(header):
			out.err = fmt.Errorf("the row is of length %d, but the header names %d columns", len(record), len(header))
			out.raw = []byte(strings.Join(record, "\x00"))
		default:
			out.values = make(map[string]any, len(header))
			for i, column := range header {
				if !utf8.ValidString(record[i]) {
					out.err = fmt.Errorf("column %q is not valid UTF-8", column)
					out.raw = []byte(strings.Join(record, "\x00"))
				}
				out.values[column] = record[i]
			}
		}
		if !yield(out) {
			return nil
		}
	}
}

// csvReason says what is wrong with a row and what to do.
func csvReason(err error) error {
	switch {
	case errors.Is(err, csv.ErrBareQuote):
		return fmt.Errorf(`a quote inside of a field that does not begin with one; put the field in quotes and write the quote as ""`)
	case errors.Is(err, csv.ErrQuote):
		return fmt.Errorf(`text follows the quote that ends a field; a quote inside of a field is written as ""`)
	}
	return err
}

// csvHeader takes the first record; a problem is why it cannot be a header.
func csvHeader(name string, record []string, err error) (header []string, problem *schema.Problem) {
	fail := func(format string, args ...any) ([]string, *schema.Problem) {
		p := placeAt(name, 1)
		p.Message = fmt.Sprintf(format, args...)
		if syntax := (*csv.ParseError)(nil); errors.As(err, &syntax) && syntax.Line == syntax.StartLine {
			p.Line, p.Col = syntax.Line, syntax.Column
		}
		return nil, &p
	}
	if syntax := (*csv.ParseError)(nil); errors.As(err, &syntax) {
		return fail("the header cannot be read: %v", csvReason(syntax.Err))
	} else if err != nil {
		return fail("the header cannot be read: %v", err)
	}
	seen := map[string]bool{}
	for i, column := range record {
		column = strings.TrimSpace(column)
		switch {
		case column == "":
			return fail("column %d of the header has no name", i+1)
		case !utf8.ValidString(column):
			return fail("column %d of the header is not valid UTF-8", i+1)
		case seen[column]:
			return fail("the header names column %q twice", column)
		}
		seen[column] = true
		header = append(header, column)
	}
	return header, nil
}
