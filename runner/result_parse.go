package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"nightshift/spec"
)

// The keys of a result line and of its objects. Those of a line that come first
// it must have; what is said by the others may be left out, or null.
var (
	resultKeys = []string{
		"id", "batch", "generation", "status",
		"index", "inputs", "input_digest", "outputs", "error", "pipeline_id", "task_id", "trace_id",
		"attempts", "started_at", "finished_at", "duration_ms", "usage", "possible_duplicate", "rehearsal",
	}
	requiredKeys = resultKeys[:4]
	errorKeys    = []string{"class", "message", "status_code", "node"}
	usageKeys    = []string{"input_tokens", "output_tokens", "usd", "cached"}
)

// parse reads a result line in any valid form: others than Nightshift may have
// written it anew. Its keys may be in any order, and unknown ones among them.
// Without values, inputs and outputs are only checked to be JSON.
func (r *Result) parse(text []byte, values bool) error {
	// Names may be twice in the inputs, which the line only passes on: looking
	// for that would cost more than all the rest.
	p := resultParser{jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))}
	has, err := p.object(resultKeys, func(key string) error { return p.member(r, key, values) })
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if _, err := p.d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the result")
	}
	for i, key := range requiredKeys {
		if has&(1<<i) == 0 {
			return fmt.Errorf("%q is missing", key)
		}
	}
	return nil
}

// resultParser reads the values of a result line one after the other.
type resultParser struct{ d *jsontext.Decoder }

// object reads an object, and calls member at the value of each of its keys that
// is known. It tells which of these there are, as bits.
func (p resultParser) object(known []string, member func(key string) error) (has uint, err error) {
	token, err := p.d.ReadToken()
	if err != nil {
		return 0, err
	}
	if token.Kind() != '{' {
		return 0, errors.New("not a JSON object")
	}
	for p.d.PeekKind() != '}' {
		token, err := p.d.ReadToken()
		if err != nil {
			return 0, err
		}
		key := token.String()
		i := slices.Index(known, key)
		switch {
		case i < 0:
			err = p.d.SkipValue()
		case has&(1<<i) != 0:
			err = fmt.Errorf("%q is there twice", key)
		default:
			has |= 1 << i
			err = member(key)
		}
		if err != nil {
			return 0, err
		}
	}
	_, err = p.d.ReadToken()
	return has, err
}

func (p resultParser) member(r *Result, key string, values bool) (err error) {
	if p.d.PeekKind() == 'n' && !slices.Contains(requiredKeys, key) {
		return p.d.SkipValue()
	}
	switch key {
	case "id":
		r.ID, err = p.text(key)
	case "batch":
		r.Batch, err = p.text(key)
	case "generation":
		r.Generation, err = p.text(key)
	case "status":
		var status string
		status, err = p.text(key)
		if r.Status = State(status); err == nil && !slices.Contains(resultStates, r.Status) {
			err = fmt.Errorf("status %q is none that an item ends with", status)
		}
	case "index":
		r.Index, err = p.count(key)
	case "inputs":
		r.Inputs, err = p.plain(key, values)
	case "input_digest":
		r.Digest, err = p.text(key)
	case "outputs":
		r.Outputs, err = p.plain(key, values)
	case "error":
		r.Error = &ErrorInfo{}
		_, err = p.object(errorKeys, func(key string) error { return p.errorMember(r.Error, key) })
	case "pipeline_id":
		r.Handle.PipelineID, err = p.text(key)
	case "task_id":
		r.Handle.TaskID, err = p.text(key)
	case "trace_id":
		r.Handle.TraceID, err = p.text(key)
	case "attempts":
		r.Attempts, err = p.count(key)
	case "started_at":
		r.StartedAt, err = p.time(key)
	case "finished_at":
		r.FinishedAt, err = p.time(key)
	case "duration_ms":
		var ms int64
		if ms, err = p.integer(key); err == nil && (ms > maxMilliseconds || ms < -maxMilliseconds) {
			err = fmt.Errorf("%q is out of range", key)
		}
		r.Duration = time.Duration(ms) * time.Millisecond
	case "usage":
		r.Usage = &Usage{}
		_, err = p.object(usageKeys, func(key string) error { return p.usageMember(r.Usage, key) })
	case "possible_duplicate":
		r.PossibleDuplicate, err = p.bool(key)
	case "rehearsal":
		r.Rehearsal, err = p.bool(key)
	}
	return err
}

