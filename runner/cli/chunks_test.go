package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/spec"
)

func piece(output, text string) runner.Chunk {
	return runner.Chunk{RunID: "r", Output: output, Value: text, Piece: true}
}

func whole(output string, value any) runner.Chunk {
	return runner.Chunk{RunID: "r", Output: output, Value: value}
}

// tell gives chunks to a shower, and its end.
func tell(show shower, status runner.Status, chunks ...runner.Chunk) error {
	for _, c := range chunks {
		show.chunk(c)
	}
	return show.end(runner.Handle{TaskID: "r"}, status)
}

// streamed puts together what the lines tell of every output, and gives the last line.
func streamed(t *rapid.T, lines string) (texts map[string]string, last map[string]any) {
	texts = map[string]string{}
	for line := range strings.Lines(lines) {
		if last["type"] == "result" {
			t.Fatalf("a line after the last: %s", line)
		}
		last = map[string]any{}
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if last["type"] == "stream" {
			texts[last["output_name"].(string)] += spec.Text(last["output_value"])
		}
	}
	return texts, last
}

// TestNoSecretInPieces: wherever an answer is split, and whatever comes in
// between, every output shows what it would show whole.
func TestNoSecretInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringOfN(rapid.SampledFrom([]rune("ab\"\n\\é")), 0, 10, -1)
		secrets := rapid.SliceOfN(rapid.Map(letters, func(s string) string { return "aS" + s + "ab" }), 1, 3).Draw(t, "secrets")
		redact := spec.NewRedactor(secrets)
		var chunks []runner.Chunk
		texts := map[string]string{}
		for _, output := range []string{"llm.response", "other.response", "llm.thinking"} {
			if text := strings.Join(rapid.SliceOfN(rapid.OneOf(letters, rapid.SampledFrom(secrets)), 0, 5).Draw(t, output), ""); text != "" {
				texts[output] = text
			}
		}
		left := map[string][]rune{}
		for output, text := range texts {
			left[output] = []rune(text)
		}
		for len(left) > 0 { // outputs take turns
			names := []string{}
			for output := range left {
				names = append(names, output)
			}
			slices.Sort(names)
			output := rapid.SampledFrom(names).Draw(t, "turn")
			n := rapid.IntRange(1, len(left[output])).Draw(t, "runes")
			chunks = append(chunks, piece(output, string(left[output][:n])))
			if left[output] = left[output][n:]; len(left[output]) == 0 {
				delete(left, output)
			}
		}
		status := runner.Status{State: runner.Succeeded, Outputs: map[string]any{"out": texts["llm.response"]}}
		var lines, text bytes.Buffer
		if err := tell(&chunkLines{out: &lines, redact: redact}, status, chunks...); err != nil {
			t.Fatal(err)
		}
		got, last := streamed(t, lines.String())
		for output := range texts {
			texts[output] = redact.Text(texts[output])
		}
		if diff := cmp.Diff(texts, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if last["type"] != "result" || last["outputs"].(map[string]any)["out"] != texts["llm.response"] {
			t.Fatalf("at the end: %v", last)
		}
		if err := tell(&chunkText{out: &text, redact: redact}, status, chunks...); err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			for where, shown := range map[string]string{"lines": lines.String(), "text": text.String()} {
				if strings.Contains(shown, s) {
					t.Fatalf("%q is shown in %s: %s", s, where, shown)
				}
			}
		}
	})
}

