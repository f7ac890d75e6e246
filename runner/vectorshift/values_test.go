package vectorshift

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/spec"
)

type (
	obj  = map[string]any
	list = []any
)

func TestEncodeInputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "docs", "a.txt"), "hello")
	sent := func(name, path, mime, text string) obj {
		return obj{"type": "file", "raw_bytes": base64.StdEncoding.EncodeToString([]byte(text)), "metadata": obj{"name": name, "path": path, "mime_type": mime}}
	}
	file, made := obj{"file": "docs/a.txt"}, sent("a.txt", "docs/a.txt", "text/plain", "hello")
	for _, test := range []struct {
		name        string
		typ         string
		value, want any
	}{
		{"text", "string", "a", "a"},
		{"nothing", "string", nil, nil},
		{"a number", "float", json.Number("1.10"), json.Number("1.10")},
		{"a list", "vec<string>", list{"a", nil, true}, list{"a", nil, true}},
		{"an object", "string", obj{"a": obj{}, "b": list{obj{"c": "d"}}},
			obj{"type": "map", "items": obj{"a": obj{"type": "map", "items": obj{}}, "b": list{obj{"type": "map", "items": obj{"c": "d"}}}}}},
		{"an object of the wire", "string", obj{"type": "map", "items": obj{"a": "b"}}, obj{"type": "map", "items": obj{"a": "b"}}},
		{"nearly one of the wire", "string", obj{"type": "map", "items": "a"}, obj{"type": "map", "items": obj{"type": "map", "items": "a"}}},
		{"one that has more", "string", obj{"type": "map", "items": obj{}, "a": "b"},
			obj{"type": "map", "items": obj{"type": "map", "items": obj{"type": "map", "items": obj{}}, "a": "b"}}},
		{"a file of the wire", "file", made, made},
		{"a file of the wire, for another type", "", made, made},
		{"a file", "file", file, made},
		{"a file by its path", "file", obj{"path": "docs/a.txt"}, made},
		{"an object that has a path", "file", obj{"path": "docs/a.txt", "x": "y"}, obj{"type": "map", "items": obj{"path": "docs/a.txt", "x": "y"}}},
		{"a picture", "image", file, made},
		{"a sound", "audio", file, made},
		{"files", "vec<file>", list{file, made, "https://h/a.txt"}, list{made, made, "https://h/a.txt"}},
		{"files of files", "vec<vec<file>>", list{list{file}}, list{list{made}}},
		{"a file where none is taken", "string", file, obj{"type": "map", "items": file}},
		{"a file where the type is not known", "", file, obj{"type": "map", "items": file}},
		{"a file inside of an object", "file", obj{"a": file}, obj{"type": "map", "items": obj{"a": obj{"type": "map", "items": file}}}},
		{"an address", "file", "https://h/a.txt", "https://h/a.txt"},
		{"another map of Go", "string", map[string]int{"a": 1}, obj{"type": "map", "items": obj{"a": json.Number("1")}}},
	} {
		got, err := encodeInputs(obj{"in": test.value}, map[string]string{"in": test.typ}, dir)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		want(t, test.name, got, obj{"in": test.want})
	}
	got, err := encodeInputs(nil, nil, "")
	if err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	got, err = encodeInputs(obj{"in": obj{"file": filepath.Join(dir, "docs/a.txt")}}, map[string]string{"in": "file"}, "elsewhere")
	want(t, "of an absolute path", got, obj{"in": sent("a.txt", filepath.Join(dir, "docs/a.txt"), "text/plain", "hello")})
	if err != nil {
		t.Error(err)
	}
}

func TestFilesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "folder", "x"), "")
	writeFile(t, filepath.Join(dir, "large"), "")
	writeFile(t, filepath.Join(dir, "a little too large"), "")
	os.Truncate(filepath.Join(dir, "large"), 1<<40)
	os.Truncate(filepath.Join(dir, "a little too large"), spec.MaxFile+1)
	os.Symlink("gone", filepath.Join(dir, "link"))
	for _, test := range []struct {
		value any
		want  string
	}{
		{obj{"file": "gone.pdf"}, "cannot read the file gone.pdf: no such file or directory"},
		{obj{"file": "link"}, "cannot read the file link: no such file or directory"},
		{obj{"file": "folder/x/y"}, "cannot read the file folder/x/y: not a directory"},
		{obj{"file": "folder"}, "cannot read the file folder: it is a folder"},
		{obj{"file": "."}, "cannot read the file .: it is a folder"},
		{obj{"file": "large"}, "cannot read the file large: it has more than 25 MB, which is the most that is read"},
		{obj{"file": "a little too large"}, "cannot read the file a little too large: it has more than 25 MB, which is the most that is read"},
		{obj{"file": ""}, "a file is given as {file: path}"},
		{obj{"file": nil}, "a file is given as {file: path}"},
		{obj{"file": list{"a"}}, "a file is given as {file: path}"},
		{obj{"file": "a", "mime": "b"}, "a file is given as {file: path}"},
		{list{obj{"file": "gone.pdf"}}, "cannot read the file gone.pdf: no such file or directory"},
		{list{list{obj{"file": "a\x00b"}}}, "cannot read the file a\x00b: invalid argument"},
	} {
		_, err := encodeInputs(obj{"doc": test.value}, map[string]string{"doc": "vec<file>"}, dir)
		if _, ok := errors.AsType[*runner.InputError](err); !ok || err.Error() != "input doc: "+test.want {
			t.Errorf("%v: error %v", test.value, err)
		}
	}
	os.Truncate(filepath.Join(dir, "large"), spec.MaxFile)
	if _, err := encodeInputs(obj{"doc": obj{"file": "large"}}, map[string]string{"doc": "file"}, dir); err != nil {
		t.Errorf("one as large as allowed: %v", err)
	}
}

