package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scanned is a ScannedLine that may be kept.
type scanned struct {
	ID, Raw string
	Offset  int64
	Number  int
	Err     string
	Torn    bool
}

func scanAll(r io.Reader) (all []scanned, err error) {
	err = ScanLines(r, func(s *ScannedLine) bool {
		line := scanned{ID: s.Line.ID, Raw: string(s.Raw), Offset: s.Offset, Number: s.Number, Torn: s.Torn}
		if s.Err != nil {
			line.Err = s.Err.Error()
		}
		all = append(all, line)
		return true
	})
	return all, err
}

func TestScanLines(t *testing.T) {
	a, b := string(typicalLine(1)), string(typicalLine(2))
	idA, idB := typicalResult(1).ID, typicalResult(2).ID
	const torn = "the line is torn: it has no end"
	const empty = "unexpected EOF"
	tests := map[string]struct {
		text string
		want []scanned
	}{
		"nothing": {"", nil},
		"two":     {a + b, []scanned{{ID: idA, Raw: a, Number: 1}, {ID: idB, Raw: b, Offset: int64(len(a)), Number: 2}}},
		"torn": {a + b[:100], []scanned{
			{ID: idA, Raw: a, Number: 1},
			{Raw: b[:100], Offset: int64(len(a)), Number: 2, Err: torn, Torn: true},
		}},
		"torn one byte before": {a + b[:len(b)-2], []scanned{
			{ID: idA, Raw: a, Number: 1},
			{Raw: b[:len(b)-2], Offset: int64(len(a)), Number: 2, Err: torn, Torn: true},
		}},
		"torn at its very end": {a + b[:len(b)-1], []scanned{
			{ID: idA, Raw: a, Number: 1},
			{ID: idB, Raw: b[:len(b)-1], Offset: int64(len(a)), Number: 2, Torn: true},
		}},
		"only torn": {"{", []scanned{{Raw: "{", Number: 1, Err: torn, Torn: true}}},
		"blank": {"\n" + a, []scanned{
			{Raw: "\n", Number: 1, Err: empty},
			{ID: idA, Raw: a, Offset: 1, Number: 2},
		}},
		"zeros, as a crash of the machine leaves them": {a + "\x00\x00\n" + b, []scanned{
			{ID: idA, Raw: a, Number: 1},
			{Raw: "\x00\x00\n", Offset: int64(len(a)), Number: 2, Err: "jsontext: invalid character '\\x00' at start of value"},
			{ID: idB, Raw: b, Offset: int64(len(a)) + 3, Number: 3},
		}},
		"of an editor": {strings.ReplaceAll(a, "\n", "\r\n"), []scanned{{ID: idA, Raw: strings.ReplaceAll(a, "\n", "\r\n"), Number: 1}}},
	}
	for name, test := range tests {
		for _, r := range []io.Reader{
			strings.NewReader(test.text), iotest.OneByteReader(strings.NewReader(test.text)), iotest.DataErrReader(strings.NewReader(test.text)),
		} {
			got, err := scanAll(r)
			want(t, name, err, nil)
			want(t, name, got, test.want)
		}
	}
}

// TestScanLinesOfAllLengths: whatever the lengths of lines and of reads are, the
// lines are those of the file, in their places.
func TestScanLinesOfAllLengths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var file bytes.Buffer
		var lines []string
		for range rapid.IntRange(0, 4).Draw(t, "lines") {
			length := rapid.OneOf(rapid.IntRange(0, 2000), rapid.IntRange(scanChunk-3, scanChunk+3), rapid.SampledFrom([]int{2 * scanChunk, 5 * scanChunk})).Draw(t, "length")
			line := strings.Repeat("x", length) + "\n"
			lines = append(lines, line)
			file.WriteString(line)
		}
		if rapid.Bool().Draw(t, "torn") && len(lines) > 0 && len(lines[len(lines)-1]) > 1 {
			file.Truncate(file.Len() - 1)
		}
		text := file.Bytes()
		piece := rapid.IntRange(4000, 3*scanChunk).Draw(t, "piece")
		offset, number := int64(0), 0
		err := ScanLines(&pieces{text, piece}, func(s *ScannedLine) bool {
			if number++; s.Number != number || s.Offset != offset || s.Err == nil {
				t.Fatalf("line %d at %d (%v), want %d at %d", s.Number, s.Offset, s.Err, number, offset)
			}
			if end := offset + int64(len(s.Raw)); !bytes.Equal(s.Raw, text[offset:end]) {
				t.Fatalf("line %d is another", number)
			}
			if torn := s.Raw[len(s.Raw)-1] != '\n'; torn != s.Torn {
				t.Fatalf("line %d is torn: %v", number, s.Torn)
			}
			offset += int64(len(s.Raw))
			return true
		})
		if err != nil || number != len(lines) || offset != int64(len(text)) {
			t.Fatalf("%d lines with %d bytes (%v), want %d with %d", number, offset, err, len(lines), len(text))
		}
	})
}

