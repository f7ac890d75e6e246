package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones must be there on machines that have none installed

	"nightshift/runner"
	"nightshift/spec"
)

// compileTime gives the time at which the node runs.
func compileTime(s *setup) step {
	format, zone, use := s.in("output_format"), s.in("time_node_zone"), s.in("use_delta")
	size, unit, sign, positive := s.in("delta_value"), s.in("delta_time_unit"), s.in("is_positive"), s.in("is_positive_delta")
	out := s.out("processed_time")
	var fixed *time.Location // read once where it is written out
	if name, ok := zone.literal(); ok {
		var err error
		if fixed, err = location(spec.Text(name)); err != nil {
			s.refuse("time_node_zone", "%v", err)
		}
	}
	return func(c *call) error {
		in := fixed
		if in == nil {
			var err error
			if in, err = location(zone.text(c)); err != nil {
				return fmt.Errorf("input \"time_node_zone\": %w", err)
			}
		}
		now := time.Now().In(in)
		shift, err := use.boolean(c)
		if err != nil {
			return err
		}
		if shift {
			n, err := size.integer(c)
			if err != nil {
				return err
			}
			forward, err := positive.boolean(c)
			if err != nil {
				return err
			}
			direction, err := sign.choice(c)
			if err != nil {
				return err
			}
			if direction == "-" || !forward {
				n = -n
			}
			if now, err = shifted(now, n, unit.text(c)); err != nil {
				return err
			}
		}
		kind, err := format.choice(c)
		if err != nil {
			return err
		}
		c.set(out, now.Format(timeLayouts[kind]))
		return nil
	}
}

var timeLayouts = map[string]string{
	"MM/DD/YYYY":            "01/02/2006",
	"MM-DD-YYYY / HH:MM:SS": "01-02-2006 / 15:04:05",
	"Timestamp":             time.RFC3339,
}

// location is a time zone by its IANA name. Go has two names more, "" for UTC
// and Local for the machine's own.
func location(name string) (*time.Location, error) {
	l, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, fmt.Errorf("there is no time zone %s; names are such as Europe/Berlin", quote(name))
	}
	return l, nil
}

// shifted moves a time; days and weeks are those of the calendar, so that the
// hour stays when the clocks change.
func shifted(t time.Time, n int, unit string) (time.Time, error) {
	seconds := map[string]int{"seconds": 1, "minutes": 60, "hours": 3600}
	days := map[string]int{"days": 1, "weeks": 7}
	unit = strings.ToLower(unit)
	moved := t
	switch {
	case n > math.MaxInt32 || n < math.MinInt32:
		return t, fmt.Errorf("input \"delta_value\": %d does not fit into 32 bits", n)
	case seconds[unit] > 0: // not Add: a Duration ends after 292 years
		moved = time.Unix(t.Unix()+int64(n)*int64(seconds[unit]), int64(t.Nanosecond())).In(t.Location())
	case days[unit] > 0:
		moved = t.AddDate(0, 0, n*days[unit])
	default:
		return t, fmt.Errorf("input \"delta_time_unit\": %s is not one of days, hours, minutes, seconds, weeks", quote(unit))
	}
	if year := moved.Year(); year < 0 || year > 9999 {
		return t, fmt.Errorf("input \"delta_value\": %d %s from now is outside of the years 0 to 9999", n, unit)
	}
	return moved, nil
}

var waitUnits = map[string]time.Duration{
	"nanos": time.Nanosecond, "micros": time.Microsecond, "milliseconds": time.Millisecond, "seconds": time.Second,
}

func compileWait(s *setup) step {
	amount, unit := s.in("wait_time"), s.in("wait_time_type")
	return func(c *call) error {
		n, err := amount.integer(c)
		if err != nil {
			return err
		}
		word, err := unit.choice(c)
		if err != nil {
			return err
		}
		one := waitUnits[word]
		switch {
		case n < 0:
			return fmt.Errorf("input \"wait_time\": %d is negative", n)
		case n > int(math.MaxInt64/one):
			return fmt.Errorf("input \"wait_time\": %d %s is too long", n, word)
		}
		return runner.Sleep(c.ctx, time.Duration(n)*one)
	}
}

// compileConvertType turns text into another type; text that is none fails the node.
func compileConvertType(s *setup) step {
	value, target, out := s.in("value"), s.in("target_type"), s.out("output")
	return func(c *call) error {
		typ, err := target.choice(c)
		if err != nil {
			return err
		}
		var v any
		switch typ {
		case "timestamp":
			v, err = timestamp(value.text(c))
		case "bool":
			v, err = boolean(value.text(c))
		default:
			v, err = spec.Convert(value.value(c), typ)
		}
		if err != nil {
			return fmt.Errorf("input \"value\": %w", err)
		}
		c.set(out, v)
		return nil
	}
}

func boolean(text string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%s is not one of true, false, yes, no, on, off, 1, 0", quote(text))
}

// timestamp gives RFC 3339 of what instant takes.
func timestamp(text string) (string, error) {
	t, err := instant(text)
	if err != nil {
		return "", err
	}
	return t.Format(time.RFC3339Nano), nil
}

// instant takes RFC 3339, a date with or without a time (in UTC), or seconds
// since 1970.
func instant(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > -1e11 && seconds < 1e11 {
		return time.Unix(seconds, 0).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a time such as 2026-11-23T09:30:00Z or 2026-11-23", quote(text))
}
