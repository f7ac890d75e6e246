package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// The clock of a synctest bubble stands at 2000-01-01T00:00:00Z.
func TestTime(t *testing.T) {
	t.Parallel()
	const (
		utc   = `time_node_zone: UTC, output_format: Timestamp`
		delta = utc + `, use_delta: true, `
		// 40 days before the clocks of Berlin go forward, at 2000-03-26T01:00:00Z
		berlin = `time_node_zone: Europe/Berlin, output_format: Timestamp, use_delta: true, `
	)
	for _, c := range []struct{ node, given, want, err string }{
		{node: ``, want: `"12/31/1999"`}, // New York is the default
		{node: `time_node_zone: Asia/Kathmandu, output_format: Timestamp`, want: `"2000-01-01T05:45:00+05:45"`},
		{node: `time_node_zone: Etc/UTC, output_format: MM-DD-YYYY / HH:MM:SS`, want: `"01-01-2000 / 00:00:00"`},
		{node: `time_node_zone: "{{ v.a }}", output_format: "{{ v.b }}"`, given: `{"a": "Asia/Tokyo", "b": "MM/DD/YYYY"}`, want: `"01/01/2000"`},
		{node: utc + `, delta_value: 5`, want: `"2000-01-01T00:00:00Z"`}, // use_delta is off
		{node: delta + `delta_value: 5`, want: `"2000-01-01T00:00:05Z"`},
		{node: delta + `delta_value: 90, delta_time_unit: minutes, is_positive: "-"`, want: `"1999-12-31T22:30:00Z"`},
		{node: delta + `delta_value: 5, is_positive_delta: false`, want: `"1999-12-31T23:59:55Z"`},
		{node: delta + `delta_value: 5, is_positive_delta: false, is_positive: "-"`, want: `"1999-12-31T23:59:55Z"`},
		{node: delta + `delta_value: -5, is_positive: "-"`, want: `"2000-01-01T00:00:05Z"`},
		{node: delta + `delta_value: "{{ v.a }}", delta_time_unit: hours`, given: `{"a": "25"}`, want: `"2000-01-02T01:00:00Z"`},
		{node: delta + `delta_value: 59, delta_time_unit: days`, want: `"2000-02-29T00:00:00Z"`},
		{node: delta + `delta_value: 52, delta_time_unit: weeks`, want: `"2000-12-30T00:00:00Z"`},
		{node: berlin + `delta_value: 90, delta_time_unit: days`, want: `"2000-03-31T01:00:00+02:00"`}, // the hour stays
		{node: berlin + `delta_value: 2160, delta_time_unit: hours`, want: `"2000-03-31T02:00:00+02:00"`},
		{node: delta + `delta_value: 200000000, delta_time_unit: minutes`, want: `"2380-04-06T21:20:00Z"`}, // more than a Duration holds
		{node: delta + `delta_value: 3000000, delta_time_unit: hours`, want: `"2342-03-29T00:00:00Z"`},
		{node: delta + `delta_value: 2147483647, delta_time_unit: weeks`, err: `node n (time): input "delta_value": 2147483647 weeks from now is outside of the years 0 to 9999`},
		{node: delta + `delta_value: 800000, delta_time_unit: days, is_positive: "-"`, err: `node n (time): input "delta_value": -800000 days from now is outside of the years 0 to 9999`},
		{node: delta + `delta_value: "{{ v.a }}"`, given: `{"a": 2147483648}`, err: `node n (time): input "delta_value": 2147483648 does not fit into 32 bits`},
		{node: delta + `delta_value: "{{ v.a }}"`, given: `{"a": 1.5}`, err: `node n (time): input "delta_value": 1.5 is not a whole number`},
		{node: delta + `delta_time_unit: "{{ v.a }}"`, given: `{"a": "months"}`, err: `node n (time): input "delta_time_unit": "months" is not one of days, hours, minutes, seconds, weeks`},
		{node: delta + `is_positive: "{{ v.a }}"`, given: `{"a": "minus"}`, err: `node n (time): input "is_positive": "minus" is not one of +, -`},
		{node: `output_format: "{{ v.a }}"`, given: `{"a": "DD/MM/YYYY"}`, err: `node n (time): input "output_format": "DD/MM/YYYY" is not one of MM-DD-YYYY / HH:MM:SS, MM/DD/YYYY, Timestamp`},
		{node: `time_node_zone: "{{ v.a }}"`, given: `{"a": ""}`, err: `node n (time): input "time_node_zone": there is no time zone ""; names are such as Europe/Berlin`},
		{node: `time_node_zone: Local`, err: `there is no time zone "Local"; names are such as Europe/Berlin`},
		{node: `time_node_zone: Europe/Berln`, err: `there is no time zone "Europe/Berln"; names are such as Europe/Berlin`},
	} {
		t.Run(c.node, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.given == "" {
					c.given = "{}"
				}
				got, err := runNode(t, `{type: time, inputs: {`+c.node+`}}`, "processed_time", c.given)
				if c.err != "" {
					checkError(t, err, c.err)
				} else if err != nil || got != c.want {
					t.Errorf("%s, %v; want %s", got, err, c.want)
				}
			})
		})
	}
}

