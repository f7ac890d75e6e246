package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
)

// pictures are one of each kind that is taken.
func pictures(t testing.TB) map[string][]byte {
	t.Helper()
	dot := image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.Black})
	all := map[string][]byte{"image/webp": []byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00")}
	for mime, encode := range map[string]func(*bytes.Buffer) error{
		"image/png":  func(b *bytes.Buffer) error { return png.Encode(b, dot) },
		"image/jpeg": func(b *bytes.Buffer) error { return jpeg.Encode(b, dot, nil) },
		"image/gif":  func(b *bytes.Buffer) error { return gif.Encode(b, dot, nil) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		all[mime] = b.Bytes()
	}
	return all
}

func TestReadImage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all := pictures(t)
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := func(raw string) any {
		return map[string]any{"type": "file", "raw_bytes": raw, "metadata": map[string]any{"name": "a.txt", "mime_type": "text/plain"}}
	}
	for mime, data := range all {
		text := base64.StdEncoding.EncodeToString(data)
		path := write(strings.ReplaceAll(mime, "/", ".")+".txt", data) // whatever it is called
		for name, v := range map[string]any{
			"data": "data:image/png;base64," + text, "data without a type": "DATA:;base64," + text, "file object": file(text),
			"relative path": authorsFile(filepath.Base(path)), "absolute path": authorsFile(path),
		} {
			got, err := readImage(t.Context(), v, disk{dir: dir})
			if err != nil {
				t.Errorf("%s, %s: %v", mime, name, err)
			}
			same(t, mime+", "+name, got, llm.Image{MIME: mime, Data: data})
		}
	}
	for _, address := range []string{"http://host/a.png", "https://host/a?b=c", "HTTPS://host/x"} {
		got, err := readImage(t.Context(), address, disk{})
		if err != nil || got.URL != address || got.Data != nil {
			t.Errorf("%s: %+v, %v", address, got, err)
		}
	}
	tiny := all["image/gif"]
	escaped := strings.Builder{}
	for _, b := range tiny {
		escaped.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[b>>4])+string("0123456789abcdef"[b&15])))
	}
	if got, err := readImage(t.Context(), "data:image/gif,"+escaped.String(), disk{}); err != nil || !bytes.Equal(got.Data, tiny) {
		t.Errorf("escaped data: %+v, %v", got, err)
	}

	exact := append(bytes.Clone(all["image/png"]), make([]byte, maxImage-len(all["image/png"]))...)
	write("exact", exact)
	write("large", append(exact, 0))
	write("text", []byte("hello"))
	write("empty", nil)
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if got, err := readImage(t.Context(), authorsFile("exact"), disk{dir: dir}); err != nil || len(got.Data) != maxImage {
		t.Errorf("an image of 20 MB: %v", err)
	}
	if _, err := newImage(exact, "the data"); err != nil {
		t.Errorf("data of 20 MB: %v", err)
	}
	if _, err := newImage(append(exact, 0), "the data"); !errors.Is(err, errTooLarge) {
		t.Errorf("data of more than 20 MB: %v", err)
	}
	for _, c := range []struct {
		name string
		v    any
		dir  string
		want string
	}{
		{"nothing", nil, dir, `"" is no image: give an address, a path or a file object`},
		{"a number", json.Number("5"), dir, `"5" is no image: give an address, a path or a file object`},
		{"a list", []any{"a.png"}, dir, `"[\"a.png\"]" is no image: give an address, a path or a file object`},
		{"no text", " ", dir, `" " is no image: give an address, a path or a file object`},
		{"no host", "http:///a.png", dir, `"http:///a.png" is no address`},
		{"a path of a node", "exact", dir, `"exact" is no address; a path is read only where the batch file or an input of type image gives it`},
		{"no such file", authorsFile("none.png"), dir, `cannot read the file none.png: no such file or directory`},
		{"a folder", authorsFile("folder"), dir, `cannot read the file folder: it is a folder`},
		{"no regular file", authorsFile("socket"), dir, `cannot read the file socket: it is no file`},
		{"no files are read", authorsFile("a.png"), "", `files are not read here, so "a.png" cannot be; give an address or a file object`},
		{"an absolute path where no files are read", authorsFile(filepath.Join(dir, "exact")), "", `files are not read here, so ` + quote(filepath.Join(dir, "exact")) + ` cannot be; give an address or a file object`},
		{"another kind", authorsFile("text"), dir, filepath.Join(dir, "text") + ` is neither PNG, JPEG, GIF nor WebP, but text/plain; charset=utf-8`},
		{"an empty file", authorsFile("empty"), dir, filepath.Join(dir, "empty") + ` is neither PNG, JPEG, GIF nor WebP, but text/plain; charset=utf-8`},
		{"too large", authorsFile("large"), dir, `cannot read the file large: it has more than 20 MB, which is the most that is read`},
		{"too large a file object", file(strings.Repeat("A", 2*maxImage)), dir, `the image has more than 20 MB`},
		{"no base64", "data:image/png;base64,%%", dir, `the data is not base64: illegal base64 data at input byte 0`},
		{"data of another kind", "data:text/plain,hello", dir, `the data is neither PNG, JPEG, GIF nor WebP, but text/plain; charset=utf-8`},
		{"badly escaped", "data:image/png,%zz", dir, `the data is neither base64 nor escaped as in an address: invalid URL escape "%zz"`},
		{"another object", map[string]any{"url": "x"}, dir, `the value is not {type: file, raw_bytes: ..., metadata: ...}`},
		{"an object of another type", map[string]any{"type": "map", "raw_bytes": ""}, dir, `the value is not {type: file, raw_bytes: ..., metadata: ...}`},
	} {
		if _, err := readImage(t.Context(), c.v, disk{dir: c.dir}); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\n want: %s", c.name, err, c.want)
		}
	}
}

