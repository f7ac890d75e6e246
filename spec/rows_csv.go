package spec

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"nightshift/schema"
)

// csvRows reads a CSV file whose first line names the columns.
func csvRows(from *bufio.Reader, name string, yield rowFunc) error {
	r := csv.NewReader(from)
	r.ReuseRecord = true
	record, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	header, problem := csvHeader(record, err)
	if problem != "" {
		return &sourceError{schema.Problem{File: name, Line: 1, Col: 1, Message: problem}}
	}
	r.FieldsPerRecord = -1 // counted here: the message should name both numbers
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line, _ := r.FieldPos(0)
		out := row{place: placeAt(name, line)}
		var syntax *csv.ParseError
		switch {
		case errors.As(err, &syntax):
			// A quote that swallowed lines leaves no telling where the next row begins.
			if syntax.Line > syntax.StartLine {
				return &sourceError{schema.Problem{File: name, Line: syntax.StartLine, Col: 1,
					Message: "a quoted field begins here and is not closed as it should be; what follows cannot be read"}}
			}
			out.place.Line, out.place.Col = syntax.StartLine, syntax.Column
			out.err = syntax.Err
			out.raw = fmt.Appendf(nil, "%s:%d", name, syntax.StartLine)
		case err != nil:
			return fmt.Errorf("cannot read %s: %w", name, reason(err))
		case len(record) != len(header):
			out.err = fmt.Errorf("the row has %d fields, but the header names %d columns", len(record), len(header))
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

// csvHeader takes the first record; a problem is why it cannot be a header.
func csvHeader(record []string, err error) (header []string, problem string) {
	if err != nil {
		return nil, fmt.Sprintf("the header cannot be read: %v", err)
	}
	seen := map[string]bool{}
	for i, column := range record {
		column = strings.TrimSpace(column)
		switch {
		case column == "":
			return nil, fmt.Sprintf("column %d of the header has no name", i+1)
		case !utf8.ValidString(column):
			return nil, fmt.Sprintf("column %d of the header is not valid UTF-8", i+1)
		case seen[column]:
			return nil, fmt.Sprintf("the header names column %q twice", column)
		}
		seen[column] = true
		header = append(header, column)
	}
	return header, ""
}
