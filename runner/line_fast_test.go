package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

func trimmed(r *Result) []byte { return bytes.TrimSuffix(r.AppendJSON(nil), []byte("\n")) }

// TestLinesThatAreReadFast: those that batches are made of.
func TestLinesThatAreReadFast(t *testing.T) {
	tests := map[string]func(*Result){
		"typical":  func(*Result) {},
		"no usage": func(r *Result) { r.Usage = nil },
		"unpriced": func(r *Result) { r.Usage.Unpriced = true },
		"cached":   func(r *Result) { *r.Usage = Usage{Cached: true} },
		"failed": func(r *Result) {
			r.Status, r.Outputs, r.Error = Failed, nil, &ErrorInfo{"run_failed", "a \"b\"\n", 500, "llm"}
		},
		"timed out":   func(r *Result) { r.Status, r.Outputs, r.Error = TimedOut, nil, &ErrorInfo{Class: "timed_out"} },
		"never begun": func(r *Result) { r.Handle, r.StartedAt, r.Attempts, r.Duration = Handle{}, time.Time{}, 0, 0 },
		"bad row":     func(r *Result) { r.Inputs, r.Digest = nil, "" },
		"escapes":     func(r *Result) { r.Outputs["out"] = "a\n\tb \"c\" \\ \x01\u2028 日本 🌙" },
		"values": func(r *Result) {
			r.Outputs["n"] = []any{json.Number("-1.5e-7"), true, false, nil, map[string]any{"a": []any{}}}
		},
		"an id beyond": func(r *Result) { r.ID = "日本-7" },
	}
	for name, change := range tests {
		r := typicalResult(3)
		change(r)
		var line Line
		if !fastLine(trimmed(r), &line) {
			t.Errorf("%s: %s is not", name, trimmed(r))
		}
		want(t, name, line, r.Line())
	}
}

// checkAgreement reads a text in both ways: what the fast one accepts, the slow
// one reads alike.
func checkAgreement(t *testing.T, text []byte) {
	t.Helper()
	slow, err := slowLine(text)
	fast := usedLine()
	if !fastLine(text, &fast) {
		return
	}
	if err != nil {
		t.Fatalf("%q\nis accepted, but %v", text, err)
	}
	if diff := gocmp.Diff(slow, fast); diff != "" {
		t.Fatalf("%q\n-slow +fast:\n%s", text, diff)
	}
}

// TestDamageIsSeen changes, removes and doubles each byte of lines.
func TestDamageIsSeen(t *testing.T) {
	r := typicalResult(3)
	r.Status, r.Error = Failed, &ErrorInfo{"run_failed", "\\ud83c\n\u0001 日本", 500, "llm"}
	r.Outputs["n"] = []any{json.Number("-10.5e-7"), true, nil}
	text := trimmed(r)
	checkAgreement(t, text)
	for i := range text {
		if err := ParseLine(text[:i], &Line{}); err == nil {
			t.Fatalf("%q is accepted", text[:i])
		}
		without := append(bytes.Clone(text[:i]), text[i+1:]...)
		checkAgreement(t, without)
		checkAgreement(t, append(bytes.Clone(text[:i+1]), text[i:]...))
		for _, b := range []byte("\x00\x1f \"\\/u,:{}[]0e.-+9anZ\x7f\x80\xe6\xff") {
			changed := bytes.Clone(text)
			changed[i] = b
			checkAgreement(t, changed)
		}
	}
}

// TestStringsOfAllLengths puts what ends or breaks a string at every place of the
// words of 8 bytes that strings are read in.
func TestStringsOfAllLengths(t *testing.T) {
	const template = `{"id":"%s","batch":"b","index":0,"generation":"g","status":"failed","inputs":{"a":"%s"},"input_digest":null,"outputs":null,` +
		`"error":null,"pipeline_id":null,"task_id":null,"trace_id":null,"attempts":0,"started_at":null,"finished_at":null,"duration_ms":0,` +
		`"usage":null,"possible_duplicate":false,"rehearsal":false}`
	for before := range 18 {
		for after := range 10 {
			for _, middle := range []string{
				"", `"`, `\`, `\\`, `\"`, `\n`, `\x`, `\u00e9`, `\u00E9`, `\u12g4`, `\ud834\udd1e`, `\ud834`, `\uDd1e`, `\u12`,
				"\x00", "\x1f", "\x7f", "!", "#", "[", "]", "é", "日", "🌙", "\xe6\x97", "\x80", "\xed\xa0\x80", "\xc0\xaf",
			} {
				s := strings.Repeat("a", before) + middle + strings.Repeat("é", after)
				checkAgreement(t, fmt.Appendf(nil, template, "x", s))
				checkAgreement(t, fmt.Appendf(nil, template, s, "x"))
			}
		}
	}
}

