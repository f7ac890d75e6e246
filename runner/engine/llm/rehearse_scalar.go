package llm

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp/syntax"
	"strconv"
	"strings"
)

// number makes one between the bounds of a schema: a whole one where there is one.
func (m *maker) number(s map[string]any, at string) json.Number {
	const span = 10
	low, hasLow := float(s["minimum"])
	high, hasHigh := float(s["maximum"])
	openLow, openHigh := s["exclusiveMinimum"] == true, s["exclusiveMaximum"] == true // of older drafts
	if f, ok := float(s["exclusiveMinimum"]); ok && (!hasLow || f >= low) {
		low, hasLow, openLow = f, true, true
	}
	if f, ok := float(s["exclusiveMaximum"]); ok && (!hasHigh || f <= high) {
		high, hasHigh, openHigh = f, true, true
	}
	switch {
	case !hasLow && !hasHigh:
		low, high = 1, span
	case !hasLow:
		low, openLow = high-span, false
	case !hasHigh:
		high, openHigh = low+span, false
	}
	step, ok := float(s["multipleOf"])
	if !ok || step <= 0 {
		step = 1
	}
	first, last := math.Ceil(low/step), math.Floor(high/step)
	if openLow && first*step == low {
		first++
	}
	if openHigh && last*step == high {
		last--
	}
	value := (low + high) / 2
	if first <= last {
		value = (first + float64(m.pick(at, int(min(last-first, 1<<20))+1))) * step
	}
	return json.Number(strconv.FormatFloat(value, 'f', -1, 64))
}

// ofFormat makes a text of a format, the n-th of them.
func ofFormat(format string, n int) (text string, known bool) {
	day := 1 + n%28
	switch format {
	case "date-time":
		return fmt.Sprintf("2026-01-%02dT12:00:00Z", day), true
	case "date":
		return fmt.Sprintf("2026-01-%02d", day), true
	case "time":
		return fmt.Sprintf("12:%02d:00Z", n%60), true
	case "duration":
		return fmt.Sprintf("PT%dM", day), true
	case "email", "idn-email":
		return fmt.Sprintf("rehearsal%d@example.com", n), true
	case "hostname", "idn-hostname":
		return fmt.Sprintf("rehearsal%d.example.com", n), true
	case "uri", "iri", "uri-reference", "iri-reference":
		return fmt.Sprintf("https://example.com/rehearsal/%d", n), true
	case "ipv4":
		return fmt.Sprintf("192.0.2.%d", n%256), true
	case "ipv6":
		return fmt.Sprintf("2001:db8::%x", n%0x10000), true
	case "uuid":
		return fmt.Sprintf("00000000-0000-4000-8000-%012x", n), true
	}
	return "", false
}

// ofPattern makes a short text that a regular expression matches, where it is one
// that Go knows.
func ofPattern(pattern string) (string, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	writeMatch(&b, re)
	return b.String(), b.Len() <= mostChars
}

func writeMatch(b *strings.Builder, re *syntax.Regexp) {
	times := 1
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(legible(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpStar, syntax.OpQuest:
		times = 0
	case syntax.OpRepeat:
		times = re.Min
	case syntax.OpAlternate:
		writeMatch(b, re.Sub[0])
		return
	}
	for range times {
		for _, sub := range re.Sub {
			if b.Len() <= mostChars {
				writeMatch(b, sub)
			}
		}
	}
}

// legible is a letter or a digit of a class, if it has one; a class is pairs of
// the first and the last of a range.
func legible(class []rune) rune {
	for _, r := range "a0A_- " {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= r && r <= class[i+1] {
				return r
			}
		}
	}
	if len(class) == 0 {
		return 'a'
	}
	return class[0]
}
