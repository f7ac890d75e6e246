package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"nightshift/spec"
)

// equal compares numbers, and texts that are numbers, by value; all else by
// its text.
func equal(l, r any) bool {
	a, aText := l.(string)
	b, bText := r.(string)
	if aText && bText && (a == b || !mayBeNumber(a) || !mayBeNumber(b)) {
		return a == b // the usual case, and cheap: lists of words are searched with it
	}
	if order, err := compareNumbers(l, r); err == nil {
		return order == 0
	}
	return spec.Text(l) == spec.Text(r)
}

// mayBeNumber looks at how a text begins.
func mayBeNumber(text string) bool {
	text = strings.TrimSpace(text)
	return text != "" && strings.IndexByte("+-.0123456789", text[0]) >= 0
}

func compareNumbers(l, r any) (int, error) {
	left, err := spec.ToNumber(l)
	if err != nil {
		return 0, fmt.Errorf("left side: %w", err)
	}
	right, err := spec.ToNumber(r)
	if err != nil {
		return 0, fmt.Errorf("right side: %w", err)
	}
	return compare(left, right), nil
}

// compare orders two numbers exactly, however long they are.
func compare(left, right json.Number) int {
	a, errA := strconv.ParseInt(string(left), 10, 64)
	b, errB := strconv.ParseInt(string(right), 10, 64)
	if errA == nil && errB == nil {
		return cmp.Compare(a, b)
	}
	return newDecimal(left).compare(newDecimal(right))
}

// decimal is the number sign × 0.digits × 10^point. The digits neither begin
// nor end with a zero; those of zero are empty.
type decimal struct {
	sign   int
	digits string
	point  int
}

func newDecimal(n json.Number) decimal {
	text, negative := strings.CutPrefix(string(n), "-")
	mantissa, exponent := text, "0"
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	digits := strings.TrimLeft(all, "0")
	if digits == "" {
		return decimal{}
	}
	const most = 1 << 40               // an exponent that is out of range is as good as this one
	power, _ := strconv.Atoi(exponent) // out of range, it is the nearest that is in it
	d := decimal{
		sign:   1,
		digits: strings.TrimRight(digits, "0"),
		point:  len(whole) - (len(all) - len(digits)) + min(max(power, -most), most),
	}
	if negative {
		d.sign = -1
	}
	return d
}

func (d decimal) compare(o decimal) int {
	if d.sign != o.sign {
		return cmp.Compare(d.sign, o.sign)
	}
	return d.sign * cmp.Or(cmp.Compare(d.point, o.point), cmp.Compare(d.digits, o.digits))
}