func TestMIMETypes(t *testing.T) {
	t.Parallel()
	const png, pdf = "\x89PNG\r\n\x1a\n", "%PDF-1.7"
	for _, test := range []struct{ name, data, want string }{
		{"a.png", png, "image/png"},
		{"a.txt", png, "image/png"},
		{"picture", png, "image/png"},
		{"a.pdf", pdf, "application/pdf"},
		{"a.doc", pdf, "application/pdf"},
		{"a.docx", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"A.CSV", "a,b\n", "text/csv"},
		{"a.json", `{}`, "application/json"},
		{"grüße 世界.html", "hello", "text/html"},
		{"a.mp3", "\xff\xfb", "audio/mpeg"},
		{"a.wav", "RIFF\x00\x00\x00\x00WAVE", "audio/wav"},
		{"a", "hello", "text/plain"},
		{"a.unheard-of", "hello", "text/plain"},
		{"a.unheard-of", "\x00\x01", "application/octet-stream"},
		{"a.txt", "", "text/plain"},
		{"a", "", "text/plain"},
	} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, test.name), test.data)
		got, err := encodeInputs(obj{"in": obj{"file": test.name}}, map[string]string{"in": "file"}, dir)
		if err != nil {
			t.Fatal(err)
		}
		mime := got["in"].(obj)["metadata"].(obj)["mime_type"]
		if test.name == "a.wav" && mime == "audio/x-wav" { // tables of systems differ
			continue
		}
		want(t, test.name, got["in"].(obj)["metadata"], obj{"name": test.name, "path": test.name, "mime_type": test.want})
	}
}

func TestDecodeOutputs(t *testing.T) {
	t.Parallel()
	file := obj{"type": "file", "raw_bytes": "aGk=", "metadata": obj{"name": "a"}}
	got := decodeOutputs(obj{
		"text": "a", "file": file, "list": list{obj{"type": "map", "items": obj{"a": list{obj{"type": "map", "items": obj{}}}}}},
		"map": obj{"type": "map", "items": obj{"n": json.Number("1.0")}}, "plain": obj{"a": obj{"type": "map"}},
	})
	want(t, "outputs", got, obj{
		"text": "a", "file": file, "list": list{obj{"a": list{obj{}}}},
		"map": obj{"n": json.Number("1.0")}, "plain": obj{"a": obj{"type": "map"}},
	})
	want(t, "outputs as a map", decodeOutputs(obj{"type": "map", "items": obj{"a": "b"}}), obj{"a": "b"})
	for _, v := range []any{nil, "a", list{}, true} {
		want(t, "of no object", decodeOutputs(v), obj(nil))
	}
}

// What is sent comes back as it was.
func TestValuesThereAndBack(t *testing.T) {
	t.Parallel()
	scalar := rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.String(), func(s string) any { return s }), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Int(), func(n int) any { text, _ := json.Marshal(n); return json.Number(text) }))
	var value *rapid.Generator[any]
	key := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"type", "items", "file", "raw_bytes"}))
	value = rapid.OneOf(scalar,
		rapid.Custom(func(t *rapid.T) any {
			return rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return value }), 0, 3).Draw(t, "list")
		}),
		rapid.Custom(func(t *rapid.T) any {
			return rapid.MapOfN(key, rapid.Deferred(func() *rapid.Generator[any] { return value }), 0, 3).Draw(t, "map")
		}))
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.MapOfN(rapid.String(), value, 0, 3).Draw(t, "in")
		wire, err := encodeInputs(in, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		wantOnTheWire(t, wire, true)
		for name, got := range wire {
			back := decodeOutputs(obj{"it": got})
			if diff := gocmp.Diff(obj{"it": in[name]}, back); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// wantOnTheWire checks that no object is there but those of the wire.
func wantOnTheWire(t *rapid.T, v any, top bool) {
	switch v := v.(type) {
	case list:
		for _, item := range v {
			wantOnTheWire(t, item, false)
		}
	case obj:
		if !top {
			members, ok := items(v)
			if !ok {
				t.Fatalf("%v has no form of the wire", v)
			}
			v = members
		}
		for _, member := range v {
			wantOnTheWire(t, member, false)
		}
	}
}

// What JSON cannot hold is the fault of the inputs, and nothing is called.
func TestInputsThatAreNoJSON(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"a number that is none": math.NaN(), "one without an end": math.Inf(-1), "a function": func() {}, "a channel": make(chan int),
		"in a list": list{1, math.NaN()}, "in an object": obj{"a": math.NaN()}, "in one of the wire": obj{"type": "map", "items": obj{"a": math.NaN()}},
		"a bad number": json.Number("1x"), "a map of Go": map[string]float64{"a": math.NaN()},
	} {
		c, s := scripted(t, said(`{"task_id": "t"}`))
		_, err := c.Pipeline("p").Start(t.Context(), obj{"in": value}, RunOptions{})
		if _, ok := errors.AsType[*runner.InputError](err); !ok || !strings.HasPrefix(err.Error(), "input in: it cannot be written as JSON: ") {
			t.Errorf("%s: error %v", name, err)
		}
		_, err = c.Pipeline("p").Start(t.Context(), nil, RunOptions{NodeInputOverrides: obj{"llm.temperature": value}})
		if _, ok := errors.AsType[*runner.InputError](err); !ok {
			t.Errorf("%s, as an override: error %v", name, err)
		}
		want(t, "calls", s.made(), []string{})
	}
}
