package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// yamlWriter writes YAML as people do: in the given order, what is short on one
// line, text of several lines as a block. The encoder of yaml.v3 loses text that
// begins with a tab or an empty line, and takes every emoji apart.
type yamlWriter struct {
	text []byte
	at   []string // names that lead to what is written
	err  error    // the first

	variables *strings.Replacer // puts the names of variables in place of their values
}

func newYAMLWriter(variables map[string]string) *yamlWriter {
	var pairs []string
	for name, value := range variables {
		pairs = append(pairs, strings.ReplaceAll(value, "$", "$$"), "${"+name+"}")
	}
	return &yamlWriter{variables: strings.NewReplacer(pairs...)}
}

type (
	member struct {
		name  string
		value any
	}
	members []member // a map in this order
	spread  []member // likewise, never on one line
)

const one = json.Number("1")

const (
	maxLine = 100   // bytes of a line that several values share
	maxName = 1_000 // bytes of a name as it is written: YAML looks no further for its colon
)

func sortedMembers(m map[string]any) members {
	all := make(members, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, member{name, m[name]})
	}
	return all
}

// block writes the members of a map, each on a line of its own or several. Inline,
// the first stands where a line has begun.
func (y *yamlWriter) block(all []member, indent int, inline bool) {
	for i, m := range all {
		if i > 0 || !inline {
			y.pad(indent)
		}
		y.at = append(y.at, m.name)
		name := y.name(m.name)
		y.write(name, ":")
		y.value(m.value, indent, indent+len(name))
		y.at = y.at[:len(y.at)-1]
	}
}

// value writes what follows a colon or a dash, and ends the line, of which so many
// bytes are taken. Lines below it are indented further than indent.
func (y *yamlWriter) value(v any, indent, taken int) {
	if text, ok := v.(string); ok && isBlock(text) {
		y.literal(text, indent+2)
		return
	}
	if line, ok := y.line(v); ok && len(line) <= max(maxLine-taken, len("{}")) || !isContainer(v) {
		y.write(" ", line, "\n")
		return
	}
	y.write("\n")
	switch v := v.(type) {
	case spread:
		y.block(v, indent+2, false)
	case members:
		y.block(v, indent+2, false)
	case map[string]any:
		y.block(sortedMembers(v), indent+2, false)
	case []any:
		for _, element := range v {
			y.pad(indent + 2)
			y.write("-")
			y.element(element, indent+2)
		}
	}
}

// element writes what follows a dash: the first member of a map may stand there.
func (y *yamlWriter) element(v any, indent int) {
	var all []member
	switch v := v.(type) {
	case spread:
		all = v
	case members:
		all = v
	case map[string]any:
		all = sortedMembers(v)
	}
	if line, ok := y.line(v); len(all) == 0 || ok && len(line) <= maxLine-indent {
		y.value(v, indent, indent)
		return
	}
	y.write(" ")
	y.block(all, indent+2, true)
}

func isContainer(v any) bool {
	switch v.(type) {
	case spread, members, map[string]any, []any:
		return true
	}
	return false
}

// line gives a value on one line, if it has such a form.
func (y *yamlWriter) line(v any) (text string, ok bool) {
	var parts []string
	add := func(name string, v any) bool {
		if text, isText := v.(string); isText && isBlock(text) {
			return false
		}
		part, ok := y.line(v)
		parts = append(parts, name+part)
		return ok
	}
	switch v := v.(type) {
	case spread:
		return "{}", len(v) == 0
	case map[string]any:
		return y.line(sortedMembers(v))
	case members:
		for _, m := range v {
			y.at = append(y.at, m.name)
			ok := add(y.name(m.name)+": ", m.value)
			if y.at = y.at[:len(y.at)-1]; !ok {
				return "", false
			}
		}
		return "{" + strings.Join(parts, ", ") + "}", true
	case []any:
		for _, element := range v {
			if !add("", element) {
				return "", false
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", true
	}
	return y.scalar(v), true
}

func (y *yamlWriter) scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		read, _ := schema.Value(&yaml.Node{Kind: yaml.ScalarNode, Value: string(v)})
		if _, ok := read.(json.Number); !ok {
			y.fail("%s is no number that a batch file can hold", v)
		}
		return string(v)
	case string:
		return quoted(y.escaped(v))
	}
	y.fail("a %T is no plain value", v)
	return ""
}

// name gives the name of a member. Variables are not filled into names.
func (y *yamlWriter) name(s string) string {
	name := quoted(s)
	if doubled := strings.ReplaceAll(s, "$", "$$"); y.variables.Replace(doubled) != doubled {
		y.fail("a name holds the value of a variable that is not to be written")
	}
	if len(name) > maxName || !utf8.ValidString(s) {
		y.fail("a name of %d bytes that no batch file can hold: %s", len(s), shorten(s))
	}
	return name
}

// escaped is a text in which no variables are filled in but those that it is written
// with.
func (y *yamlWriter) escaped(s string) string {
	s = y.variables.Replace(strings.ReplaceAll(s, "$", "$$"))
	switch {
	case !utf8.ValidString(s):
		y.fail("it is not valid UTF-8")
	case len(s) > maxScalar:
		y.fail("a text of %d bytes; one value of a batch file can have %d", len(s), maxScalar)
	}
	return s
}

var (
	plainText = Pattern(`^[\pL_][\pL\pN_ ./()+'-]*$`)
	olderYAML = Pattern(`(?i)^(y|n|yes|no|on|off)$`) // of which other readers make true and false
)

// isPlain tells whether a text needs no quotes.
func isPlain(s string) bool {
	n := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	return plainText().MatchString(s) && !strings.HasSuffix(s, " ") && !olderYAML().MatchString(s) && n.ShortTag() == "!!str"
}

func quoted(s string) string {
	if isPlain(s) {
		return s
	}
	b := []byte{'"'}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case isShown(r):
			b = utf8.AppendRune(b, r)
		case r <= 0xff:
			b = fmt.Appendf(b, `\x%02x`, r)
		case r <= 0xffff:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = fmt.Appendf(b, `\U%08x`, r)
		}
	}
	return string(append(b, '"'))
}

// isShown tells whether a character can stand in YAML as it is, and be seen there.
func isShown(r rune) bool {
	const joiner = '\u200d' // of several emojis that are one
	return unicode.IsGraphic(r) || r == joiner
}

// isBlock tells whether a text is written as a block: it has several lines, and
// nothing in it needs to be escaped.
func isBlock(s string) bool {
	return strings.Contains(s, "\n") && strings.TrimSpace(s) != "" && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !isShown(r) })
}

// literal writes a text as a block.
func (y *yamlWriter) literal(s string, indent int) {
	s = y.escaped(s)
	y.write(" |")
	if strings.ContainsAny(s[:1], " \t\n") {
		y.write("2") // else the first line would say how far all are indented
	}
	body, ended := strings.CutSuffix(s, "\n")
	switch {
	case !ended:
		y.write("-")
	case strings.HasSuffix(body, "\n"):
		y.write("+")
	}
	y.write("\n")
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			y.pad(indent)
		}
		y.write(line, "\n")
	}
}

func (y *yamlWriter) pad(indent int) {
	for range indent {
		y.text = append(y.text, ' ')
	}
}

func (y *yamlWriter) write(texts ...string) {
	for _, s := range texts {
		y.text = append(y.text, s...)
	}
}

func (y *yamlWriter) fail(format string, args ...any) {
	if y.err == nil {
		y.err = fmt.Errorf("%s: %s", strings.Join(y.at, "."), fmt.Sprintf(format, args...))
	}
}
