package runner

import (
	"bytes"
	"errors"
	"fmt"
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
	Torn   bool   // it is the last one, and without a newline: the writer was cut off. With no Err that is all it lacks
}

var errTorn = errors.New("the line is torn: it has no end")

// scanChunk is how much is read at once: few calls, and still in the processor's
// cache when its lines are looked at.
const scanChunk = 256 << 10

// maxLine is how long a line may be, with its newline. The holes of a file may be
// longer than any memory.
const maxLine = 512 << 20

// longLine is an error about a line that is longer than it may be.
type longLine struct{ number, most int }

func (e *longLine) Error() string {
	return fmt.Sprintf("line %d has more than %d MB", e.number, e.most>>20)
}

// ScanLines reads a results file and calls yield for each of its lines, until
// yield returns false. The *ScannedLine is the same each time. What is no result
// line comes too, with Err set. The error is that of r, or says that a line is too
// long.
func ScanLines(r io.Reader, yield func(*ScannedLine) bool) error {
	return scanLines(r, maxLine, yield)
}

// scanLines takes lines of at most so many bytes.
func scanLines(r io.Reader, most int, yield func(*ScannedLine) bool) error {
	var s ScannedLine
	buf := make([]byte, scanChunk)
	for begin, end := 0, 0; ; { // what was read, and not yet given to yield
		// Half a line goes to the front. The buffer doubles for one that fills it, so
		// that even a very long line is moved only a few times.
		if begin > 0 {
			begin, end = 0, copy(buf, buf[begin:end])
		}
		if end == most {
			return &longLine{s.Number + 1, most}
		}
		if end == len(buf) {
			buf = append(buf, make([]byte, min(len(buf), most-len(buf)))...)
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
			s.Raw, s.Length, s.Torn = buf[begin:end], int64(end-begin), true
			s.Number++
			if s.Err = ParseLine(s.Raw, &s.Line); s.Err != nil {
				s.Line, s.Err = Line{}, errTorn
			}
			yield(&s)
			return nil
		}
	}
}
