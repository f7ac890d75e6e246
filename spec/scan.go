package spec

import (
	"bytes"
	"slices"

	"nightshift/schema"
)

// Scan is what one look over the rows of a batch finds.
type Scan struct {
	Rows       int  // items of either kind
	Bad        int  // items that cannot be run
	Duplicates int  // those of them whose key is another item's
	Fatal      bool // nothing can be run: the source broke off, or is empty
	Problems   schema.Problems

	repeats int // problems that are there already
}

// maxScanProblems is how many bad rows are shown; the rest is counted.
const maxScanProblems = 20

// Scan reads all rows once without running anything, and gives their items to
// each, from one goroutine; where that is nil, their ids are made only as far as
// keys ask for it, which is faster. It must not be called for a source that
// cannot be read twice.
func (b *Batch) Scan(each func(*Item)) Scan {
	var s Scan
	ids := b.identifier()
	named := each != nil || b.Key != ""
	err := b.inChunks(func(u *unnamed) {
		if named {
			ids.identify(&u.item, u.key, u.row)
		}
		if each != nil {
			each(&u.item)
		}
		s.add(&u.item)
	})
	if more := s.Bad - s.repeats - len(s.Problems); more > 0 {
		s.Problems = append(s.Problems, b.doc.problem(b.key, "batch %s has %d more rows that cannot be used", b.Name, more))
	}
	switch {
	case err != nil:
		s.Fatal = true
		s.Problems = append(s.Problems, b.SourceProblem(err))
	case s.Rows == 0:
		s.Fatal = true
		s.Problems = append(s.Problems, b.Empty())
	}
	return s
}

func (s *Scan) add(item *Item) {
	s.Rows++
	if item.Err == nil {
		return
	}
	s.Bad++
	if item.Err.Class == DuplicateKey {
		s.Duplicates++
	}
	// Combinations of a matrix repeat what is wrong with one value.
	if slices.Contains(s.Problems, item.Err.Problem) {
		s.repeats++
	} else if len(s.Problems) < maxScanProblems {
		s.Problems = append(s.Problems, item.Err.Problem)
	}
}

// scanChunk is how many items are handed over at once.
const scanChunk = 256

// inChunks reads rows and makes items of them, while another goroutine works on
// those that came before: each half is about half of the work.
func (b *Batch) inChunks(work func(*unnamed)) error {
	chunks, done := make(chan []unnamed, 4), make(chan struct{})
	go func() {
		defer close(done)
		for chunk := range chunks {
			for i := range chunk {
				work(&chunk[i])
			}
		}
	}()
	chunk := make([]unnamed, 0, scanChunk)
	err := b.unnamed(nil, func(u *unnamed) bool {
		u.row.raw = bytes.Clone(u.row.raw) // it may be the reader's
		if chunk = append(chunk, *u); len(chunk) == scanChunk {
			chunks <- chunk
			chunk = make([]unnamed, 0, scanChunk)
		}
		return true
	})
	chunks <- chunk
	close(chunks)
	<-done
	return err
}