func TestPricesAreReadExactly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		r := typicalResult(1)
		r.Usage.USD = float64(random.Int64N(1e15)>>random.IntN(50)) / 1e9
		var line Line
		if !fastLine(trimmed(r), &line) || line.Usage.USD != r.Usage.USD {
			t.Fatalf("%v is read as %v", r.Usage.USD, line.Usage.USD)
		}
	}
}

func TestTimesAreReadExactly(t *testing.T) {
	const form = "2006-01-02T15:04:05.000Z"
	accepted := 0
	for year := range 401 {
		for month := range 14 {
			for day := range 33 {
				text := fmt.Sprintf("%04d-%02d-%02dT23:59:59.999Z", 1970-400+2*year, month, day)
				wanted, err := time.Parse(form, text)
				var got time.Time
				c := cursor{[]byte(`"` + text + `"`)}
				if ok := c.time(&got); ok != (err == nil) || ok && got != wanted {
					t.Fatalf("%s is read as %v, %v; %v", text, got, ok, err)
				} else if ok {
					accepted++
				}
			}
		}
	}
	if accepted < 401*365 {
		t.Errorf("%d days are read", accepted)
	}
	for _, text := range []string{
		"0000-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-01-01T24:00:00.000Z", "2026-01-01T00:60:00.000Z", "2026-01-01T00:00:60.000Z",
		"2026-01-01t00:00:00.000Z", "2026-01-01T00:00:00,000Z", "2026-01-01T00:00:00.000z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.00+00:00", "",
	} {
		checkAgreement(t, bytes.Replace(trimmed(typicalResult(0)), []byte("2026-11-23T01:02:03.000Z"), []byte(text), 1))
	}
}

func TestValuesThatLieDeep(t *testing.T) {
	for _, depth := range []int{maxFastDepth - 2, maxFastDepth, maxFastDepth + 1, 9_000} {
		text := bytes.Replace(typicalLine(1), []byte(`"inputs":{`), []byte(`"inputs":{"deep":`+strings.Repeat("[", depth)+strings.Repeat("]", depth)+`,`), 1)
		want(t, fmt.Sprint(depth), ParseLine(text[:len(text)-1], &Line{}), nil)
	}
	text := bytes.Replace(typicalLine(1), []byte(`"inputs":{`), []byte(`"inputs":{"deep":`+strings.Repeat("[", 1_000_000)), 1)
	if ParseLine(text, &Line{}) == nil {
		t.Error("what has no end is accepted")
	}
}

func TestReadingIntoALineMakesFewStrings(t *testing.T) {
	r := typicalResult(1)
	r.Usage = nil
	text, line := trimmed(r), Line{}
	allocated := testing.AllocsPerRun(100, func() {
		line.ID, line.Digest = "", ""
		if err := ParseLine(text, &line); err != nil {
			t.Fatal(err)
		}
	})
	want(t, "allocations", allocated, 2.0) // id and digest
}

func FuzzParseLine(f *testing.F) {
	f.Add(typicalLine(1))
	f.Add(trimmed(typicalResult(2)))
	failed := typicalResult(3)
	failed.Status, failed.Outputs, failed.Error = Failed, nil, &ErrorInfo{"run_failed", "a \"b\"\n\u0001日本", 500, "llm"}
	f.Add(trimmed(failed))
	f.Add([]byte(`{"id":"a","batch":"b","generation":"g","status":"failed"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		checkAgreement(t, text)
		line := usedLine()
		err := ParseLine(text, &line)
		if err != nil {
			want(t, "line", line, Line{})
		} else if !json.Valid(text) {
			t.Fatalf("%q is not even JSON", text)
		}
		if r, errResult := ParseResult(text); errResult == nil {
			want(t, "error of the line", err, nil)
			want(t, "line", line, r.Line())
		}
	})
}

func BenchmarkParseLine(b *testing.B) {
	failed := typicalResult(2)
	failed.Status, failed.Outputs = Failed, nil
	failed.Error = &ErrorInfo{"run_failed", "node llm (llm): the model answered \"nothing\"\nof use", 500, "llm"}
	long := typicalResult(3)
	long.Outputs["out"] = strings.Repeat("A line of text, as models write them.\n", 1<<18)
	for _, bench := range []struct {
		name string
		text []byte
	}{
		{"typical", trimmed(typicalResult(1))},
		{"failed", trimmed(failed)},
		{"10MB", trimmed(long)},
		{"rewritten", append(trimmed(typicalResult(1)), ' ')},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.text)))
			b.ReportAllocs()
			var line Line
			for b.Loop() {
				line.ID, line.Digest = "", ""
				if err := ParseLine(bench.text, &line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
