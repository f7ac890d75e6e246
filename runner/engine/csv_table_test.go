package engine

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/schema"
)

// What is written as CSV is read again as it was.
func TestCSVRoundTrip(t *testing.T) {
	t.Parallel()
	// A carriage return before a line feed is the end of a line to every reader.
	cell := rapid.StringMatching(`[a-c ä世",;\t\n\\.'#-]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 4).Draw(t, "width")
		header := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zä,;"]{1,5}`), width, width, func(s string) string { return s }).Draw(t, "header")
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, width, width), 0, 8).Draw(t, "rows")
		if width == 1 && !strings.Contains(header[0], ",") && strings.Contains(header[0], ";") {
			header[0] = `,` + header[0] // alone, a semicolon is taken for the separator: TestSeparators
		}
		first := csvTable{header: header, rows: rows, comma: ','}
		written := first.bytes()
		read, err := readTable(file{data: written})
		if err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if again := read.bytes(); !bytes.Equal(again, written) || len(read.rows) != len(rows) {
			t.Errorf("%q, then %q", written, again)
		}
		for i := range rows {
			if strings.Join(read.rows[i], "\x00") != strings.Join(rows[i], "\x00") {
				t.Errorf("%q, then %q", rows[i], read.rows[i])
			}
		}
	})
}

func TestSeparators(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]rune{
		"": ',', "a": ',', "a\nb;c": ',', "a;b": ';', "a\tb;c": '\t', "a,b;c\td": ',', "\"a,b\";c": ';', "\"a\n,b\"\tc": '\t', "\n\r\na;b\n": ';',
	} {
		same(t, text, string(separator(text)), string(want))
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add([]byte("a,b\n1,\"x\ny\"\n"))
	f.Add([]byte("\xff\xfea\x00;\x00b\x00\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := readTable(file{data: data})
		if err != nil {
			if errors.Is(err, errNoHeader) != (read.header == nil && strings.HasPrefix(err.Error(), "it is empty")) {
				t.Errorf("%v", err)
			}
			return
		}
		for _, row := range read.rows {
			if len(row) != len(read.header) {
				t.Errorf("a row of %d for a header of %d", len(row), len(read.header))
			}
		}
		for _, name := range read.header {
			_, _ = read.columns([]column{{name: name, output: schema.OutputName(name), typ: "json"}})
		}
	})
}

// What is said of a header is short, however long it is.
func TestErrorsOfCSVAreShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	many := make([]string, 5000)
	for i := range many {
		many[i] = long[:1000] + strconv.Itoa(i)
	}
	for _, header := range [][]string{{long}, many, {long, long}} {
		t1, t2 := csvTable{header: header}, csvTable{header: []string{"id"}}
		_, notFound := t1.find(column{name: "id", output: "id"})
		_, twice := t1.find(column{name: header[0], output: "x"})
		for _, err := range []error{notFound, twice, t1.append(t2), t2.append(t1)} {
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("%d bytes: %.100s", len(err.Error()), err)
			}
		}
	}
	_, err := csvTable{header: strings.Split("a1 b2 c3 d4 e5 f6 g7 h8 i9 j10 k11 l12", " ")}.find(column{name: "other", output: "other"})
	checkError(t, err, `there is no column "other"; it has a1, b2, c3, d4, e5, f6, g7, h8, i9, j10 and 2 more`)
}

func TestCarriageReturns(t *testing.T) {
	t.Parallel()
	read, err := readTable(file{data: []byte("a;b\r1;\"x\r\ry\"\r")})
	same(t, "error", err, nil)
	same(t, "header", read.header, []string{"a", "b"})
	same(t, "rows", read.rows, [][]string{{"1", "x\n\ny"}})
	_, err = readTable(file{data: []byte("a,b\r1,2\n3,4\n")})
	checkError(t, err, `the header holds a carriage return that ends no line: end all lines with \n, or all with \r\n`)
}

func TestUTF16WithoutAMark(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\x00,\x00b\x00":  `it seems to be in UTF-16 without a byte order mark; convert it first (iconv -f UTF-16LE -t UTF-8)`,
		"\x00a\x00,\x00b":  `it seems to be in UTF-16 without a byte order mark; convert it first (iconv -f UTF-16BE -t UTF-8)`,
		"a\x00bcdef":       `it is no text: it holds zero bytes`,
		"\x00\x00\x00\x00": `it is no text: it holds zero bytes`,
	} {
		_, err := readTable(file{data: []byte(text)})
		checkError(t, err, want)
	}
}
