package engine

import (
	"bytes"
	"errors"
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
