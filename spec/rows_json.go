package spec

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"nightshift/schema"
)

// lines walks the lines of a text without their ends. A line longer than maxRow
// comes as tooLong with only its beginning.
func lines(from *bufio.Reader, name string, each func(number int, line []byte, tooLong bool) bool) error {
	var buf []byte
	for number := 1; ; number++ {
		line, err := from.ReadSlice('\n')
		tooLong := false
		if errors.Is(err, bufio.ErrBufferFull) {
			buf = append(buf[:0], line...)
			for errors.Is(err, bufio.ErrBufferFull) {
				line, err = from.ReadSlice('\n')
				if tooLong = tooLong || len(buf)+len(line) > maxRow; !tooLong {
					buf = append(buf, line...)
				}
			}
			line = buf
		}
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return fmt.Errorf("cannot read %s: %w", name, reason(err))
		}
		more := !last || len(line) > 0
		if more {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			more = each(number, line, tooLong)
		}
		if last || !more {
			return nil
		}
	}
}

// jsonlRows reads one JSON object a line; empty lines are passed over.
func jsonlRows(from *bufio.Reader, name string, yield rowFunc) error {
	var reader jsonReader
	return lines(from, name, func(number int, line []byte, tooLong bool) bool {
		if len(bytes.TrimSpace(line)) == 0 {
			return true
		}
		r := row{place: placeAt(name, number)}
		if tooLong {
			r.err = fmt.Errorf("the line has more than %d MB", maxRow>>20)
		} else {
			var v any
			v, r.err = reader.parse(line)
			if syntax := (*jsontext.SyntacticError)(nil); errors.As(r.err, &syntax) {
				r.place.Col = 1 + utf8.RuneCount(line[:min(int(syntax.ByteOffset), len(line))])
				r.err = syntax.Err
			}
			r.fill(v)
		}
		if r.err != nil {
			r.raw = bytes.Clone(line)
		}
		return yield(r)
	})
}

// fill takes a decoded value as the row, which must be an object.
func (r *row) fill(v any) {
	if r.err != nil {
		r.err = fmt.Errorf("not JSON: %s", jsonReason(r.err))
		return
	}
	values, ok := v.(map[string]any)
	if !ok {
		r.err = fmt.Errorf("the row is %s, but must be an object such as {\"name\": \"value\"}", kindOf(v))
		return
	}
	r.values = values
}

// jsonReason says what is wrong without the package's own prefix.
func jsonReason(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("%v (after %d bytes)", syntax.Err, syntax.ByteOffset)
	}
	return err.Error()
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case string:
		return "text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "a number"
}

// jsonRows streams a file that holds one JSON list of objects.
func jsonRows(from *bufio.Reader, name string, yield rowFunc) error {
	limit := &rowLimit{from: from, left: maxRow}
	count := &lineCounter{from: limit, line: 1}
	d := jsontext.NewDecoder(count)
	fail := func(err error) error {
		offset := d.InputOffset()
		if syntax := (*jsontext.SyntacticError)(nil); errors.As(err, &syntax) {
			offset = syntax.ByteOffset
		}
		p := placeAt(name, count.at(offset))
		p.Message = fmt.Sprintf("not JSON: %s", jsonReason(err))
		return &sourceError{p}
	}
	start, err := d.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fail(err)
	case start.Kind() != '[':
		return &sourceError{schema.Problem{File: name, Line: 1, Col: 1, Message: "the file must hold one list of objects, as in [{...}, {...}]; for one object a line, say format: jsonl"}}
	}
	for d.PeekKind() != ']' {
		between := bytes.TrimLeft(d.UnreadBuffer(), ", \t\r\n")
		begin := d.InputOffset() + int64(len(d.UnreadBuffer())-len(between))
		r := row{place: placeAt(name, count.at(begin))}
		v, err := readValue(d)
		if errors.Is(err, errRowTooLong) {
			r.place.Message = fmt.Sprintf("the row has more than %d MB", maxRow>>20)
			return &sourceError{r.place}
		}
		if err != nil {
			return fail(err)
		}
		limit.left = maxRow
		if r.fill(v); r.err != nil {
			r.raw = AppendJSON(nil, v)
		}
		if !yield(r) {
			return nil
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return fail(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return fail(fmt.Errorf("something follows the list"))
	}
	return nil
}

// lineCounter knows the line of offsets that lie behind what was handed out:
// it keeps the offsets of newlines that have not been asked past yet.
type lineCounter struct {
	from     io.Reader
	read     int64
	line     int     // of the last offset asked for
	newlines []int64 // offsets after that one
}

func (c *lineCounter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			c.newlines = append(c.newlines, c.read+int64(i))
		}
	}
	c.read += int64(n)
	return n, err
}

// at gives the line of an offset; offsets are asked for in rising order.
func (c *lineCounter) at(offset int64) int {
	i := 0
	for i < len(c.newlines) && c.newlines[i] < offset {
		i++
	}
	c.line += i
	c.newlines = append(c.newlines[:0], c.newlines[i:]...)
	return c.line
}