// maxMilliseconds is the longest Duration.
const maxMilliseconds = math.MaxInt64 / int64(time.Millisecond)

// resultStates are the states that an item ends with.
var resultStates = []State{Succeeded, Failed, Cancelled, TimedOut}

func (p resultParser) errorMember(e *ErrorInfo, key string) (err error) {
	if p.d.PeekKind() == 'n' {
		return p.d.SkipValue()
	}
	switch key {
	case "class":
		e.Class, err = p.text(key)
	case "message":
		e.Message, err = p.text(key)
	case "status_code":
		e.StatusCode, err = p.count(key)
	case "node":
		e.Node, err = p.text(key)
	}
	return err
}

func (p resultParser) usageMember(u *Usage, key string) (err error) {
	if p.d.PeekKind() == 'n' {
		u.Unpriced = u.Unpriced || key == "usd"
		return p.d.SkipValue()
	}
	switch key {
	case "input_tokens":
		u.InputTokens, err = p.integer(key)
	case "output_tokens":
		u.OutputTokens, err = p.integer(key)
	case "usd":
		u.USD, err = p.usd(key)
	case "cached":
		u.Cached, err = p.bool(key)
	}
	return err
}

// scalar reads a value that must be of that kind.
func (p resultParser) scalar(key string, kind jsontext.Kind, what string) (jsontext.Token, error) {
	token, err := p.d.ReadToken()
	if err == nil && token.Kind() != kind {
		err = fmt.Errorf("%q is not %s", key, what)
	}
	return token, err
}

func (p resultParser) text(key string) (string, error) {
	token, err := p.scalar(key, '"', "a string")
	if err != nil {
		return "", err
	}
	return token.String(), nil
}

func (p resultParser) time(key string) (time.Time, error) {
	text, err := p.text(key)
	if err != nil {
		return time.Time{}, err
	}
	var t time.Time
	if t.UnmarshalText([]byte(text)) != nil {
		return t, fmt.Errorf("%q is not a time: %q", key, text)
	}
	return t.UTC(), nil
}

// usd is less than a billion dollars, so that it can be counted in billionths.
func (p resultParser) usd(key string) (float64, error) {
	token, err := p.scalar(key, '0', "a number")
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(token.String(), 64)
	if err != nil || math.Abs(f) >= 1e9 {
		return 0, fmt.Errorf("%q is out of range", key)
	}
	return f, nil
}

// integer also takes forms such as 3.0 and 1e3, into which other tools may turn
// a number.
func (p resultParser) integer(key string) (int64, error) {
	token, err := p.scalar(key, '0', "a number")
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(token.String(), 10, 64); err == nil {
		return n, nil
	}
	if f, err := strconv.ParseFloat(token.String(), 64); err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		return int64(f), nil
	}
	return 0, fmt.Errorf("%q is not a whole number, or out of range", key)
}

func (p resultParser) count(key string) (int, error) {
	n, err := p.integer(key)
	return int(n), err
}

func (p resultParser) bool(key string) (bool, error) {
	token, err := p.d.ReadToken()
	if err != nil {
		return false, err
	}
	if kind := token.Kind(); kind != 't' && kind != 'f' {
		return false, fmt.Errorf("%q is neither true nor false", key)
	}
	return token.Bool(), nil
}

// plain reads an object of plain values or, without values, passes it.
func (p resultParser) plain(key string, values bool) (map[string]any, error) {
	if kind := p.d.PeekKind(); kind != '{' && kind != 0 {
		return nil, fmt.Errorf("%q is not an object", key)
	}
	if !values {
		return nil, p.d.SkipValue()
	}
	raw, err := p.d.ReadValue()
	if err != nil {
		return nil, err
	}
	value, err := spec.ParseJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	object, _ := value.(map[string]any)
	return object, nil
}