func TestWaitNode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		node string
		want time.Duration
		err  string
	}{
		{node: `wait_time: 0, wait_time_type: seconds`, want: 0},
		{node: `wait_time: 90, wait_time_type: seconds`, want: 90 * time.Second},
		{node: `wait_time: 1500, wait_time_type: milliseconds`, want: 1500 * time.Millisecond},
		{node: `wait_time: 7, wait_time_type: micros`, want: 7 * time.Microsecond},
		{node: `wait_time: 7, wait_time_type: nanos`, want: 7},
		{node: `wait_time: "{{ in.text }}", wait_time_type: seconds`, want: 31536000 * time.Second},
		{node: `wait_time: -1, wait_time_type: seconds`, err: `node n (wait_node): input "wait_time": -1 is negative`},
		{node: `wait_time: 9223372037, wait_time_type: seconds`, err: `node n (wait_node): input "wait_time": 9223372037 seconds is too long`},
		{node: `wait_time: "{{ in.text }}0000000000", wait_time_type: nanos`, err: `node n (wait_node): input "wait_time": 315360000000000000 is too large`},
		{node: `wait_time: "{{ in.text }}.5", wait_time_type: nanos`, err: `node n (wait_node): input "wait_time": 31536000.5 is not a whole number`},
		{node: `wait_time: 1, wait_time_type: "{{ in.text }}"`, err: `node n (wait_node): input "wait_time_type": "31536000" is not one of micros, milliseconds, nanos, seconds`},
	} {
		t.Run(c.node, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				outputs, err := runNodes(t, `
					in: {type: input}
					n: {type: wait_node, inputs: {`+c.node+`}}
					then: {type: time, inputs: {time_node_zone: UTC, output_format: Timestamp, dependencies: ["{{ n.complete }}"]}}
					out: {type: output, inputs: {value: "{{ then.processed_time }}"}}
				`, runner.Inputs{"in": "31536000"})
				if c.err != "" {
					checkError(t, err, c.err)
					return
				}
				if waited := time.Since(began); err != nil || waited != c.want {
					t.Errorf("waited %v, %v; want %v", waited, err, c.want)
				}
				if want := began.Add(c.want).UTC().Format(time.RFC3339); outputs["out"] != want {
					t.Errorf("what depends on it ran at %v, want %s", outputs["out"], want)
				}
			})
		})
	}
}

func TestConvertType(t *testing.T) {
	t.Parallel()
	to := func(typ string) string { return `source_type: string, value: "{{ v.a }}", target_type: ` + typ }
	testNodes(t, "convert_type", "output", []nodeCase{
		{name: "int32 is the default", node: `source_type: string, value: " 42 "`, want: `42`},
		{name: "leading zeros", node: to("int32"), given: `{"a": "-0042"}`, want: `-42`},
		{name: "whole number with a point", node: to("int32"), given: `{"a": "4.0"}`, want: `4`},
		{name: "power of ten", node: to("int32"), given: `{"a": "1e3"}`, want: `1000`},
		{name: "fraction", node: to("int32"), given: `{"a": "4.5"}`, err: `node n (convert_type): input "value": 4.5 is not a whole number`},
		{name: "more than 32 bits", node: to("int32"), given: `{"a": "12345678901234567890"}`, err: `node n (convert_type): input "value": 12345678901234567890 does not fit into 32 bits`},
		{name: "no number", node: to("int32"), given: `{"a": "４２"}`, err: `node n (convert_type): input "value": "４２" is not a number`},
		{name: "nothing", node: to("int32"), given: `{"a": null}`, err: `node n (convert_type): input "value": "" is not a number`},
		{name: "float keeps its digits", node: to("float"), given: `{"a": "12345678901234567890.10"}`, want: `12345678901234567890.10`},
		{name: "float with a sign", node: to("float"), given: `{"a": "+.5"}`, want: `0.5`},
		{name: "no finite float", node: to("float"), given: `{"a": "Infinity"}`, err: `node n (convert_type): input "value": "Infinity" is not a number`},
		{name: "comma", node: to("float"), given: `{"a": "1,5"}`, err: `node n (convert_type): input "value": "1,5" is not a number`},
		{name: "true", node: to("bool"), given: `{"a": " YES\r\n"}`, want: `true`},
		{name: "false", node: to("bool"), given: `{"a": 0}`, want: `false`},
		{name: "neither", node: to("bool"), given: `{"a": "2"}`, err: `node n (convert_type): input "value": "2" is not one of true, false, yes, no, on, off, 1, 0`},
		{name: "date", node: to("timestamp"), given: `{"a": "2024-02-29"}`, want: `"2024-02-29T00:00:00Z"`},
		{name: "date and time", node: to("timestamp"), given: `{"a": "2024-02-29 09:30"}`, want: `"2024-02-29T09:30:00Z"`},
		{name: "zone and fraction", node: to("timestamp"), given: `{"a": "2024-02-29T09:30:00.250+01:00"}`, want: `"2024-02-29T09:30:00.25+01:00"`},
		{name: "seconds", node: to("timestamp"), given: `{"a": -1}`, want: `"1969-12-31T23:59:59Z"`},
		{name: "milliseconds are no seconds", node: to("timestamp"), given: `{"a": 1700000000000}`, err: `node n (convert_type): input "value": "1700000000000" is not a time such as 2026-11-23T09:30:00Z or 2026-11-23`},
		{name: "no such day", node: to("timestamp"), given: `{"a": "2026-02-29"}`, err: `node n (convert_type): input "value": "2026-02-29" is not a time such as 2026-11-23T09:30:00Z or 2026-11-23`},
		{name: "unknown type", node: to(`"{{ v.b }}"`), given: `{"a": "1", "b": "int64"}`, err: `node n (convert_type): input "target_type": "int64" is not one of bool, float, int32, timestamp`},
	})
}
