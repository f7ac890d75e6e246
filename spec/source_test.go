package spec

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSourceFormats reads the same kinds of rows from every format.
func TestSourceFormats(t *testing.T) {
	t.Chdir("..")
	for _, test := range []struct {
		name, body, stdin string
		want              []string
		lines             []int
	}{
		{name: "csv", body: "{from: testdata/sources/rows.csv}", lines: []int{2, 3, 4},
			want: []string{`{"count":1,"topic":"space"}`, `{"count":7,"topic":"the sea"}`, `{"count":3,"topic":"a, \"b\""}`}},
		{name: "csv with crlf, a mark and quoted newlines", body: "{from: testdata/sources/windows.csv}", lines: []int{2, 3, 5},
			want: []string{`{"count":1,"topic":"space"}`, `{"count":2,"topic":"two\nlines"}`, `{"count":3,"topic":"café"}`}},
		{name: "jsonl", body: "{from: testdata/sources/rows.jsonl}", lines: []int{1, 3, 4},
			want: []string{`{"count":1,"topic":"space"}`, `{"count":2,"topic":"the sea"}`, `{"count":7,"topic":"12345678901234567890.10"}`}},
		{name: "json", body: "{from: testdata/sources/rows.json}", lines: []int{2, 3, 7},
			want: []string{`{"count":1,"topic":"space"}`, `{"count":2,"topic":"the\n[sea]"}`, `{"count":3,"topic":"land"}`}},
		{name: "yaml", body: "{from: testdata/sources/rows.yaml}", lines: []int{3, 4, 6},
			want: []string{`{"count":1,"topic":"space"}`, `{"count":2,"topic":"the sea"}`, `{"count":7,"topic":"2024-01-02"}`}},
		{name: "txt", body: `{from: testdata/sources/rows.txt, map: {topic: "{{ row.text }}", count: "{{ row.line }}"}}`, lines: []int{1, 3, 4},
			want: []string{`{"count":1,"topic":"space"}`, `{"count":3,"topic":" the sea "}`, `{"count":4,"topic":"last"}`}},
		{name: "format against the ending", body: `{from: testdata/sources/rows.csv, format: txt, map: {topic: "{{ row.text }}"}}`, lines: []int{1, 2, 3, 4},
			want: []string{`{"count":7,"topic":"topic,count"}`, `{"count":7,"topic":"space,1"}`, `{"count":7,"topic":"the sea,"}`, `{"count":7,"topic":"\"a, \"\"b\"\"\",3"}`}},
		{name: "a file as a row", body: `{from: testdata/sources/tree/a.txt, format: file, map: {topic: "{{ row.path }}={{ row.text }}"}}`, lines: []int{1},
			want: []string{`{"count":7,"topic":"testdata/sources/tree/a.txt=first\n"}`}},
		{name: "glob", body: `{from: "testdata/sources/tree/*.txt", map: {topic: "{{ row.path }}"}}`, lines: []int{1, 1},
			want: []string{`{"count":7,"topic":"testdata/sources/tree/a.txt"}`, `{"count":7,"topic":"testdata/sources/tree/b.txt"}`}},
		{name: "glob at any depth", body: `{from: "testdata/sources/tree/**/*.txt", map: {topic: "{{ row.text }}"}}`, lines: []int{1, 1, 1},
			want: []string{`{"count":7,"topic":"first\n"}`, `{"count":7,"topic":"second\n"}`, `{"count":7,"topic":"deep\n"}`}},
		{name: "glob with a format", body: `{from: "testdata/sources/{rows,windows}.csv", format: csv}`, lines: []int{2, 3, 4, 2, 3, 5},
			want: []string{`{"count":1,"topic":"space"}`, `{"count":7,"topic":"the sea"}`, `{"count":3,"topic":"a, \"b\""}`,
				`{"count":1,"topic":"space"}`, `{"count":2,"topic":"two\nlines"}`, `{"count":3,"topic":"café"}`}},
		{name: "list", body: "{from: [testdata/sources/rows.json, testdata/sources/rows.csv]}", lines: []int{2, 3, 7, 2, 3, 4},
			want: []string{`{"count":1,"topic":"space"}`, `{"count":2,"topic":"the\n[sea]"}`, `{"count":3,"topic":"land"}`,
				`{"count":1,"topic":"space"}`, `{"count":7,"topic":"the sea"}`, `{"count":3,"topic":"a, \"b\""}`}},
		{name: "standard input", body: "{from: '-'}", stdin: "{\"topic\": \"a\"}\n{\"topic\": \"b\", \"count\": 2}", lines: []int{1, 2},
			want: []string{`{"count":7,"topic":"a"}`, `{"count":2,"topic":"b"}`}},
		{name: "standard input as csv", body: "{from: '-', format: csv}", stdin: "topic\na\n", lines: []int{2},
			want: []string{`{"count":7,"topic":"a"}`}},
		{name: "matrix, last axis fastest", body: `{matrix: {topic: [b, a], count: [2, 1]}}`, lines: []int{9, 9, 9, 9},
			want: []string{`{"count":2,"topic":"b"}`, `{"count":1,"topic":"b"}`, `{"count":2,"topic":"a"}`, `{"count":1,"topic":"a"}`}},
		{name: "inline", body: "{inputs: [{topic: a},\n    {topic: 2024-01-02, count: 0x10}]}", lines: []int{9, 10},
			want: []string{`{"count":7,"topic":"a"}`, `{"count":16,"topic":"2024-01-02"}`}},
		{name: "columns with spaces and dots", body: `{from: testdata/sources/names.csv, map: {topic: "{{ row.full name }}/{{row.a.b}}/{{ row.größe }}"}, key: "{{ row.the id }}"}`, lines: []int{2},
			want: []string{`{"count":7,"topic":"Ada Lovelace/dotted/big"}`}},
		{name: "nested values", body: `{from: testdata/sources/nested.jsonl, map: {topic: "{{ row.user.name.first }} {{ row.tags }}", count: "{{ row.user.age }}"}}`, lines: []int{1, 2},
			want: []string{`{"count":36,"topic":"Ada [\"x\",{\"y\":1.50}]"}`, `invalid_input: the row has no "user.name.first"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := batchOf(t, "", twoInputs, test.body)
			items := itemsOf(t, b, strings.NewReader(test.stdin))
			if diff := cmp.Diff(test.want, inputsOf(items)); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.lines, linesOf(b, test.stdin)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			for i, item := range items {
				if item.Index != i {
					t.Errorf("item %d has the index %d", i, item.Index)
				}
			}
		})
	}
}

func linesOf(b *Batch, stdin string) []int {
	var lines []int
	_ = b.Source.rows(strings.NewReader(stdin), func(r row) bool {
		lines = append(lines, r.place.Line)
		return true
	})
	return lines
}

// TestStopReading asks each format for one row and no more.
func TestStopReading(t *testing.T) {
	t.Chdir("..")
	for _, body := range []string{
		"{from: testdata/sources/rows.csv}", "{from: testdata/sources/rows.jsonl}", "{from: testdata/sources/rows.json}",
		"{from: testdata/sources/rows.yaml}", `{from: "testdata/sources/tree/*.txt", map: {topic: "{{ row.text }}"}}`,
		"{from: [testdata/sources/rows.csv, testdata/sources/rows.json]}", "{matrix: {topic: [a, b]}}", "{inputs: [{topic: a}, {topic: b}]}",
		`{from: "testdata/sources/{rows,windows}.csv", format: csv}`,
	} {
		n := 0
		if err := batchOf(t, "", twoInputs, body).Items(nil, func(Item) bool { n++; return false }); err != nil || n != 1 {
			t.Errorf("%s: %d items, %v", body, n, err)
		}
	}
}

// TestSourceFolderWithMeta reads a glob from a folder whose name looks like one.
func TestSourceFolderWithMeta(t *testing.T) {
	for _, name := range []string{"[proj]", "a*b", "q?", "{x,y}", `back\slash`} {
		dir := filepath.Join(t.TempDir(), name)
		write(t, filepath.Join(dir, "data", "1.txt"), "one")
		items := itemsOf(t, batchOf(t, dir, oneInput, `{from: "data/*.txt"}`), nil)
		if diff := cmp.Diff([]string{`{"topic":"one"}`}, inputsOf(items)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestRereadable tells streams from files.
func TestRereadable(t *testing.T) {
	t.Chdir("..")
	for body, want := range map[string]bool{
		"{from: testdata/sources/rows.csv}":        true,
		"{from: '-'}":                              false,
		"{from: [testdata/sources/rows.csv, '-']}": false,
		"{from: /dev/null, format: csv}":           false,
		"{matrix: {topic: [a]}}":                   true,
	} {
		b := batchOf(t, "", twoInputs, body)
		if got := b.Source.Rereadable(); got != want {
			t.Errorf("%s: rereadable %v", body, got)
		}
		if got := b.Source.Stdin(); got != strings.Contains(body, "'-'") {
			t.Errorf("%s: standard input %v", body, got)
		}
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestReadError breaks standard input off: the batch file's line is named.
func TestReadError(t *testing.T) {
	for _, format := range []string{"csv", "jsonl", "json", "yaml", "txt"} {
		b := batchOf(t, "", oneInput, "{from: '-', format: "+format+"}")
		start := "topic\na\n"
		if format == "json" {
			start = `[{"topic": "a"},`
		}
		err := b.Items(io.MultiReader(strings.NewReader(start), failingReader{}), func(Item) bool { return true })
		if err == nil {
			t.Errorf("%s: no error", format)
			continue
		}
		mustContain(t, b.SourceProblem(err).String(), "closed pipe")
	}
}

// TestRowsKeepWhatWasWritten: ids and zip codes are not numbers.
func TestRowsKeepWhatWasWritten(t *testing.T) {
	items := itemsOf(t, batchOf(t, "", oneInput, "{inputs: [{topic: 01234}, {topic: 0x10}, {topic: 1_000}, {topic: 1.10}, {topic: 12}]}"), nil)
	var got []string
	for _, item := range items {
		got = append(got, Text(item.Inputs["topic"]))
	}
	if strings.Join(got, " ") != "01234 0x10 1_000 1.10 12" {
		t.Errorf("%q", got)
	}
}

// TestGlobPassesOverLinksToFolders, which may lead in circles, and over pipes.
func TestGlobPassesOverLinksToFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.md"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", filepath.Join(dir, "loop")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("a.md", filepath.Join(dir, "link.md")); err != nil {
		t.Skip(err)
	}
	items := itemsOf(t, batchOf(t, dir, oneInput, "{from: '**/*.md', map: {topic: '{{ row.path }}'}}"), nil)
	var got []string
	for _, item := range items {
		got = append(got, Text(item.Inputs["topic"]))
	}
	if strings.Join(got, " ") != "a.md link.md" {
		t.Errorf("%q", got)
	}
}
