package spec

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"nightshift/schema"

	"gopkg.in/yaml.v3"
)

// hidden is written in place of a secret.
const hidden = "[hidden]"

// minSecret is the shortest value that can be hidden: anything shorter would
// turn up by chance all over what is written.
const minSecret = 4

// Redactor hides the values of the variables listed under `secrets:`. The zero
// Redactor hides nothing.
type Redactor struct {
	values   []string
	replacer *strings.Replacer
	forms    []string // of the secrets, in which they may turn up; longest first
}

// NewRedactor hides the given values, longest first, so that a secret which
// holds another one is hidden whole.
func NewRedactor(values []string) *Redactor {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return len(v) < minSecret })
	if len(values) == 0 {
		return &Redactor{}
	}
	var forms, pairs []string
	for _, v := range values {
		trimmed := strings.TrimSpace(v) // $(cat key) leaves no newline, but other ways do
		forms = append(forms, formsOf(v)...)
		for _, part := range append(parts(trimmed), trimmed) {
			forms = append(forms, formsOf(part)...)
		}
	}
	forms = slices.DeleteFunc(forms, func(f string) bool { return len(f) < minSecret })
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	forms = slices.Compact(forms)
	for _, form := range forms {
		pairs = append(pairs, form, hidden)
	}
	return &Redactor{values: values, replacer: strings.NewReplacer(pairs...), forms: forms}
}

// minKey is the shortest key that is hidden without being listed under
// `secrets:`. Shorter ones are placeholders such as "ollama" or "test", which
// may stand in anybody's text.
const minKey = 16

// WithKeys is a Redactor that hides keys as well.
func (r *Redactor) WithKeys(keys []string) *Redactor {
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return len(key) < minKey })
	if len(keys) == 0 {
		return r
	}
	if r != nil {
		keys = append(keys, r.values...)
	}
	return NewRedactor(keys)
}

// keys are those that are written into the file itself, which is not wise, or that
// variables have brought there.
func (f *File) keys() []string {
	var keys []string
	add := func(n *Node, input string, value any) {
		if key, ok := value.(string); ok && n != nil && n.isKey(input) {
			keys = append(keys, key)
		}
	}
	for p := range f.Pipeline.All() {
		for _, n := range p.Nodes {
			for input, value := range n.Inputs {
				add(n, input, value)
			}
		}
	}
	for _, b := range f.Batches {
		for place, value := range b.NodeInputOverrides {
			name, input, _ := strings.Cut(place, ".")
			add(f.Pipeline.Node(name), input, value)
		}
	}
	return keys
}

// Hold splits text that comes in pieces: what may be shown now, once [Redactor.Text]
// has hidden what is in it, and the end of it that could be the beginning of a
// secret, to be put before the next piece.
func (r *Redactor) Hold(text string) (show, held string) {
	if !r.Active() {
		return text, ""
	}
	for at := 0; at < len(text); {
		rest, step := text[at:], 1
		for _, form := range r.forms { // longest first: "sword" is held where there is a "swordfish"
			if len(rest) < len(form) && strings.HasPrefix(form, rest) {
				return text[:at], rest
			}
			if strings.HasPrefix(rest, form) {
				step = len(form)
				break
			}
		}
		at += step
	}
	return text, ""
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

// ID hides secrets in the id of an item. Two ids that differ in what is hidden
// alone stay two: the beginning of a hash tells them apart.
func (r *Redactor) ID(id string) string {
	shown := r.Text(id)
	if shown == id {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return shown + "-" + hex.EncodeToString(sum[:4])
}

// Message hides secrets in what is said to people, also where only the
// beginning of one is left because a long value was cut short.
func (r *Redactor) Message(s string) string {
	if !r.Active() {
		return s
	}
	if strings.Contains(s, schema.Cut) {
		s = r.hideCut(s)
	}
	return r.replacer.Replace(s)
}

// find gives where the first secret of a text begins; -1: there is none.
func (r *Redactor) find(text string) int {
	shown := r.Text(text)
	if shown == text {
		return -1
	}
	at := 0 // where the two differ, which is within the secret
	for at < min(len(text), len(shown)) && text[at] == shown[at] {
		at++
	}
	first := at
	for _, form := range r.forms {
		if i := strings.Index(text[:min(len(text), at+len(form))], form); i >= 0 {
			first = min(first, i)
		}
	}
	return first
}

// hideCut hides what a message left of a secret that it cut short.
func (r *Redactor) hideCut(s string) string {
	pieces := strings.Split(s, schema.Cut)
	for i, piece := range pieces[:len(pieces)-1] {
		longest := 0
		for _, form := range r.forms {
			for n := min(len(form), len(piece)); n >= minSecret && n > longest; n-- {
				if strings.HasSuffix(piece, form[:n]) {
					longest = n
				}
			}
		}
		if longest > 0 {
			pieces[i] = piece[:len(piece)-longest] + hidden
		}
	}
	return strings.Join(pieces, schema.Cut)
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
	for _, key := range slices.Sorted(maps.Keys(m)) { // of keys that become one, always the same stays
		out[r.Text(key)] = r.Value(m[key])
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
	if _, err := io.WriteString(w.w, w.redact.Message(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// secretsOf reads the list of secret variables ahead of everything else, so
// that no message can hold their values.
func (d *document) secretsOf() {
	list := valueOf(d.root, "secrets")
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	var values []string
	for _, n := range list.Content {
		value, _ := d.reading.variable(n.Value)
		if value != "" && len(value) < minSecret {
			d.report(d.problem(n, "the value of %s has fewer than %d characters, too few to be hidden", n.Value, minSecret))
		}
		values = append(values, value)
	}
	d.redact = NewRedactor(values)
}
