package runner

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Line is what a result line says, without its inputs and outputs.
type Line struct {
	ID         string
	Batch      string
	Generation string
	Index      int
	Status     State
	Digest     string // of the inputs; "" where there is none
	Class      string // of the error; "" of a success
	Attempts   int
	Duration   time.Duration // whole milliseconds
	StartedAt  time.Time     // UTC, whole milliseconds, as FinishedAt; zero where null
	FinishedAt time.Time
	Usage      *Usage // USD in whole billionths, and 0 where it is not the whole cost

	PossibleDuplicate bool
	Rehearsal         bool
}

// Line is what the line of the result says, or will say once it is written.
func (r *Result) Line() Line {
	l := Line{
		ID: asWritten(r.ID), Batch: asWritten(r.Batch), Generation: asWritten(r.Generation),
		Index: r.Index, Status: r.Status, Digest: asWritten(r.Digest), Attempts: r.Attempts,
		Duration:  r.Duration.Truncate(time.Millisecond),
		StartedAt: r.StartedAt.UTC().Truncate(time.Millisecond), FinishedAt: r.FinishedAt.UTC().Truncate(time.Millisecond),
		PossibleDuplicate: r.PossibleDuplicate, Rehearsal: r.Rehearsal,
	}
	if r.Error != nil {
		l.Class = asWritten(r.Error.Class)
	}
	if r.Usage != nil {
		usage := *r.Usage
		if usage.USD = math.Round(usage.USD*1e9) / 1e9; usage.Unpriced {
			usage.USD = 0 // the line has null
		}
		l.Usage = &usage
	}
	return l
}

// asWritten is a text as JSON holds it: valid UTF-8.
func asWritten(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.Map(func(r rune) rune { return r }, s) // every bad byte becomes U+FFFD
}

// ParseLine reads a result line, which comes without its newline, and overwrites
// all of line. Strings that line holds already are kept, so that reading many
// lines of a batch into the same Line makes few new ones; none is part of text. A
// text that is no result line is an error, and line is then empty.
func ParseLine(text []byte, line *Line) error {
	if fastLine(text, line) {
		return nil
	}
	var r Result
	if err := r.parse(text, false); err != nil {
		*line = Line{}
		return err
	}
	*line = r.Line()
	return nil
}
