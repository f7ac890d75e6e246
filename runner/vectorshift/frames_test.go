package vectorshift

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// readFrames reads all frames of a stream.
func readFrames(body io.Reader) (all []Frame, err error) {
	for frame, err := range frames(body) {
		if err != nil {
			return all, err
		}
		all = append(all, frame)
	}
	return all, nil
}

func TestFrames(t *testing.T) {
	data := func(lines ...string) (all []Frame) {
		for _, line := range lines {
			all = append(all, Frame{Data: line})
		}
		return all
	}
	for stream, wanted := range map[string][]Frame{
		"":                                                 nil,
		"data: a\n\ndata: b\n\n":                           data("a", "b"),
		"data:a\n\ndata:  b\n\n":                           data("a", " b"), // one space is none of the data
		"data: a\r\n\r\ndata: b\r\n\r\n":                   data("a", "b"),
		"data: a\r\rdata: b\r\r":                           data("a", "b"),
		"data: a\n\n\n\n\ndata: b\n\n\n":                   data("a", "b"),
		"\n\n\ndata: a\n\n":                                data("a"),
		"\ufeffdata: a\n\n":                                data("a"),
		"data: a\ndata: b\ndata\ndata: c\n\n":              data("a\nb\n\nc"),
		"data: a\n\ndata: b\n":                             data("a", "b"), // without a blank line
		"data: a\n\ndata: b":                               data("a", "b"), // without an end of the line
		"data: a\r\n\r\ndata: b\r\n":                       data("a", "b"),
		": ping\n\ndata: a\n: ping\ndata: b\n\n: ping\n\n": data("a\nb"),
		"retry: 100\n\ndata: a\nretry: 5\n\n":              data("a"),
		"colour: red\ndata: a\n\n":                         data("a"),
		"event: token\ndata: a\n\ndata: b\n\n":             {{Event: "token", Data: "a"}, {Data: "b"}},
		"event: error\n\n":                                 {{Event: "error"}},
		"id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\nid\ndata: d\n\n": {{"1", "", "a"}, {"1", "", "b"}, {"2", "", "c"}, {"", "", "d"}},
		"id: 1\n\ndata: a\n\n": {{"1", "", "a"}},
		"data: a\n\ndata: [DONE]\n\ndata: b\n\ndata: [DONE]\n\n": data("a", "b"),
		"data: [DONE]":                  nil,
		"event: done\ndata: [DONE]\n\n": nil,
		"data:\n\ndata\n\n":             nil,
		`{"status": "success"}`:         {{Event: "result", Data: `{"status": "success"}`}},
		"\n  {\n \"status\": \"success\",\n\n \"a\": \"data: b\"\n}\n":       {{Event: "result", Data: "{\n \"status\": \"success\",\n\n \"a\": \"data: b\"\n}\n"}},
		"<html>\n<p>data: a\n\n</html>":                                      nil,
		"data: \u00e9\u2028\u00e9\n\n":                                       data("\u00e9\u2028\u00e9"),
		"data: {\"type\": \"stream\"}\n\ndata: {\"type\":\ndata: \"x\"}\n\n": data(`{"type": "stream"}`, "{\"type\":\n\"x\"}"),
	} {
		for cut, r := range map[string]io.Reader{
			"whole": strings.NewReader(stream), "byte by byte": iotest.OneByteReader(strings.NewReader(stream)),
			"with the end": iotest.DataErrReader(strings.NewReader(stream)), "by halves": iotest.HalfReader(strings.NewReader(stream)),
		} {
			got, err := readFrames(r)
			if err != nil {
				t.Errorf("%q %s: %v", stream, cut, err)
			}
			want(t, fmt.Sprintf("%q %s", stream, cut), got, wanted)
		}
	}
}

