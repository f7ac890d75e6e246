package spec

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// aPipeline has one input, doc, of the given type.
func aPipeline(typ string) string {
	return "version: 1\npipeline: {name: p, nodes: {doc: {type: input, inputs: {input_type: " + typ +
		"}}, out: {type: output, inputs: {output_type: string, value: x}}}}\n"
}

// TestGlobOfAnyFiles: what a file holds matters only where its text is asked for.
func TestGlobOfAnyFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "g", "a.png"), "\x89PNG\r\n\x1a\n\xff\xfe")
	write(t, filepath.Join(dir, "g", "b.txt"), "caf\xe9")
	write(t, filepath.Join(dir, "g", "c.txt"), "text")
	write(t, filepath.Join(dir, "g", "d.pdf"), "")
	if err := os.Truncate(filepath.Join(dir, "g", "d.pdf"), maxRow+1); err != nil {
		t.Fatal(err)
	}
	files := []string{`{"doc":{"file":"g/a.png"}}`, `{"doc":{"file":"g/b.txt"}}`, `{"doc":{"file":"g/c.txt"}}`, `{"doc":{"file":"g/d.pdf"}}`}
	const bad, large = "invalid_input: not valid UTF-8", "invalid_input: the file has more than 16 MB"
	for _, test := range []struct {
		name, typ, body string
		want            []string
	}{
		{"map", "file", `{from: "g/*.*", map: {doc: {file: "{{ row.path }}"}}}`, files},
		{"map and key", "image", `{from: "g/*.*", map: {doc: {file: "{{ row.path }}"}}, key: "{{ row.path }}"}`, files},
		{"map of paths", "string", `{from: "g/[ab].*", map: {doc: "{{ row.path }}"}}`, []string{`{"doc":"g/a.png"}`, `{"doc":"g/b.txt"}`}},
		{"no map", "file", `{from: "g/*.*"}`, files},
		{"no map, a picture", "image", `{from: "g/a.png", format: file}`, files[:1]},
		{"no map, several patterns", "file", `{from: ["g/*.png", "g/b*"]}`, files[:2]},
		{"lines that are paths", "file", `{from: g/c.txt}`, []string{`{"doc":"text"}`}},
		{"map of the text", "string", `{from: "g/*.*", map: {doc: "{{ row.text }}"}}`, []string{bad, bad, `{"doc":"text"}`, large}},
		{"key of the text", "file", `{from: "g/*.*", map: {doc: {file: "{{ row.path }}"}}, key: "{{ row.text }}"}`, []string{bad, bad, files[2], large}},
		{"no map, text", "string", `{from: "g/*.*"}`, []string{bad, bad, `{"doc":"text"}`, large}},
		{"a slip", "string", `{from: "g/c.*", map: {doc: "{{ row.txt }}"}}`, []string{`invalid_input: the row has no "txt"; did you mean "text"?`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			items := itemsOf(t, batchOf(t, dir, aPipeline(test.typ), test.body), nil)
			if diff := cmp.Diff(test.want, inputsOf(items)); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGlobIDs holds ids that earlier versions gave: resuming hangs on them.
func TestGlobIDs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "g", "c.txt"), "\xef\xbb\xbftext")
	for body, want := range map[string]string{
		`{from: "g/*"}`: "2b07ff2c1c7cda71",
		`{from: "g/*", map: {doc: "{{ row.path }}: {{ row.text }}"}}`: "f2f181bf2b2534d4",
		`{from: "g/*", map: {doc: "{{ row.path }}"}}`:                 "fc148963bbf47754",
	} {
		items := itemsOf(t, batchOf(t, dir, aPipeline("string"), body), nil)
		if got := items[0].ID; len(items) != 1 || got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}