// TestSecretThatBeginsAnother: the shorter one is there first, and yet the rest of
// the longer one is not shown.
func TestSecretThatBeginsAnother(t *testing.T) {
	redact := spec.NewRedactor([]string{"sword", "swordfish"})
	for answer, wanted := range map[string]string{
		"my sword|fish":    "my [hidden]",
		"my |swor|df|ish.": "my [hidden].",
		"my sword|fis|":    "my [hidden]fis",
		"my sword":         "my [hidden]",
		"my swor":          "my swor",
	} {
		var out bytes.Buffer
		var chunks []runner.Chunk
		for text := range strings.SplitSeq(answer, "|") {
			chunks = append(chunks, piece("llm.response", text))
		}
		if err := tell(&chunkText{out: &out, redact: redact}, runner.Status{State: runner.Succeeded}, chunks...); err != nil {
			t.Error(err)
		}
		if got := out.String(); got != "[llm.response]\n"+wanted+"\n\nsucceeded\n" {
			t.Errorf("%s: %q", answer, got)
		}
	}
}

func TestChunkLines(t *testing.T) {
	redact := spec.NewRedactor([]string{"swordfish"})
	for name, test := range map[string]struct {
		chunks []runner.Chunk
		status runner.Status
		wanted []string
	}{
		"pieces and values": {
			[]runner.Chunk{piece("llm.response", "a sw"), piece("llm.response", "ord, a s"), whole("list.items", []any{json.Number("1.50"), "swordfish", nil}), piece("out", "x")},
			runner.Status{State: runner.Succeeded, Outputs: map[string]any{"out": "x swordfish", "n": json.Number("2")}},
			[]string{
				`{"type":"stream","run_id":"r","output_name":"llm.response","output_value":"a "}`,
				`{"type":"stream","run_id":"r","output_name":"llm.response","output_value":"sword, a "}`,
				`{"type":"stream","run_id":"r","output_name":"list.items","output_value":[1.50,"[hidden]",null]}`,
				`{"type":"stream","run_id":"r","output_name":"out","output_value":"x"}`,
				`{"type":"stream","run_id":"r","output_name":"llm.response","output_value":"s"}`, // after all, no secret
				`{"type":"result","run_id":"r","status":"succeeded","outputs":{"n":2,"out":"x [hidden]"},"error":null}`,
			},
		},
		"what is held comes by name": {
			[]runner.Chunk{piece("z.response", "sword"), piece("a.response", "s"), piece("a.response", "")},
			runner.Status{State: runner.Failed, Err: errors.New("swordfish is no key, nor is swordf…")},
			[]string{
				`{"type":"stream","run_id":"r","output_name":"a.response","output_value":"s"}`,
				`{"type":"stream","run_id":"r","output_name":"z.response","output_value":"sword"}`,
				`{"type":"result","run_id":"r","status":"failed","outputs":null,"error":"[hidden] is no key, nor is [hidden]…"}`,
			},
		},
		"nothing": {nil, runner.Status{State: runner.TimedOut, Outputs: map[string]any{"out": nil}},
			[]string{`{"type":"result","run_id":"r","status":"timed_out","outputs":null,"error":null}`}},
		"empty outputs": {[]runner.Chunk{whole("text.text", ""), whole("out", nil)}, runner.Status{State: runner.Succeeded, Outputs: map[string]any{"out": nil}},
			[]string{
				`{"type":"stream","run_id":"r","output_name":"text.text","output_value":""}`,
				`{"type":"stream","run_id":"r","output_name":"out","output_value":null}`,
				`{"type":"result","run_id":"r","status":"succeeded","outputs":{"out":null},"error":null}`,
			}},
		"control characters": {[]runner.Chunk{piece("llm.response", "a\x1b[2J\nb\x00\u009b"), whole("t.text", "\xff")}, runner.Status{State: runner.Cancelled},
			[]string{
				`{"type":"stream","run_id":"r","output_name":"llm.response","output_value":"a\u001b[2J\nb\u0000` + "\u009b" + `"}`,
				`{"type":"stream","run_id":"r","output_name":"t.text","output_value":"` + "\ufffd" + `"}`,
				`{"type":"result","run_id":"r","status":"cancelled","outputs":null,"error":null}`,
			}},
	} {
		var out bytes.Buffer
		if err := tell(&chunkLines{out: &out, redact: redact}, test.status, test.chunks...); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(strings.Join(test.wanted, "\n")+"\n", out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestChunkText(t *testing.T) {
	redact := spec.NewRedactor([]string{"swordfish"})
	for name, test := range map[string]struct {
		chunks []runner.Chunk
		status runner.Status
		wanted string
	}{
		"outputs by turns": {
			[]runner.Chunk{piece("llm.response", "once "), piece("llm.response", "more\n"), piece("llm.response", "and "), whole("t.text", "a text"), whole("t.text", "again\n"),
				piece("llm.response", "more"), whole("out", "not before the end"), whole("n.number", json.Number("1.50")), whole("empty.text", ""), whole("list.items", []any{"a", true})},
			runner.Status{State: runner.Succeeded, Outputs: map[string]any{"out": "one\ntwo", "a": nil}},
			"[llm.response]\nonce more\nand \n[t.text]\na text\n[t.text]\nagain\n[llm.response]\nmore\n[n.number]\n1.50\n[empty.text]\n[list.items]\n[\"a\",true]\n\nsucceeded\n  a: \n  out: one\ntwo\n",
		},
		"secrets": {
			[]runner.Chunk{piece("llm.response", "my swo"), piece("t.response", "x"), piece("llm.response", "rdfish and my sword"), whole("t.text", "swordfish")},
			runner.Status{State: runner.TimedOut},
			"[llm.response]\nmy \n[t.response]\nx\n[llm.response]\n[hidden] and my \n[t.text]\n[hidden]\n[llm.response]\nsword\n\ntimed out\n",
		},
		"what a terminal would do": {
			[]runner.Chunk{piece("llm.response", "a\x1b[2Jb\ac\td\x7f\u009be\x00\n")},
			runner.Status{State: runner.Succeeded, Outputs: map[string]any{"out": "\x1b]0;title\a"}},
			"[llm.response]\na\ufffd[2Jb\ufffdc\td\ufffd\ufffde\ufffd\n\nsucceeded\n  out: \ufffd]0;title\ufffd\n",
		},
		"nothing": {nil, runner.Status{State: runner.Cancelled}, "\ncancelled\n"},
	} {
		var out bytes.Buffer
		if err := tell(&chunkText{out: &out, redact: redact}, test.status, test.chunks...); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(test.wanted, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// full is a disk with room for so many bytes.
type full struct {
	written []byte
	room    int
}

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	n := min(f.room, len(p))
	f.room -= n
	f.written = append(f.written, p[:n]...)
	if n < len(p) {
		f.room = 1000 // somebody makes room, too late
		return n, errFull
	}
	return n, nil
}

// TestChunksThatCannotBeWritten: the error is told at the end, and nothing is
// written behind what is torn.
func TestChunksThatCannotBeWritten(t *testing.T) {
	chunks := []runner.Chunk{piece("llm.response", "once "), piece("llm.response", "more"), whole("t.text", "a text")}
	status := runner.Status{State: runner.Succeeded, Outputs: map[string]any{"out": "once more"}}
	for name, make := range map[string]func(io.Writer) shower{
		"lines": func(w io.Writer) shower { return &chunkLines{out: w} },
		"text":  func(w io.Writer) shower { return &chunkText{out: w} },
	} {
		var all bytes.Buffer
		if err := tell(make(&all), status, chunks...); err != nil {
			t.Error(err)
		}
		for room := range all.Len() {
			disk := &full{room: room}
			if err := tell(make(disk), status, chunks...); !errors.Is(err, errFull) {
				t.Fatalf("%s: error %v with room for %d bytes", name, err, room)
			}
			if got := string(disk.written); got != all.String()[:room] {
				t.Fatalf("%s: with room for %d bytes %q was written", name, room, got)
			}
		}
		if err := tell(make(&full{room: all.Len()}), status, chunks...); err != nil {
			t.Error(err)
		}
	}
}
