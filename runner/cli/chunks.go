package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"nightshift/runner"
	"nightshift/spec"
)

// chunkLines writes a JSON line for every chunk, with the keys of the platform.
type chunkLines struct {
	out    io.Writer
	redact *spec.Redactor
	held   withheld
	err    error
}

func (l *chunkLines) chunk(c runner.Chunk) {
	if value, ok := l.held.take(l.redact, c); ok {
		l.stream(c.RunID, c.Output, value)
	}
}

func (l *chunkLines) stream(runID, output string, value any) {
	l.write(
		"type", "stream",
		"run_id", runID,
		"output_name", output,
		"output_value", value,
	)
}

func (l *chunkLines) end(h runner.Handle, status runner.Status) error {
	for output, text := range l.held.rest() {
		l.stream(h.TaskID, output, l.redact.Text(text))
	}
	var outputs, failure any
	if status.State == runner.Succeeded {
		outputs = l.redact.Map(status.Outputs)
	}
	if status.Err != nil {
		failure = l.redact.Message(status.Err.Error())
	}
	l.write(
		"type", "result",
		"run_id", h.TaskID,
		"status", string(status.State),
		"outputs", outputs,
		"error", failure,
	)
	return l.err
}

// write writes one object, its members in this order; nothing behind a line that
// could not be written whole.
func (l *chunkLines) write(members ...any) {
	if l.err != nil {
		return
	}
	b := []byte("{")
	for i := 0; i < len(members); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(spec.AppendJSON(b, members[i]), ':')
		b = spec.AppendJSON(b, members[i+1])
	}
	_, l.err = l.out.Write(append(b, "}\n"...))
}

// chunkText shows chunks to people: each output under its name. Output nodes
// come at the end, with the result.
type chunkText struct {
	out     io.Writer
	redact  *spec.Redactor
	held    withheld
	current string // the output that the last line belongs to
	open    bool   // the last line is not ended
	err     error
}

func (t *chunkText) chunk(c runner.Chunk) {
	if !strings.Contains(c.Output, ".") {
		return
	}
	if value, ok := t.held.take(t.redact, c); ok {
		t.show(c.Output, spec.Text(value), !c.Piece)
	}
}

func (t *chunkText) show(output, text string, whole bool) {
	if output != t.current || whole {
		t.endLine()
		t.print("[" + output + "]\n")
		t.current = output
	}
	t.print(printable(text))
	t.open = t.open && text == "" || text != "" && !strings.HasSuffix(text, "\n")
}

func (t *chunkText) endLine() {
	if t.open {
		t.print("\n")
	}
	t.open = false
}

func (t *chunkText) print(text string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.out, text)
	}
}

func (t *chunkText) end(_ runner.Handle, status runner.Status) error {
	for output, text := range t.held.rest() {
		t.show(output, t.redact.Text(text), false)
	}
	t.endLine()
	t.print(fmt.Sprintf("\n%s\n", strings.ReplaceAll(string(status.State), "_", " ")))
	for _, name := range slices.Sorted(maps.Keys(status.Outputs)) {
		t.print(fmt.Sprintf("  %s: %s\n", name, printable(spec.Text(t.redact.Value(status.Outputs[name])))))
	}
	return t.err
}

// printable replaces what would make a terminal do things: a model may have
// been talked into writing it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\r' {
			return -1 // of \r\n
		}
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, text)
}

// withheld keeps back the ends of pieces that may be the beginning of a secret.
type withheld map[string]string

// take hides secrets in a chunk; ok is false where nothing of it can be shown yet.
func (h *withheld) take(redact *spec.Redactor, c runner.Chunk) (value any, ok bool) {
	text, isText := c.Value.(string)
	if !c.Piece || !isText {
		return redact.Value(c.Value), true
	}
	if *h == nil {
		*h = withheld{}
	}
	show, rest := redact.Hold((*h)[c.Output] + text)
	(*h)[c.Output] = rest
	return redact.Text(show), show != ""
}

// rest gives, by output, what was kept back to the end.
func (h withheld) rest() func(yield func(output, text string) bool) {
	return func(yield func(output, text string) bool) {
		for _, output := range slices.Sorted(maps.Keys(h)) {
			if h[output] != "" && !yield(output, h[output]) {
				return
			}
		}
	}
}
