package runner

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nightshift/schema"
	"nightshift/spec"
)

// lineForm is a result line as encoding/json writes it.
type lineForm struct {
	ID                string         `json:"id"`
	Batch             string         `json:"batch"`
	Index             int            `json:"index"`
	Generation        string         `json:"generation"`
	Status            string         `json:"status"`
	Inputs            map[string]any `json:"inputs"`
	Digest            *string        `json:"input_digest"`
	Outputs           map[string]any `json:"outputs"`
	Error             *errorForm     `json:"error"`
	PipelineID        *string        `json:"pipeline_id"`
	TaskID            *string        `json:"task_id"`
	TraceID           *string        `json:"trace_id"`
	Attempts          int            `json:"attempts"`
	StartedAt         *string        `json:"started_at"`
	FinishedAt        string         `json:"finished_at"`
	DurationMS        int64          `json:"duration_ms"`
	Usage             *struct{}      `json:"usage"`
	PossibleDuplicate bool           `json:"possible_duplicate"`
	Rehearsal         bool           `json:"rehearsal"`
}

type errorForm struct {
	Class      string  `json:"class"`
	Message    string  `json:"message"`
	StatusCode *int    `json:"status_code"`
	Node       *string `json:"node"`
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func formOf(r *Result) lineForm {
	const layout = "2006-01-02T15:04:05.000Z"
	form := lineForm{
		ID: r.ID, Batch: r.Batch, Index: r.Index, Generation: r.Generation, Status: string(r.Status),
		Inputs: r.Inputs, Digest: optional(r.Digest), Outputs: r.Outputs,
		PipelineID: optional(r.Handle.PipelineID), TaskID: optional(r.Handle.TaskID), TraceID: optional(r.Handle.TraceID),
		Attempts: r.Attempts, FinishedAt: r.FinishedAt.UTC().Format(layout), DurationMS: r.Duration.Milliseconds(),
	}
	if !r.StartedAt.IsZero() {
		form.StartedAt = optional(r.StartedAt.UTC().Format(layout))
	}
	if e := r.Error; e != nil {
		form.Error = &errorForm{Class: e.Class, Message: e.Message, Node: optional(e.Node)}
	}
	return form
}

// texts hold what JSON has to escape, and what it need not.
var texts = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
	"", "\x00\x01\x1f\x7f", "\n\r\t\b\f", `"\/`, "<&>", "\u2028\u2029\ufeff", "日本 🌙", "\U0010ffff", "half a rune: \xe6\x97", "\xff\xfe",
}))

