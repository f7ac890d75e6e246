package spec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"unicode/utf8"
)

var errNotUTF8 = fmt.Errorf("not valid UTF-8")

// textRows makes a row {line, text} of every line that is not empty.
func textRows(from *bufio.Reader, name string, yield rowFunc) error {
	return lines(from, name, func(number int, line []byte, tooLong bool) bool {
		if len(line) == 0 {
			return true
		}
		r := row{place: placeAt(name, number)}
		switch {
		case tooLong:
			r.err = fmt.Errorf("the line has more than %d MB", maxRow>>20)
		case !utf8.Valid(line):
			r.err = errNotUTF8
		default:
			r.values = map[string]any{"line": json.Number(strconv.Itoa(number)), "text": string(line)}
		}
		if r.err != nil {
			r.raw = bytes.Clone(line)
		}
		return yield(r)
	})
}

// textFileRow makes a row {path, text} of a whole file, which must be text.
func textFileRow(path, shown string, yield rowFunc) bool {
	r := row{place: placeAt(path, 1), raw: []byte(shown)}
	text, err := readRow(path)
	switch {
	case err != nil:
		r.err = fmt.Errorf("cannot read the file: %w", reason(err))
	case len(text) > maxRow:
		r.err = fmt.Errorf("the file has more than %d MB", maxRow>>20)
	case !utf8.Valid(text):
		r.err = errNotUTF8
	default:
		r.values = map[string]any{"path": shown, "text": string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))}
	}
	return yield(r)
}

func readRow(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRow+1))
}
