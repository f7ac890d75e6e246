package report

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"nightshift/runner"
	"nightshift/schema"
)

// Results are the results on the disk as they were when they were opened: a file
// of lines and, where items are being run again, the one of their new lines,
// which take the place of the old ones.
type Results struct {
	Path string
	Only []string             // results of other batches are left out; none: of no batch
	Warn func(message string) // hears of lines that are no results, once

	files   []resultsFile
	again   map[uint64]int64 // hash of an id to the offset of its new line
	seed    maphash.Seed
	batches []string // that there are results of
	scanned bool
}

// resultsFile is a file as far as it goes; what is appended meanwhile is not read.
type resultsFile struct {
	*os.File
	path string
	size int64
}

// Open opens the results file of that path. One that is not there is an
// fs.ErrNotExist.
func Open(path string, warn func(message string)) (*Results, error) {
	r := &Results{Path: path, Warn: warn, seed: maphash.MakeSeed()}
	// The new lines first: should they be joined to the others right now, they
	// are seen twice, and not missed.
	retry, err := openResults(path + ".retry")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := openResults(path)
	if err != nil {
		retry.Close()
		return nil, err
	}
	if r.files = []resultsFile{file}; retry.File == nil {
		return r, nil
	}
	r.files = append(r.files, retry)
	r.again = map[uint64]int64{}
	err = retry.scan(func(l *runner.ScannedLine) error {
		if l.Err == nil {
			r.again[r.hash(l.Line.ID)] = l.Offset
		}
		return nil
	})
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func openResults(path string) (resultsFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return resultsFile{}, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file of results", path)
	}
	if err != nil {
		file.Close()
		return resultsFile{}, err
	}
	return resultsFile{file, path, info.Size()}, nil
}

// Close closes the files.
func (r *Results) Close() {
	for _, f := range r.files {
		f.Close()
	}
}

// same tells whether a file is one of those that are read.
func (r *Results) same(other fs.FileInfo) bool {
	return slices.ContainsFunc(r.files, func(f resultsFile) bool {
		info, err := f.Stat()
		return err == nil && os.SameFile(info, other)
	})
}

func (f resultsFile) scan(yield func(*runner.ScannedLine) error) error {
	var failed error
	err := runner.ScanLines(io.NewSectionReader(f, 0, f.size), func(l *runner.ScannedLine) bool {
		failed = yield(l)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", f.path, err)
	}
	return nil
}

func (r *Results) hash(id string) uint64 { return maphash.String(r.seed, id) }

// shownDamage is how many damaged lines of a file are named one by one.
const shownDamage = 5

// place is where the line of a result is.
type place struct {
	file   int
	offset int64
}

// scan yields the line of each result, in the order in which they ended, until
// there is an error.
func (r *Results) scan(yield func(*runner.ScannedLine, place) error) error {
	whole, damaged := 0, 0
	for i, f := range r.files {
		unsaid := 0
		err := f.scan(func(l *runner.ScannedLine) error {
			if l.Err != nil {
				switch damaged++; {
				case l.Torn:
					r.warn("%s:%d: the last line is not whole, and is left out: its writer was cut off, or is at work", f.path, l.Number)
				case damaged <= shownDamage:
					r.warn("%s", damage(f.path, l.Number, l.Err))
				default:
					unsaid++
				}
				return nil
			}
			whole++
			if len(r.again) > 0 {
				if at, ok := r.again[r.hash(l.Line.ID)]; ok && (i == 0 || at != l.Offset) {
					return nil
				}
			}
			if !slices.Contains(r.batches, l.Line.Batch) {
				r.batches = append(r.batches, l.Line.Batch)
			}
			if len(r.Only) > 0 && !slices.Contains(r.Only, l.Line.Batch) {
				return nil
			}
			return yield(l, place{i, l.Offset})
		})
		if err != nil {
			return err
		}
		if unsaid > 0 {
			r.warn("%s: %d more lines are no results and are left out", f.path, unsaid)
		}
	}
	r.scanned = true
	if whole == 0 && damaged > 0 {
		return fmt.Errorf("%s holds no results", r.Path)
	}
	for _, name := range r.Only {
		if !slices.Contains(r.batches, name) {
			return fmt.Errorf("%s has no results of a batch %q%s", r.Path, name, r.others(name))
		}
	}
	return nil
}

func damage(path string, number int, err error) string {
	return fmt.Sprintf("%s:%d: this line is no result, and is left out: %v", path, number, err)
}

func (r *Results) warn(format string, args ...any) {
	if r.Warn != nil && !r.scanned {
		r.Warn(fmt.Sprintf(format, args...))
	}
}

// others says which batches there are results of, to one who asked for another.
func (r *Results) others(name string) string {
	if meant := schema.DidYouMean(name, r.batches); meant != "" || len(r.batches) == 0 {
		return meant
	}
	return "; it has those of " + strings.Join(r.batches, ", ")
}

// firstRead is how much is read of a line whose length is not known.
const firstRead = 4 << 10

// line reads the line at a place again, into buf, which grows as need be.
func (r *Results) line(at place, buf []byte) ([]byte, error) {
	f := r.files[at.file]
	buf = buf[:0]
	for more := firstRead; ; more *= 2 {
		read := len(buf)
		more = int(min(int64(more), f.size-at.offset-int64(read)))
		buf = slices.Grow(buf, more)[:read+more]
		n, err := f.ReadAt(buf[read:], at.offset+int64(read))
		if end := bytes.IndexByte(buf[read:read+n], '\n'); end >= 0 {
			return buf[:read+end], nil
		}
		if more == 0 && read > 0 {
			return buf, nil // the last one, which lacks its newline
		}
		if err == nil && more == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return buf, fmt.Errorf("cannot read %s again: %w", f.path, err)
		}
	}
}