// TestFramesOfABrokenStream: what was whole is given, then the error; what was not is
// no frame.
func TestFramesOfABrokenStream(t *testing.T) {
	broken := errors.New("broken")
	for stream, wanted := range map[string][]Frame{
		"":                     nil,
		"data: a\n\n":          {{Data: "a"}},
		"data: a\n\ndata: b":   {{Data: "a"}},
		"data: a\n\ndata: b\n": {{Data: "a"}},
		`{"status": "succ`:     nil,
	} {
		got, err := readFrames(io.MultiReader(strings.NewReader(stream), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("%q: %v", stream, err)
		}
		want(t, stream, got, wanted)
	}
}

// TestFrameTooLarge: nobody reads it to its end.
func TestFrameTooLarge(t *testing.T) {
	for _, start := range []string{"data: a\n\ndata: ", "data: a\n", `{"a": "`} {
		body := endless(start, 200<<20)
		_, err := readFrames(body)
		if _, ok := errors.AsType[*TooLargeError](err); !ok {
			t.Errorf("%q: %v", start, err)
		}
		if rest, _ := io.Copy(io.Discard, body); rest < 100<<20 {
			t.Errorf("%q: all but %d MB were read", start, rest>>20)
		}
	}
	lines := io.NopCloser(strings.NewReader(strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 40)))
	if _, err := readFrames(lines); err == nil {
		t.Error("a frame of many lines: no error")
	} else if _, ok := errors.AsType[*TooLargeError](err); !ok {
		t.Errorf("a frame of many lines: %v", err)
	}
	const large = maxAnswer - 100
	got, err := readFrames(endless("data: ", large))
	if err != nil || len(got) != 1 || len(got[0].Data) != large {
		t.Errorf("%d frames and %v", len(got), err)
	}
}

// pieces is a reader that gives what it has in these pieces.
type pieces [][]byte

func (p *pieces) Read(b []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*p)[0])
	if (*p)[0] = (*p)[0][n:]; len((*p)[0]) == 0 {
		*p = (*p)[1:]
	}
	return n, nil
}

// TestFramesCutAnywhere: whatever frames are written with whatever ends of lines and
// comments between, and wherever that is cut, the same frames are read.
func TestFramesCutAnywhere(t *testing.T) {
	line := rapid.StringMatching(`[a-z{}:" é]{1,6}`)
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "end of lines")
		var stream strings.Builder
		var wanted []Frame
		id := ""
		for range rapid.IntRange(0, 8).Draw(t, "frames") {
			lines := rapid.SliceOfN(line, 1, 3).Draw(t, "lines")
			frame := Frame{Data: strings.Join(lines, "\n")}
			if rapid.Bool().Draw(t, "has an id") {
				id = rapid.StringMatching(`[0-9]{1,3}`).Draw(t, "id")
				stream.WriteString("id: " + id + end)
			}
			frame.ID = id
			if rapid.Bool().Draw(t, "has a name") {
				frame.Event = rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "name")
				stream.WriteString("event: " + frame.Event + end)
			}
			for _, line := range lines {
				if rapid.Bool().Draw(t, "comment") {
					stream.WriteString(": ping" + end)
				}
				stream.WriteString("data: " + line + end)
			}
			stream.WriteString(strings.Repeat(end, rapid.IntRange(1, 3).Draw(t, "blank lines")))
			wanted = append(wanted, frame)
		}
		text := stream.String()
		if rapid.Bool().Draw(t, "cut off at its end") {
			text = strings.TrimRight(text, "\r\n")
		}
		var cut pieces
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(1, min(len(rest), 20)).Draw(t, "piece")
			cut, rest = append(cut, rest[:n]), rest[n:]
		}
		got, err := readFrames(&cut)
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", wanted) {
			t.Fatalf("of %q came\n%q (%v), want\n%q", text, got, err, wanted)
		}
	})
}

// FuzzFrames: no stream is too strange, and how it is cut makes no difference.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		"data: a\n\n", "event: error\r\ndata: {}\r\n\r\n", "id: 1\rdata: a\r\r", ": c\n\ndata\n\n", "\ufeffdata: [DONE]", `{"a": 1}`, "\x00\xff:\n\n", "data: a\n\r\n\r",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, err := readFrames(strings.NewReader(string(stream)))
		if err != nil {
			t.Fatal(err)
		}
		cut, err := readFrames(iotest.OneByteReader(strings.NewReader(string(stream))))
		if err != nil {
			t.Fatal(err)
		}
		want(t, "cut", cut, whole)
		for _, frame := range whole {
			if frame.Data == done || frame.Data == "" && frame.Event == "" {
				t.Errorf("%q is no frame", frame)
			}
		}
	})
}

func BenchmarkLargeFrame(b *testing.B) {
	const size, packet = 8 << 20, 16 << 10
	for b.Loop() {
		cut := pieces{[]byte("data: ")}
		for range size / packet {
			cut = append(cut, make([]byte, packet))
		}
		if all, err := readFrames(&cut); err != nil || len(all) != 1 {
			b.Fatal(len(all), err)
		}
	}
}
