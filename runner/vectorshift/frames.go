package vectorshift

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/tmaxmax/go-sse"
)

// Frame is one event of a stream as it came. The id is that of the last frame
// that had one; the event name is "" where there is none; lines of data are joined
// by a newline.
type Frame struct{ ID, Event, Data string }

// done is what some streams say at their end, which is no frame.
const done = "[DONE]"

// frames reads the frames of a stream. One that ends without a blank line counts.
// An answer that is a JSON object instead is one frame, with the event "result".
// After an error there is nothing more.
func frames(body io.Reader) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		r := bufio.NewReader(body)
		if opensObject(r) {
			whole, err := readObject(r)
			yield(Frame{Event: "result", Data: whole}, err)
			return
		}
		// go-sse drops a last frame without a blank line. After a read that failed none is added.
		closed := io.MultiReader(&lineReader{r: r}, strings.NewReader("\n\n"))
		for e, err := range sse.Read(closed, &sse.ReadConfig{MaxEventSize: maxAnswer}) {
			if errors.Is(err, bufio.ErrTooLong) {
				err = &TooLargeError{}
			}
			frame := Frame{ID: e.LastEventID, Event: e.Type, Data: e.Data}
			if err == nil && (frame.Data == done || frame.Data == "" && frame.Event == "") {
				continue
			}
			if !yield(frame, err) || err != nil {
				return
			}
		}
	}
}

// opensObject tells whether what comes is a JSON object, which no frame begins as.
func opensObject(r *bufio.Reader) bool {
	for {
		switch next, err := r.Peek(1); {
		case err != nil:
			return false
		case bytes.ContainsAny(next, " \t\r\n"):
			_, _ = r.Discard(1)
		default:
			return next[0] == '{'
		}
	}
}

func readObject(r io.Reader) (string, error) {
	whole, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(whole) > maxAnswer {
		err = &TooLargeError{}
	}
	if err != nil {
		return "", err
	}
	return string(whole), nil
}

// lineReader gives whole lines. Without it a frame is looked through from its
// beginning whenever a packet of it has come: half a minute for one of 32 MB.
type lineReader struct {
	r     io.Reader
	ahead []byte // that was read
	whole int    // bytes of it that are whole lines
	err   error
}

func (l *lineReader) Read(p []byte) (int, error) {
	for l.whole == 0 && l.err == nil {
		if len(l.ahead) > maxAnswer {
			return 0, &TooLargeError{}
		}
		l.ahead = slices.Grow(l.ahead, 4096)
		before := len(l.ahead)
		var n int
		n, l.err = l.r.Read(l.ahead[before:cap(l.ahead)])
		l.ahead = l.ahead[:before+n]
		if end := bytes.LastIndexAny(l.ahead[before:], "\r\n"); end >= 0 {
			l.whole = before + end + 1
		}
		if l.err != nil {
			l.whole = len(l.ahead)
		}
	}
	if l.whole == 0 {
		return 0, l.err
	}
	n := copy(p, l.ahead[:l.whole])
	l.ahead, l.whole = l.ahead[n:], l.whole-n
	return n, nil
}
