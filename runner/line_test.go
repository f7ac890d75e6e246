package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// completeResult draws what anyResult leaves out, too.
var completeResult = rapid.Custom(func(t *rapid.T) *Result {
	r := anyResult.Draw(t, "result")
	if rapid.Bool().Draw(t, "has usage") {
		tokens := rapid.Int64Range(0, 1<<60)
		r.Usage = &Usage{
			InputTokens: tokens.Draw(t, "in"), OutputTokens: tokens.Draw(t, "out"),
			USD:      rapid.OneOf(rapid.Float64Range(0, 1e6), rapid.Float64Range(0, 1e-6), rapid.SampledFrom([]float64{0, 1, 0.1, 0.3, 1e-9, 123.456})).Draw(t, "usd"),
			Unpriced: rapid.Bool().Draw(t, "unpriced"), Cached: rapid.Bool().Draw(t, "cached"),
		}
	}
	if r.Error != nil && rapid.Bool().Draw(t, "has a code") {
		r.Error.StatusCode = rapid.IntRange(100, 599).Draw(t, "code")
	}
	r.PossibleDuplicate = rapid.Bool().Draw(t, "possible duplicate")
	r.Rehearsal = rapid.Bool().Draw(t, "rehearsal")
	return r
})

// slowLine reads a line as it is read when the fast way does not know it.
func slowLine(text []byte) (Line, error) {
	var r Result
	if err := r.parse(text, false); err != nil {
		return Line{}, err
	}
	return r.Line(), nil
}

// usedLine is a Line that has been read into before.
func usedLine() Line {
	return Line{
		ID: "old", Batch: "old", Generation: "old", Index: 7, Status: Cancelled, Digest: "old", Class: "old", Attempts: 7, Duration: 7,
		StartedAt: time.Unix(7, 0), FinishedAt: time.Unix(7, 0), Usage: &Usage{InputTokens: 7, Cached: true}, PossibleDuplicate: true, Rehearsal: true,
	}
}

// TestLineIsWhatIsWritten: what a result says of its line, the line says, read
// either way; and all that is read makes the same line again.
func TestLineIsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := completeResult.Draw(t, "result")
		text := bytes.TrimSuffix(r.AppendJSON(nil), []byte("\n"))
		wanted := r.Line()

		for what, line := range map[string]Line{"zero": {}, "used": usedLine()} {
			if err := ParseLine(text, &line); err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(wanted, line); diff != "" {
				t.Fatalf("into a %s line, -said +read:\n%s", what, diff)
			}
		}
		slow, err := slowLine(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(wanted, slow); diff != "" {
			t.Fatalf("-said +read slowly:\n%s", diff)
		}

		whole, err := ParseResult(text)
		if err != nil {
			t.Fatal(err)
		}
		if again := bytes.TrimSuffix(whole.AppendJSON(nil), []byte("\n")); !bytes.Equal(again, text) {
			t.Fatalf("line  %s\nagain %s", text, again)
		}
	})
}

// TestLineThatWasRewritten reads lines as another program writes them, with keys
// in its order, other escapes, and white space.
func TestLineThatWasRewritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := completeResult.Draw(t, "result")
		fields := decode(t, r.AppendJSON(nil)).(map[string]any)
		fields["note"] = "added"
		for _, indent := range []string{"", "\t"} {
			text, err := json.MarshalIndent(fields, "", indent)
			if err != nil {
				t.Fatal(err)
			}
			line := usedLine()
			if err := ParseLine(text, &line); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if diff := gocmp.Diff(r.Line(), line); diff != "" {
				t.Fatalf("-said +read:\n%s", diff)
			}
		}
	})
}

func TestLineOfLittle(t *testing.T) {
	const text = ` {"status":"failed","generation":"g","id":"a","batch":"b","error":{"class":"c"},` +
		`"index":3.0,"attempts":1e0,"duration_ms":null,"usage":{"usd":1e-6},"started_at":"2026-03-04T05:06:07.0899+01:00"} ` + "\r"
	line := usedLine()
	want(t, "error", ParseLine([]byte(text), &line), nil)
	want(t, "line", line, Line{
		ID: "a", Batch: "b", Generation: "g", Index: 3, Status: Failed, Class: "c", Attempts: 1,
		StartedAt: time.Date(2026, 3, 4, 4, 6, 7, 89e6, time.UTC), Usage: &Usage{USD: 1e-6},
	})
}

