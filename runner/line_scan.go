package runner

import (
	"bytes"
	"errors"
	"io"
)

// ScannedLine is a line of a results file.
type ScannedLine struct {
	Line   Line
	Raw    []byte // with its newline; only good until yield returns
	Length int64  // of that
	Offset int64  // of its first byte in the file
	Number int    // of the line, from 1
	Err    error  // why it is no result line; nil if it is one
	Torn   bool   // it is the last one, and without a newline: the writer was cut off
}

var errTorn = errors.New("the line is torn: it has no end")

// scanChunk is how much is read at once: few calls, and still in the processor's
// cache when its lines are looked at.
const scanChunk = 256 << 10

// ScanLines reads a results file and calls yield for each of its lines, until
// yield returns false. The *ScannedLine is the same each time. What is no result
// line comes too, with Err set; a last line without a newline is torn even if it
// can be read. The error is that of r.
func ScanLines(r io.Reader, yield func(*ScannedLine) bool) error {
	var s ScannedLine
	buf := make([]byte, scanChunk)
	for begin, end := 0, 0; ; { // what was read, and not yet given to yield
		// Half a line goes to the front. The buffer doubles for one that fills it, so
		// that even a very long line is moved only a few times.
		if begin > 0 {
			begin, end = 0, copy(buf, buf[begin:end])
		}
		if end == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		n, err := r.Read(buf[end:])
		searched := end // before that there is no newline
		end += n
		for {
			length := bytes.IndexByte(buf[searched:end], '\n') + 1
			if length == 0 {
				break
			}
			s.Raw = buf[begin : searched+length]
			s.Length = int64(len(s.Raw))
			begin += len(s.Raw)
			searched = begin
			s.Number++
			s.Err = ParseLine(s.Raw[:len(s.Raw)-1], &s.Line)
			if !yield(&s) {
				return nil
			}
			s.Offset += s.Length
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return err
		case begin == end:
			return nil
		default:
			s.Raw, s.Length, s.Line, s.Err, s.Torn = buf[begin:end], int64(end-begin), Line{}, errTorn, true
			s.Number++
			yield(&s)
			return nil
		}
	}
}