// pieces is a reader that gives so many bytes at once.
type pieces struct {
	text []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(p.size, len(b))], p.text)
	p.text = p.text[n:]
	return n, nil
}

// TestScanOfVeryLongLines would not end in time if every read looked at all of
// the line again.
func TestScanOfVeryLongLines(t *testing.T) {
	long := typicalResult(2)
	long.Outputs["out"] = strings.Repeat("A \"line\" of text.\n", 700_000)
	file := slices.Concat(typicalLine(1), long.AppendJSON(nil), typicalLine(3))
	want(t, "megabytes", len(file)>>20, 14)
	count := 0
	err := ScanLines(&pieces{file, 4096}, func(s *ScannedLine) bool {
		count++
		want(t, "error", s.Err, nil)
		want(t, "line", s.Line, typicalResult(count).Line())
		return true
	})
	want(t, "error", err, nil)
	want(t, "lines", count, 3)
}

// zeros is a hole of a file: as many zeros as anybody wants.
type zeros struct{ read int }

func (z *zeros) Read(b []byte) (int, error) {
	clear(b)
	z.read += len(b)
	return len(b), nil
}

func TestScanOfAHole(t *testing.T) {
	var hole zeros
	lines := 0
	for _, most := range []int{1 << 20, 3 << 20} {
		hole.read, lines = 0, 0
		err := scanLines(io.MultiReader(bytes.NewReader(typicalLine(1)), &hole), most, func(*ScannedLine) bool {
			lines++
			return true
		})
		want(t, "error", fmt.Sprint(err), fmt.Sprintf("line 2 has more than %d MB", most>>20))
		want(t, "lines", lines, 1)
		if hole.read > most {
			t.Errorf("%d bytes were read", hole.read)
		}
	}
	want(t, "in earnest", maxLine, 512<<20)
}

func TestScanEnds(t *testing.T) {
	text := string(typicalLine(1)) + string(typicalLine(2))
	broken := errors.New("broken")
	got, err := scanAll(io.MultiReader(strings.NewReader(text+"{"), iotest.ErrReader(broken)))
	want(t, "error", errors.Is(err, broken), true)
	want(t, "lines", len(got), 2) // what follows is not torn: it was not read

	count := 0
	err = ScanLines(strings.NewReader(text), func(*ScannedLine) bool {
		count++
		return false
	})
	want(t, "error", err, nil)
	want(t, "lines", count, 1)
}

// TestScannedLinesMayBeKept: what yield copies stays as it is.
func TestScannedLinesMayBeKept(t *testing.T) {
	var file []byte
	for i := range 5000 { // more than are read at once
		file = typicalResult(i).AppendJSON(file)
	}
	var kept []Line
	want(t, "error", ScanLines(bytes.NewReader(file), func(s *ScannedLine) bool {
		kept = append(kept, s.Line)
		return true
	}), nil)
	for i, line := range kept {
		if diff := gocmp.Diff(typicalResult(i).Line(), line); diff != "" {
			t.Fatal(diff)
		}
	}
}

// BenchmarkResume reads a million results in which no model was asked, as
// resuming a batch does.
func BenchmarkResume(b *testing.B) {
	const items = 1_000_000
	var file []byte
	for i := range items {
		r := typicalResult(i)
		r.Outputs["out"], r.Usage = "answer "+strconv.Itoa(i), nil
		file = r.AppendJSON(file)
	}
	b.Logf("%d bytes a line", len(file)/items)
	for _, part := range []string{"scan", "scan and tally", "all"} {
		b.Run(part, func(b *testing.B) {
			for b.Loop() {
				var tally Tally
				ended := newEndedItems()
				err := ScanLines(bytes.NewReader(file), func(s *ScannedLine) bool {
					if s.Err != nil {
						b.Fatal(s.Err)
					}
					if part != "scan" {
						tally.Add(&s.Line)
					}
					if part == "all" {
						ended.add(s.Line.ID, s.Line.Digest, false, false)
					}
					return true
				})
				if err != nil || part == "all" && (tally.Items != items || ended.items != items) {
					b.Fatal(fmt.Sprint(err, tally.Items, ended.items))
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/million-lines")
		})
	}
}
