package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones must be there on machines that have none installed

	"nightshift/spec"
)

// compileTime gives the time at which the node runs.
func compileTime(s *setup) step {
	format, zone, use := s.in("output_format"), s.in("time_node_zone"), s.in("use_delta")
	size, unit, sign, positive := s.in("delta_value"), s.in("delta_time_unit"), s.in("is_positive"), s.in("is_positive_delta")
	out := s.out("processed_time")
	if name, ok := zone.literal(); ok {
		if _, err := time.LoadLocation(spec.Text(name)); err != nil {
			s.refuse("time_node_zone", "there is no time zone %q; names are such as Europe/Berlin", spec.Text(name))
		}
	}
	return func(c *call) error {
		location, err := time.LoadLocation(zone.text(c))
		if err != nil {
			return fmt.Errorf("input \"time_node_zone\": there is no time zone %s", quote(zone.text(c)))
		}
		now := time.Now().In(location)
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
			if sign.text(c) == "-" || !forward {
				n = -n
			}
			if now, err = shifted(now, n, unit.text(c)); err != nil {
				return err
			}
		}
		layout := map[string]string{"MM/DD/YYYY": "01/02/2006", "MM-DD-YYYY / HH:MM:SS": "01-02-2006 / 15:04:05", "Timestamp": time.RFC3339}[format.text(c)]
		if layout == "" {
			return fmt.Errorf("input \"output_format\": %s is not known", quote(format.text(c)))
		}
		c.set(out, now.Format(layout))
		return nil
	}
}

// shifted moves a time; days and weeks are those of the calendar, so that the
// hour stays when the clocks change.
func shifted(t time.Time, n int, unit string) (time.Time, error) {
	const most = math.MaxInt32
	if n > most || n < -most {
		return t, fmt.Errorf("input \"delta_value\": %d is too large", n)
	}
	switch strings.ToLower(unit) {
	case "seconds":
		return t.Add(time.Duration(n) * time.Second), nil
	case "minutes":
		return t.Add(time.Duration(n) * time.Minute), nil
	case "hours":
		return t.Add(time.Duration(min(max(n, -2_000_000), 2_000_000)) * time.Hour), nil
	case "days":
		return t.AddDate(0, 0, n), nil
	case "weeks":
		return t.AddDate(0, 0, 7*n), nil
	}
	return t, fmt.Errorf("input \"delta_time_unit\": %s is not one of days, hours, minutes, seconds, weeks", quote(unit))
}

func compileWait(s *setup) step {
	amount, unit := s.in("wait_time"), s.in("wait_time_type")
	return func(c *call) error {
		n, err := amount.integer(c)
		if err != nil {
			return err
		}
		one, ok := map[string]time.Duration{"nanos": time.Nanosecond, "micros": time.Microsecond, "milliseconds": time.Millisecond, "seconds": time.Second}[unit.text(c)]
		switch {
		case !ok:
			return fmt.Errorf("input \"wait_time_type\": %s is not one of micros, milliseconds, nanos, seconds", quote(unit.text(c)))
		case n < 0:
			return fmt.Errorf("input \"wait_time\" is negative")
		case n > int(math.MaxInt64/one):
			return fmt.Errorf("input \"wait_time\": %d %s is too long", n, unit.text(c))
		}
		timer := time.NewTimer(time.Duration(n) * one)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// compileConvertType turns text into another type; text that is none fails the node.
func compileConvertType(s *setup) step {
	value, target, out := s.in("value"), s.in("target_type"), s.out("output")
	return func(c *call) error {
		var v any
		var err error
		switch typ := target.text(c); typ {
		case "timestamp":
			v, err = timestamp(value.text(c))
		case "bool":
			v, err = boolean(value.text(c))
		case "int32", "float":
			v, err = spec.Convert(value.value(c), typ)
		default:
			err = fmt.Errorf("input \"target_type\": %s is not one of bool, float, int32, timestamp", quote(typ))
		}
		c.set(out, v)
		return err
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

// timestamp takes RFC 3339, a date with or without a time (in UTC), or seconds
// since 1970, and gives RFC 3339.
func timestamp(text string) (string, error) {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > -1e11 && seconds < 1e11 {
		return time.Unix(seconds, 0).UTC().Format(time.RFC3339), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Format(time.RFC3339Nano), nil
		}
	}
	return "", fmt.Errorf("%s is not a time such as 2026-11-23T09:30:00Z or 2026-11-23", quote(text))
}
