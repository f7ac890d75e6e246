package llm

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"nightshift/spec"
)

// style is what texts look like that a made value holds: what a schema does not
// say, the one who asked may still check.
type style uint64

const (
	asWords style = iota
	asTimes       // texts are points in time
	asNulls       // what may be null is
	styles
)

// Limits of a made value. A schema may have no end, or allow no value that has one.
const (
	fullDepth = 5      // what lies deeper has only what it must have
	mostDepth = 40     // what lies deeper is null
	mostParts = 10_000 // then references are not followed, and lists end
	mostChars = 100_000
)

// madeJSON is an object that fits the schema of a request. It is the same for the
// same request; what can be chosen is chosen by its text.
func madeJSON(r Request, s style) string {
	m := &maker{text: r.Prompt + " " + r.System, seed: seedOf(r), style: s, left: mostParts}
	if len(r.Schema) == 0 {
		return string(spec.AppendJSON(nil, map[string]any{"answer": wordsOf(m.text, 0, answerChars/2)}))
	}
	schema, err := spec.ParseJSON(r.Schema)
	if err != nil {
		return "{}"
	}
	m.root = schema
	return string(spec.AppendJSON(nil, m.value(schema, "", 0)))
}

// seedOf is the same for the same request.
func seedOf(r Request) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.System + "\x00" + r.Prompt))
	return h.Sum64()
}

// maker makes values that fit the parts of a schema.
type maker struct {
	root  any
	text  string // that words are taken of
	seed  uint64
	style style
	left  int // parts that may yet be made
}

// pick chooses one of n by the request and the place of a part.
func (m *maker) pick(at string, n int) int {
	h := fnv.New64a()
	_, _ = h.Write(binary.LittleEndian.AppendUint64([]byte(at), m.seed))
	x := h.Sum64() // whose last bits depend on those of the text only
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	return int((x ^ x>>33) % uint64(max(n, 1)))
}

// choice is one of those that are written out, each of them as often as another, but
// seldom one that says that none fits: what comes after it would not be rehearsed.
func (m *maker) choice(all []any, at string) any {
	v := all[m.pick(at, len(all))]
	if v == nil || v == "none" {
		v = all[m.pick(at+"?", len(all))]
	}
	return v
}

// value makes one that fits a schema, for a place in the whole.
func (m *maker) value(schema any, at string, depth int) any {
	s, ok := m.resolve(schema, depth)
	if m.left--; !ok || depth > mostDepth {
		return nil
	}
	if v, ok := s["const"]; ok {
		return v
	}
	if all, _ := s["enum"].([]any); len(all) > 0 {
		return m.choice(all, at)
	}
	switch m.typeOf(s) {
	case "object":
		return m.object(s, at, depth)
	case "array":
		return m.array(s, at, depth)
	case "integer", "number":
		return m.number(s, at)
	case "boolean":
		return m.pick(at, 2) == 0
	case "null":
		return nil
	}
	return m.string(s, at)
}

func (m *maker) object(s map[string]any, at string, depth int) any {
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	more := s["additionalProperties"]
	object := map[string]any{}
	add := func(name string, schema any) { object[name] = m.value(schema, at+"/"+name, depth+1) }
	for _, name := range required {
		if name, ok := name.(string); ok {
			schema, declared := properties[name]
			if !declared && more != false {
				schema = more
			}
			add(name, schema)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if _, there := object[name]; !there && depth <= fullDepth && properties[name] != false {
			add(name, properties[name])
		}
	}
	least := count(s["minProperties"], 0)
	if _, described := more.(map[string]any); described && depth <= fullDepth && len(properties) == 0 {
		least = max(least, 1)
	}
	for i := 1; len(object) < least && more != false && m.left > 0; i++ {
		add("key"+strconv.Itoa(i), more)
	}
	return object
}

func (m *maker) array(s map[string]any, at string, depth int) any {
	least, most := count(s["minItems"], 0), count(s["maxItems"], math.MaxInt32)
	n := least
	if depth <= fullDepth {
		n = max(n, min(most, 1+m.pick(at+"#", 3)))
	}
	first, _ := s["prefixItems"].([]any)
	if n = max(n, min(most, len(first))); s["items"] == false {
		n = len(first)
	}
	list, seen := []any{}, map[string]bool{}
	for i := 0; len(list) < n && i < 4*n && m.left > 0; i++ {
		schema := s["items"]
		if i < len(first) {
			schema = first[i]
		}
		v := m.value(schema, at+"/"+strconv.Itoa(i), depth+1)
		text := string(spec.AppendJSON(nil, v))
		if unique, _ := s["uniqueItems"].(bool); unique && seen[text] {
			continue
		}
		seen[text] = true
		list = append(list, v)
	}
	return list
}

// count reads a number of things.
func count(v any, otherwise int) int {
	if f, ok := float(v); ok && f >= 0 {
		return int(min(f, math.MaxInt32))
	}
	return otherwise
}

func float(v any) (float64, bool) {
	n, ok := v.(json.Number)
	f, err := strconv.ParseFloat(string(n), 64)
	return f, ok && err == nil
}

// string makes one of a format or a pattern, else of words, as long as it may be.
func (m *maker) string(s map[string]any, at string) string {
	least, most := count(s["minLength"], 0), min(count(s["maxLength"], mostChars), mostChars)
	format, _ := s["format"].(string)
	const timeChars = len("2026-01-31T12:00:00Z")
	if m.style == asTimes && format == "" && s["pattern"] == nil && least <= timeChars && timeChars <= most {
		format = "date-time"
	}
	if text, known := ofFormat(format, m.pick(at, 1<<16)); known {
		return text
	}
	if pattern, ok := s["pattern"].(string); ok {
		if text, ok := ofPattern(pattern); ok {
			return text
		}
	}
	const usual = 60
	n := min(max(least, min(usual, most)), mostChars)
	text := wordsOf(m.text, m.pick(at, 1<<10), n)
	return text + strings.Repeat("x", max(0, min(least, mostChars)-utf8.RuneCountInString(text)))
}
