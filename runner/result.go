package runner

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"nightshift/spec"
)

// Result is what an item ends with: one line of the results file. Its JSON form
// is published as schema/result.schema.json.
type Result struct {
	ID         string
	Batch      string
	Index      int
	Generation string
	Status     State
	Inputs     map[string]any // nil for a row that could not be read
	Digest     string
	Outputs    map[string]any // nil unless succeeded
	Error      *ErrorInfo     // nil if succeeded
	Handle     Handle         // zero if no run was started
	Attempts   int
	StartedAt  time.Time // of the last attempt; zero if none
	FinishedAt time.Time
	Duration   time.Duration
	Usage      *Usage // nil where no model was asked, or it is not known

	Raw []byte // its line, as another process has written it, which stays as it is; nil: it is made of the rest

	PossibleDuplicate bool // another run may have been started for the item, and paid
	Rehearsal         bool // nothing was asked of anybody
}

// ErrorInfo is why an item did not succeed.
type ErrorInfo struct {
	Class      string
	Message    string
	StatusCode int    // 0 where no HTTP status was answered
	Node       string // "" where no node is to blame
}

// AppendJSON appends the result as one line of JSON, with its newline.
func (r *Result) AppendJSON(b []byte) []byte {
	if r.Raw != nil {
		return append(append(b, r.Raw...), '\n')
	}
	b = appendText(append(b, `{"id":`...), r.ID)
	b = appendText(append(b, `,"batch":`...), r.Batch)
	b = strconv.AppendInt(append(b, `,"index":`...), int64(r.Index), 10)
	b = appendText(append(b, `,"generation":`...), r.Generation)
	b = appendText(append(b, `,"status":`...), string(r.Status))
	b = appendMap(append(b, `,"inputs":`...), r.Inputs)
	b = appendOptional(append(b, `,"input_digest":`...), r.Digest)
	b = appendMap(append(b, `,"outputs":`...), r.Outputs)
	b = append(b, `,"error":`...)
	if e := r.Error; e == nil {
		b = append(b, "null"...)
	} else {
		b = appendText(append(b, `{"class":`...), e.Class)
		b = appendText(append(b, `,"message":`...), e.Message)
		b = append(b, `,"status_code":`...)
		if e.StatusCode == 0 {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendInt(b, int64(e.StatusCode), 10)
		}
		b = appendOptional(append(b, `,"node":`...), e.Node)
		b = append(b, '}')
	}
	b = appendOptional(append(b, `,"pipeline_id":`...), r.Handle.PipelineID)
	b = appendOptional(append(b, `,"task_id":`...), r.Handle.TaskID)
	b = appendOptional(append(b, `,"trace_id":`...), r.Handle.TraceID)
	b = strconv.AppendInt(append(b, `,"attempts":`...), int64(r.Attempts), 10)
	b = appendTime(append(b, `,"started_at":`...), r.StartedAt)
	b = appendTime(append(b, `,"finished_at":`...), r.FinishedAt)
	b = strconv.AppendInt(append(b, `,"duration_ms":`...), r.Duration.Milliseconds(), 10)
	b = r.Usage.appendJSON(append(b, `,"usage":`...))
	b = strconv.AppendBool(append(b, `,"possible_duplicate":`...), r.PossibleDuplicate)
	b = strconv.AppendBool(append(b, `,"rehearsal":`...), r.Rehearsal)
	b = append(b, '}')
	return append(b, '\n')
}

func (u *Usage) appendJSON(b []byte) []byte {
	if u == nil {
		return append(b, "null"...)
	}
	b = strconv.AppendInt(append(b, `{"input_tokens":`...), u.InputTokens, 10)
	b = strconv.AppendInt(append(b, `,"output_tokens":`...), u.OutputTokens, 10)
	b = append(b, `,"usd":`...)
	if u.Unpriced {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendFloat(b, math.Round(u.USD*1e9)/1e9, 'f', -1, 64)
	}
	b = strconv.AppendBool(append(b, `,"cached":`...), u.Cached)
	return append(b, '}')
}

func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // the error is about invalid UTF-8, which is replaced
	return b
}

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendText(b, s)
}

func appendMap(b []byte, m map[string]any) []byte {
	if m == nil {
		return append(b, "null"...)
	}
	return spec.AppendJSON(b, m)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return t.UTC().AppendFormat(b, `"2006-01-02T15:04:05.000Z"`)
}

// redacted is the result without the values of secret variables.
func (r *Result) redacted(hide *spec.Redactor) *Result {
	if !hide.Active() {
		return r
	}
	if r.Raw != nil {
		whole, err := ParseResult(r.Raw)
		if err != nil { // it could be read before
			whole = r
		}
		r = whole
	}
	clean := *r
	clean.Raw = nil
	clean.ID = hide.ID(r.ID)
	clean.Inputs = hide.Map(r.Inputs)
	clean.Outputs = hide.Map(r.Outputs)
	if r.Error != nil {
		e := *r.Error
		e.Message = hide.Message(e.Message)
		clean.Error = &e
	}
	return &clean
}