// looks is a pipeline that asks about the image of its input.
func looks(typ, inputs string) string {
	return `
		picture: {type: input, inputs: {input_type: image}}
		n: {type: ` + typ + `, inputs: {image: "{{ picture.image }}"` + inputs + `}}
		out: {type: output, inputs: {value: "{{ n.response }}"}}
	`
}

func TestVisionStream(t *testing.T) {
	t.Parallel()
	m := newModel(t, pieces("a", "b"))
	chunks, status := heard(t, m.engine(t, Options{}), `
		picture: {type: input, inputs: {input_type: image}}
		n: {type: llm_open_ai_vision, inputs: {image: "{{ picture.image }}", prompt: P, system: S, stream: true}}
		live: {type: output, inputs: {output_type: stream<string>, value: "{{ n.response }}"}}
		out: {type: output, inputs: {value: "{{ n.response_deltas }} {{ n.tokens_used }}"}}
	`, runner.Inputs{"picture": "http://host/a.png"})
	if status.Err != nil {
		t.Fatal(status.Err)
	}
	same(t, "chunks", chunks[:4], []string{"n.response= a", "live= a", "n.response= b", "live= b"})
	same(t, "outputs", asJSON(status.Outputs), `{"live":"ab","out":"ab 15"}`)
}

// What is wrong with an image is the run's failure, and costs nothing.
func TestVisionOfNoImage(t *testing.T) {
	t.Parallel()
	m := newModel(t, always("a dot"))
	e := m.engine(t, Options{})
	_, err := e.Start(t.Context(), save(t, e, looks("llm_open_ai_vision", `, prompt: P, system: S`)), runner.Inputs{"picture": "a.png"}, runner.StartOptions{})
	checkError(t, err, `input "picture": files are not read here, so "a.png" cannot be; send {type: file, raw_bytes: ..., metadata: ...}`)
	status := runToEnd(t, e, `
		path: {type: input}
		n: {type: llm_open_ai_vision, inputs: {image: "{{ path.text }}", prompt: P, system: S}}
		out: {type: output, inputs: {value: "{{ n.response }}"}}
	`, runner.Inputs{"path": "a.png"})
	checkError(t, status.Err, `node n (llm_open_ai_vision): input "image": "a.png" is no address; a path is read only where the batch file or an input of type image gives it`)
	same(t, "requests", len(m.questions()), 0)

	e = New(Options{Env: func(string) (string, bool) { return "", false }})
	for typ, variable := range map[string]string{"llm_open_ai_vision": "OPENAI_API_KEY", "llm_anthropic_vision": "ANTHROPIC_API_KEY", "llm_google_vision": "GEMINI_API_KEY"} {
		inputs := `, prompt: P`
		if typ == "llm_open_ai_vision" {
			inputs += `, system: S`
		}
		lacks := e.Needs(parsePipeline(t, looks(typ, inputs))).Missing
		if len(lacks) != 1 || !strings.Contains(lacks[0].Message, variable) {
			t.Errorf("%s lacks %v", typ, lacks)
		}
	}
}
