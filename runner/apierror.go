package runner

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// APIError is an HTTP answer that is no success: of a backend, or of a model's
// provider. Its fields are those of the platform's SDK.
type APIError struct {
	StatusCode int
	Method     string
	Endpoint   string        // host and path, without the query
	Message    string        // in the words of the one who answered
	RetryAfter time.Duration // how long it asks to be left alone; 0: it does not say
	Limits     Limits
	Account    bool   // the key, or the account behind it, is the matter, whatever the status says: not to be tried again
	Raw        []byte // the body of the answer, at most 64 KB and without the key; nil: it is not kept
}

// Limits is what a refusal says is too much.
type Limits string

// What a refusal may speak of.
const (
	LimitsUnsaid      Limits = ""
	LimitsRate        Limits = "rate"        // calls, or tokens, in a time
	LimitsConcurrency Limits = "concurrency" // calls at once
)

func (e *APIError) Error() string {
	status := strings.TrimSpace(fmt.Sprint(e.StatusCode, " ", http.StatusText(e.StatusCode)))
	return fmt.Sprintf("%s %s answered %s: %s", e.Method, e.Endpoint, status, e.Message)
}

// Refused tells whether there were too many calls: the same call may be taken later.
func (e *APIError) Refused() bool { return e.StatusCode == http.StatusTooManyRequests && !e.Account }

// Denied tells whether the key, or what it may do, is the matter.
func (e *APIError) Denied() bool {
	return e.Account || e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden || e.StatusCode == http.StatusPaymentRequired
}

// NotUnderstood tells whether what is in the call is the matter.
func (e *APIError) NotUnderstood() bool {
	return e.StatusCode == http.StatusBadRequest || e.StatusCode == http.StatusUnprocessableEntity
}

// noSuchRun tells whether a call that was about a run says that there is none.
func (e *APIError) noSuchRun() bool {
	return e.StatusCode == http.StatusNotFound || e.StatusCode == http.StatusGone
}

// Transient tells whether the same call may succeed later.
func (e *APIError) Transient() bool {
	return !e.Account && (e.Refused() || e.StatusCode == http.StatusRequestTimeout || e.StatusCode >= 500)
}

// ClassOr is the class of results that end with the error; otherwise is that where its
// status says nothing.
func (e *APIError) ClassOr(otherwise string) string {
	switch {
	case e.Denied():
		return classDenied
	case e.Refused():
		return classRefused
	case e.Transient():
		return classUnavailable
	case e.NotUnderstood():
		return classBadRequest
	}
	return otherwise
}

// ConnectionError says that a call had no HTTP answer, or not a whole one.
type ConnectionError struct {
	Method   string
	Endpoint string // host and path, without the query
	Timeout  bool
	Unsent   bool // nothing was sent: no connection was made
	Began    bool // the answer had begun: the call was taken
	Foreign  bool // it is whole, but nothing that the other side would say
	Err      error
}

func (e *ConnectionError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Method, e.Endpoint, e.Err)
}
func (e *ConnectionError) Unwrap() error { return e.Err }

// HeldBack says that a call was not made: a limiter keeps it for later. Nothing
// was refused, and nothing was paid.
type HeldBack struct {
	For   time.Duration
	Taken time.Time // when a call like it was last taken; zero: never
}

func (e *HeldBack) Error() string {
	return fmt.Sprintf("held back for %v, as too many calls were refused", e.For)
}
