package runner

import (
	"bytes"
	"io"
)

// aheadChunk is how many lines are handed over at once.
const aheadChunk = 256

// scanAhead is ScanLines, but reads lines while yield works on those before: where
// yield has as much to do, that takes half the time. Raw is there only of lines
// with Err set.
func scanAhead(r io.Reader, yield func(*ScannedLine) bool) (err error) {
	chunks, quit := make(chan []ScannedLine, 4), make(chan struct{})
	go func() {
		defer close(chunks)
		var chunk []ScannedLine
		send := func() bool {
			select {
			case chunks <- chunk:
				chunk = make([]ScannedLine, 0, aheadChunk)
				return true
			case <-quit:
				return false
			}
		}
		err = ScanLines(r, func(s *ScannedLine) bool {
			line := *s
			if line.Raw = nil; line.Err != nil {
				line.Raw = bytes.Clone(s.Raw)
			}
			chunk = append(chunk, line)
			return len(chunk) < aheadChunk || send()
		})
		send()
	}()
	for chunk := range chunks {
		for i := range chunk {
			if !yield(&chunk[i]) {
				close(quit)
				for range chunks { // until the reader has let go of r
				}
				return nil
			}
		}
	}
	return err
}