func TestTextsThatAreNoResult(t *testing.T) {
	good := strings.TrimSuffix(string(typicalLine(1)), "\n")
	change := func(old, changed string) string {
		if strings.Count(good, old) != 1 {
			t.Fatalf("%q is in the line %d times", old, strings.Count(good, old))
		}
		return strings.Replace(good, old, changed, 1)
	}
	for text, message := range map[string]string{
		``:                               "unexpected EOF",
		`{`:                              "unexpected EOF",
		`null`:                           "not a JSON object",
		`[1]`:                            "not a JSON object",
		`"id"`:                           "not a JSON object",
		`hello`:                          "invalid character 'h'",
		"\x00":                           "invalid character '\\x00'",
		`{}`:                             `"id" is missing`,
		good + `,`:                       "something follows the result",
		good + good:                      "something follows the result",
		change(`"id":`, `"if":`):         `"id" is missing`,
		change(`"batch":"nightly",`, ``): `"batch" is missing`,
		change(`"generation":"20261123-`, `"generation_":"`):        `"generation" is missing`,
		change(`"status":"succeeded",`, ``):                         `"status" is missing`,
		change(`"status":"succeeded"`, `"status":"running"`):        `status "running" is none that an item ends with`,
		change(`"status":"succeeded"`, `"status":""`):               `status "" is none`,
		change(`"status":"succeeded"`, `"status":null`):             `"status" is not a string`,
		change(`"id":"`, `"id":1,"x":"`):                            `"id" is not a string`,
		change(`"id":"`, `"id":"a","id":"`):                         `"id" is there twice`,
		change(`"usage":`, `"usage":null,"usage":`):                 `"usage" is there twice`,
		change(`"index":1`, `"index":1.5`):                          `"index" is not a whole number`,
		change(`"index":1`, `"index":12345678901234567890`):         `"index" is not a whole number, or out of range`,
		change(`"index":1`, `"index":01`):                           "invalid character '1'",
		change(`"attempts":1`, `"attempts":"1"`):                    `"attempts" is not a number`,
		change(`"inputs":{`, `"inputs":[],"x":{`):                   `"inputs" is not an object`,
		change(`"outputs":{`, `"outputs":"","x":{`):                 `"outputs" is not an object`,
		change(`"error":null`, `"error":"no"`):                      "not a JSON object",
		change(`"input_digest":"`, `"input_digest":5,"x":"`):        `"input_digest" is not a string`,
		change(`"started_at":"2026-11`, `"started_at":"2026-13`):    `"started_at" is not a time: "2026-13-23`,
		change(`"duration_ms":1500`, `"duration_ms":1e16`):          `"duration_ms" is not a whole number, or out of range`,
		change(`"duration_ms":1500`, `"duration_ms":9223372036855`): `"duration_ms" is out of range`,
		change(`"usd":0.000125`, `"usd":1e9`):                       `"usd" is out of range`,
		change(`"usd":0.000125`, `"usd":1e999`):                     `"usd" is out of range`,
		change(`"cached":false`, `"cached":0`):                      `"cached" is neither true nor false`,
		change(`"rehearsal":false`, `"rehearsal":"no"`):             `"rehearsal" is neither true nor false`,
		change(`of the batch`, "of\x00the batch"):                   "invalid character '\\x00' in string",
		change(`of the batch`, "of\tthe batch"):                     "invalid character '\\t' in string",
		change(`of the batch`, "of \xff batch"):                     "invalid UTF-8",
		change(`of the batch`, `of \q batch`):                       `invalid escape sequence`,
		change(`of the batch`, `of \ud800 batch`):                   `invalid surrogate pair`,
	} {
		line := usedLine()
		err := ParseLine([]byte(text), &line)
		if !strings.Contains(fmt.Sprint(err), message) {
			t.Errorf("%s:\n%v, want %s", text, err, message)
		}
		want(t, "line", line, Line{})
		if r, err := ParseResult([]byte(text)); err == nil {
			t.Errorf("%s is the result %+v", text, r)
		}
	}
}

// typicalResult is that of an item as most of them are: its line has some 640 bytes.
func typicalResult(i int) *Result {
	began := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC).Add(time.Duration(i) * time.Millisecond)
	return &Result{
		ID: fmt.Sprintf("%016x", uint64(i)*0x9e3779b97f4a7c15), Batch: "nightly", Index: i, Generation: "20261123-010203-5f2c", Status: Succeeded,
		Inputs:  map[string]any{"in": "item number " + strconv.Itoa(i) + " of the batch"},
		Digest:  fmt.Sprintf("%032x", uint64(i)*0xff51afd7ed558ccd),
		Outputs: map[string]any{"out": "the answer to item " + strconv.Itoa(i) + ", as long as answers are"},
		Handle:  Handle{PipelineID: "pipeline-0123", TaskID: fmt.Sprintf("run-%012d", i), TraceID: fmt.Sprintf("%032x", i)}, Attempts: 1,
		StartedAt: began, FinishedAt: began.Add(1500 * time.Millisecond), Duration: 1500 * time.Millisecond,
		Usage: &Usage{InputTokens: 100, OutputTokens: 20, USD: 0.000125},
	}
}

func typicalLine(i int) []byte { return typicalResult(i).AppendJSON(nil) }

// TestParseResult: numbers stay as they are written.
func TestParseResult(t *testing.T) {
	r := typicalResult(5)
	r.Inputs = map[string]any{"n": json.Number("1.50"), "list": []any{"a", nil, true, map[string]any{}}}
	r.Status, r.Outputs = Failed, nil
	r.Error = &ErrorInfo{Class: "run_failed", Message: "no\nmore", StatusCode: 418, Node: "llm"}
	got, err := ParseResult(r.AppendJSON(nil))
	want(t, "error", err, nil)
	want(t, "result", got, r)

	// The line of a result passes names on that occur twice; its reader does not.
	text := bytes.Replace(typicalLine(1), []byte(`"inputs":{`), []byte(`"inputs":{"in":1,`), 1)
	want(t, "line", ParseLine(text, &Line{}), nil)
	if _, err := ParseResult(text); err == nil || !strings.HasPrefix(err.Error(), `"inputs": `) {
		t.Errorf("error %v", err)
	}
}