func plainValues(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		texts.AsAny(),
		rapid.Map(rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?`), func(s string) any { return json.Number(s) }),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(plainValues(depth-1), 0, 3), func(list []any) any { return list }),
			rapid.Map(plainMaps(depth-1), func(m map[string]any) any { return m }))
	}
	return rapid.OneOf(kinds...)
}

// plainMaps make maps. Their keys are valid, as keys that are not would become one.
func plainMaps(depth int) *rapid.Generator[map[string]any] {
	keys := texts.Filter(func(s string) bool { return strings.ToValidUTF8(s, "") == s })
	return rapid.MapOfN(keys, plainValues(depth), 0, 3)
}

var times = rapid.Map(rapid.Int64Range(0, 4e15), func(us int64) time.Time {
	return time.UnixMicro(us).In(time.FixedZone("", 3600*int(us%24-11)))
})

var anyResult = rapid.Custom(func(t *rapid.T) *Result {
	someText := texts.Filter(func(s string) bool { return s != "" })
	r := &Result{
		ID:         someText.Draw(t, "id"),
		Batch:      texts.Draw(t, "batch"),
		Index:      rapid.IntRange(0, 1<<53).Draw(t, "index"),
		Generation: someText.Draw(t, "generation"),
		Status:     rapid.SampledFrom([]State{Succeeded, Failed, Cancelled, TimedOut}).Draw(t, "status"),
		Attempts:   rapid.IntRange(0, 9).Draw(t, "attempts"),
		FinishedAt: times.Draw(t, "finished"),
		Duration:   time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "duration")),
	}
	optionally := func(what string, set func()) {
		if rapid.Bool().Draw(t, what) {
			set()
		}
	}
	optionally("has inputs", func() { r.Inputs = plainMaps(2).Draw(t, "inputs") })
	optionally("has digest", func() { r.Digest = hex.EncodeToString(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "digest")) })
	optionally("has outputs", func() { r.Outputs = plainMaps(2).Draw(t, "outputs") })
	optionally("has error", func() {
		r.Error = &ErrorInfo{Class: texts.Draw(t, "class"), Message: texts.Draw(t, "message"), Node: texts.Draw(t, "node")}
	})
	optionally("was started", func() {
		r.Handle = Handle{PipelineID: texts.Draw(t, "pipeline"), TaskID: texts.Draw(t, "task"), TraceID: texts.Draw(t, "trace")}
		r.StartedAt = times.Draw(t, "started")
	})
	return r
})

// decode reads one JSON text, numbers as they are written.
func decode(t *rapid.T, text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

// names lists the keys of an object in the order in which they are written.
func names(t *rapid.T, text []byte) []string {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	var list []string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		list = append(list, name.(string))
	}
	return list
}

// TestResultLineIsThatOfEncodingJSON also holds every line against the
// published schema.
func TestResultLineIsThatOfEncodingJSON(t *testing.T) {
	validator := schema.ResultValidator()
	rapid.Check(t, func(t *rapid.T) {
		r := anyResult.Draw(t, "result")
		line := r.AppendJSON([]byte("before"))
		line, found := bytes.CutPrefix(line, []byte("before"))
		if !found || bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
			t.Fatalf("not one line that is appended: %q", line)
		}
		form, err := json.Marshal(formOf(r))
		if err != nil {
			t.Fatal(err)
		}
		got := decode(t, line)
		if diff := gocmp.Diff(decode(t, form), got); diff != "" {
			t.Fatalf("-encoding/json +got:\n%s", diff)
		}
		if in, wanted := names(t, line), names(t, form); !slices.Equal(in, wanted) {
			t.Fatalf("fields are in the order %v, want %v", in, wanted)
		}
		if err := validator.Validate(got); err != nil {
			t.Fatalf("%s: %#v", line, err)
		}
	})
}

func TestResultLineAsPublished(t *testing.T) {
	clock := time.Date(2026, 3, 4, 5, 6, 7, 89_999_999, time.FixedZone("", 3600))
	r := Result{
		ID: "a", Batch: "b", Index: 3, Generation: "g", Status: Failed,
		Inputs: map[string]any{"z": json.Number("1.50"), "a": "x"}, Digest: strings.Repeat("0", 32),
		Error:  &ErrorInfo{Class: "run_failed", Message: "no", Node: "llm"},
		Handle: Handle{PipelineID: "p", TaskID: "t", TraceID: "r"}, Attempts: 2,
		StartedAt: clock, FinishedAt: clock.Add(1500 * time.Millisecond), Duration: 1500*time.Millisecond + 999*time.Microsecond,
	}
	want(t, "line", string(r.AppendJSON(nil)), `{"id":"a","batch":"b","index":3,"generation":"g","status":"failed",`+
		`"inputs":{"a":"x","z":1.50},"input_digest":"00000000000000000000000000000000","outputs":null,`+
		`"error":{"class":"run_failed","message":"no","status_code":null,"node":"llm"},`+
		`"pipeline_id":"p","task_id":"t","trace_id":"r","attempts":2,`+
		`"started_at":"2026-03-04T04:06:07.089Z","finished_at":"2026-03-04T04:06:08.589Z","duration_ms":1500,`+
		`"usage":null,"possible_duplicate":false,"rehearsal":false}`+"\n")
}

func TestRedactedResult(t *testing.T) {
	const secret = "s3cr\"et"
	hide := spec.NewRedactor([]string{secret, "4711471147114711"})
	full := func() *Result {
		return &Result{
			ID: "id-" + secret, Batch: "b", Status: Failed,
			Inputs:  map[string]any{"in": "x" + secret, "deep": []any{map[string]any{secret: secret}}, "n": json.Number("4711471147114711")},
			Outputs: map[string]any{"out": secret + "x"},
			Error:   &ErrorInfo{Class: "run_failed", Message: "refused: " + secret, Node: "llm"},
		}
	}
	r := full()
	clean := r.redacted(hide)
	want(t, "redacted", *clean, Result{
		ID: "id-[hidden]-08cc907c", Batch: "b", Status: Failed,
		Inputs:  map[string]any{"in": "x[hidden]", "deep": []any{map[string]any{"[hidden]": "[hidden]"}}, "n": "[hidden]"},
		Outputs: map[string]any{"out": "[hidden]x"},
		Error:   &ErrorInfo{Class: "run_failed", Message: "refused: [hidden]", Node: "llm"},
	})
	want(t, "the original", r, full())

	// Nothing to hide, or nothing to hide it in.
	for _, nothing := range []*spec.Redactor{nil, {}, spec.NewRedactor(nil)} {
		if r.redacted(nothing) != r {
			t.Error("a result was copied for nothing")
		}
	}
	bare := (&Result{ID: "a"}).redacted(hide)
	if bare.Inputs != nil || bare.Outputs != nil || bare.Error != nil {
		t.Errorf("%+v", bare)
	}
}
