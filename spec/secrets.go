package spec

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// hidden is written in place of a secret.
const hidden = "[hidden]"

// minSecret is the shortest value that can be hidden: anything shorter would
// turn up by chance all over what is written.
const minSecret = 4

// Redactor hides the values of the variables listed under `secrets:`. The zero
// Redactor hides nothing.
type Redactor struct {
	replacer *strings.Replacer
}

// NewRedactor hides the given values, longest first, so that a secret which
// holds another one is hidden whole.
func NewRedactor(values []string) *Redactor {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return len(v) < minSecret })
	if len(values) == 0 {
		return &Redactor{}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, hidden)
		if quoted, err := json.Marshal(v); err == nil { // as it stands inside JSON text
			if inner := string(quoted[1 : len(quoted)-1]); inner != v {
				pairs = append(pairs, inner, hidden)
			}
		}
	}
	return &Redactor{replacer: strings.NewReplacer(pairs...)}
}

// Active tells whether there is anything to hide.
func (r *Redactor) Active() bool { return r != nil && r.replacer != nil }

// Text hides secrets in a text.
func (r *Redactor) Text(s string) string {
	if !r.Active() {
		return s
	}
	return r.replacer.Replace(s)
}

// Value hides secrets anywhere in a plain value (see [Text]), keys and numbers
// included. It copies what it changes.
func (r *Redactor) Value(v any) any {
	if !r.Active() {
		return v
	}
	switch v := v.(type) {
	case string:
		return r.Text(v)
	case json.Number:
		if s := r.Text(string(v)); s != string(v) {
			return s
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = r.Value(item)
		}
		return list
	case map[string]any:
		return r.Map(v)
	}
	return v
}

// Map is Value for a map; nil stays nil.
func (r *Redactor) Map(m map[string]any) map[string]any {
	if !r.Active() || m == nil {
		return m
	}
	out := make(map[string]any, len(m))
	for key, item := range m {
		out[r.Text(key)] = r.Value(item)
	}
	return out
}

// Writer hides secrets in everything that is written to w. It relies on every
// write being whole: a line, a log record, a message.
func (r *Redactor) Writer(w io.Writer) io.Writer {
	if !r.Active() {
		return w
	}
	return redactingWriter{r, w}
}

type redactingWriter struct {
	redact *Redactor
	w      io.Writer
}

func (w redactingWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.w, w.redact.Text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
