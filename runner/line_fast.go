package runner

import "time"

// fastLine reads a result line exactly as Result.AppendJSON writes it, about ten
// times as fast as a JSON decoder does: a batch of a million items is resumed in
// the time that this takes. Anything else it leaves to that decoder and returns
// false, be it another order of keys, white space, a name with an escape in it,
// or damage. What it accepts is a valid line, and the decoder reads the same.
func fastLine(text []byte, l *Line) bool {
	c := cursor{text}
	var ms int
	ok := c.skip(`{"id":`) && c.string(&l.ID) &&
		c.skip(`,"batch":`) && c.string(&l.Batch) &&
		c.skip(`,"index":`) && c.int(&l.Index) &&
		c.skip(`,"generation":`) && c.string(&l.Generation) &&
		c.skip(`,"status":`) && c.state(&l.Status) &&
		c.skip(`,"inputs":`) && c.object() &&
		c.skip(`,"input_digest":`) && c.optional(&l.Digest) &&
		c.skip(`,"outputs":`) && c.object() &&
		c.skip(`,"error":`) && c.class(&l.Class) &&
		c.skip(`,"pipeline_id":`) && c.pass() &&
		c.skip(`,"task_id":`) && c.pass() &&
		c.skip(`,"trace_id":`) && c.pass() &&
		c.skip(`,"attempts":`) && c.int(&l.Attempts) &&
		c.skip(`,"started_at":`) && c.time(&l.StartedAt) &&
		c.skip(`,"finished_at":`) && c.time(&l.FinishedAt) &&
		c.skip(`,"duration_ms":`) && c.int(&ms) && int64(ms) <= maxMilliseconds &&
		c.skip(`,"usage":`) && c.usage(&l.Usage) &&
		c.skip(`,"possible_duplicate":`) && c.bool(&l.PossibleDuplicate) &&
		c.skip(`,"rehearsal":`) && c.bool(&l.Rehearsal) &&
		string(c.rest) == "}"
	l.Duration = time.Duration(ms) * time.Millisecond
	return ok
}

// plain gives a string that needs no unescaping.
func (c *cursor) plain() (text []byte, ok bool) {
	text, escaped, ok := c.quoted()
	return text, ok && !escaped
}

func (c *cursor) string(s *string) bool {
	text, ok := c.plain()
	if ok && string(text) != *s { // else the one that is there serves
		*s = string(text)
	}
	return ok
}

func (c *cursor) optional(s *string) bool {
	if c.skip("null") {
		*s = ""
		return true
	}
	return c.string(s)
}

func (c *cursor) state(s *State) bool {
	text, ok := c.plain()
	if !ok {
		return false
	}
	for _, state := range resultStates {
		if string(text) == string(state) {
			*s = state
			return true
		}
	}
	return false
}

// class is that of the error; "" of null.
func (c *cursor) class(s *string) bool {
	if c.skip("null") {
		*s = ""
		return true
	}
	var code int
	return c.skip(`{"class":`) && c.string(s) &&
		c.skip(`,"message":`) && c.pass() &&
		c.skip(`,"status_code":`) && (c.skip("null") || c.int(&code)) &&
		c.skip(`,"node":`) && c.pass() &&
		c.skip("}")
}

// pass goes past a string or null.
func (c *cursor) pass() bool {
	if c.skip("null") {
		return true
	}
	_, _, ok := c.quoted()
	return ok
}

func (c *cursor) bool(b *bool) bool {
	*b = c.skip("true")
	return *b || c.skip("false")
}

// digits gives a number as it is in the text, of at most 15 digits.
func (c *cursor) digits() (n int64, width int) {
	for width < len(c.rest) && width < 16 && isDigit(c.rest[width]) {
		n = n*10 + int64(c.rest[width]-'0')
		width++
	}
	if width == 16 {
		return 0, 0
	}
	return n, width
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// whole reads a number that is neither negative nor of more than 15 digits.
func (c *cursor) whole(n *int64) bool {
	value, width := c.digits()
	if width == 0 || width > 1 && c.rest[0] == '0' {
		return false
	}
	*n, c.rest = value, c.rest[width:]
	return true
}

func (c *cursor) int(n *int) bool {
	var value int64
	if !c.whole(&value) {
		return false
	}
	*n = int(value)
	return int64(*n) == value
}

// time reads a time as it is written, in UTC and with 3 decimals.
func (c *cursor) time(t *time.Time) bool {
	const width = len(`"2006-01-02T15:04:05.000Z"`)
	if c.skip("null") {
		*t = time.Time{}
		return true
	}
	if len(c.rest) < width {
		return false
	}
	b := c.rest[:width]
	c.rest = c.rest[width:]
	wrong := int64(0) // becomes negative at what is no digit
	digit := func(i int) int64 {
		d := int64(b[i]) - '0'
		wrong |= d | (9 - d)
		return d
	}
	two := func(i int) int64 { return digit(i)*10 + digit(i+1) }
	year, month, day := two(1)*100+two(3), two(6), two(9)
	hour, minute, second, ms := two(12), two(15), two(18), two(21)*10+digit(23)
	if wrong < 0 || b[0] != '"' || b[5] != '-' || b[8] != '-' || b[11] != 'T' || b[14] != ':' || b[17] != ':' || b[20] != '.' || b[24] != 'Z' || b[25] != '"' ||
		year == 0 || month == 0 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return false
	}
	days := daysTo(year, month)
	if day == 0 || day > daysTo(year, month+1)-days {
		return false
	}
	*t = time.UnixMilli(((((days+day-1)*24+hour)*60+minute)*60+second)*1000 + ms).UTC()
	return true
}

// daysTo counts the days from 1970 to the first of a month. Years are taken to
// begin in March, as then a leap day is the last of its year and the lengths of
// the months before it are those of a straight line, rounded down.
func daysTo(year, month int64) int64 {
	if month < 3 {
		year, month = year-1, month+12
	}
	return year*365 + year/4 - year/100 + year/400 + (month*153-457)/5 - 719_468
}

func (c *cursor) usage(u **Usage) bool {
	*u = nil
	if c.skip("null") {
		return true
	}
	var v Usage
	ok := c.skip(`{"input_tokens":`) && c.whole(&v.InputTokens) &&
		c.skip(`,"output_tokens":`) && c.whole(&v.OutputTokens) &&
		c.skip(`,"usd":`) && c.usd(&v) &&
		c.skip(`,"cached":`) && c.bool(&v.Cached) &&
		c.skip("}")
	if ok {
		*u = &v
	}
	return ok
}

// usd reads a price of at most 9 decimals as that many billionths. They are
// whole and below 2^53, so that their quotient is the nearest float64, which is
// what the decoder gives.
func (c *cursor) usd(u *Usage) bool {
	if c.skip("null") {
		u.Unpriced = true
		return true
	}
	var dollars, nano int64
	if !c.whole(&dollars) || dollars >= 1e6 {
		return false
	}
	if c.skip(".") {
		var width int
		if nano, width = c.digits(); width == 0 || width > 9 {
			return false
		}
		c.rest = c.rest[width:]
		for range 9 - width {
			nano *= 10
		}
	}
	u.USD = float64(dollars*1e9+nano) / 1e9
	return true
}
