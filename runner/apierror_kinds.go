package runner

import (
	"fmt"
	"net/http"
	"time"
)

// The kinds of an [APIError], by its status, for errors.As and errors.AsType: every
// APIError is of its kind, wherever it was made.
type (
	// BadRequestError is that of a 400.
	BadRequestError struct{ *APIError }
	// AuthenticationError is that of a 401: the key is wrong, or missing.
	AuthenticationError struct{ *APIError }
	// PermissionDeniedError is that of a 403: the key may not do that.
	PermissionDeniedError struct{ *APIError }
	// NotFoundError is that of a 404: it is not there, or not to be seen with this key.
	NotFoundError struct{ *APIError }
	// UnprocessableError is that of a 422.
	UnprocessableError struct{ *APIError }
	// RateLimitError is that of a 429.
	RateLimitError struct{ *APIError }
	// InternalServerError is that of a 500 and all above.
	InternalServerError struct{ *APIError }
)

// TimeoutError is a [ConnectionError] of a call that took too long.
type TimeoutError struct{ *ConnectionError }

// As makes the error one of its kind.
func (e *APIError) As(target any) bool {
	switch {
	case e.StatusCode == http.StatusBadRequest:
		return as(target, e, BadRequestError{e})
	case e.StatusCode == http.StatusUnauthorized:
		return as(target, e, AuthenticationError{e})
	case e.StatusCode == http.StatusForbidden:
		return as(target, e, PermissionDeniedError{e})
	case e.StatusCode == http.StatusNotFound:
		return as(target, e, NotFoundError{e})
	case e.StatusCode == http.StatusUnprocessableEntity:
		return as(target, e, UnprocessableError{e})
	case e.StatusCode == http.StatusTooManyRequests:
		return as(target, e, RateLimitError{e})
	case e.StatusCode >= http.StatusInternalServerError:
		return as(target, e, InternalServerError{e})
	}
	return false
}

// As makes the error a [TimeoutError] where it is one.
func (e *ConnectionError) As(target any) bool { return e.Timeout && as(target, e, TimeoutError{e}) }

// as sets a target that is of a kind, or a pointer to it, or what a kind is about.
func as[E, K any](target any, e *E, kind K) bool {
	switch target := target.(type) {
	case *K:
		*target = kind
	case **K:
		*target = &kind
	case **E:
		*target = e
	default:
		return false
	}
	return true
}

// RunFailedError says that a run failed, in the words of its backend.
type RunFailedError struct {
	TaskID   string // "": not known
	RunError string
}

func (e *RunFailedError) Error() string {
	if e.TaskID == "" {
		return "the run failed: " + e.RunError
	}
	return fmt.Sprintf("run %s failed: %s", e.TaskID, e.RunError)
}

// PollTimeoutError says that a run has not ended within the time that it was
// waited for. It goes on.
type PollTimeoutError struct {
	TaskID  string
	Timeout time.Duration
}

func (e *PollTimeoutError) Error() string {
	return fmt.Sprintf("run %s has not ended within %v, and goes on", e.TaskID, e.Timeout)
}
