package runner

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// answered is an HTTP answer that is no success.
func answered(status int, message string) *APIError {
	return &APIError{StatusCode: status, Method: "POST", Endpoint: "models.test/v1/chat", Message: message}
}

func broken(began bool) *ConnectionError {
	return &ConnectionError{Method: "POST", Endpoint: "models.test/v1/chat", Began: began, Err: io.ErrUnexpectedEOF}
}

// refusals are the words of scripts (see fake) that end a run with what its
// call was answered.
var refusals = map[string]error{
	"deny":     answered(401, "no such key"),
	"quota":    &APIError{StatusCode: 429, Method: "POST", Endpoint: "models.test/v1/chat", Message: "the account is empty", Account: true},
	"unknown":  answered(404, "no such model"),
	"garbled":  answered(400, "what is that"),
	"too_long": answered(400, "too long"),
	"teapot":   answered(418, "short and stout"),
}

// troubleOf gives what the call of a suspended run met:
//
//	refuse429 refuse429=2s   too many calls, with that Retry-After
//	fail503 closed lost      the other side failed, is not there, broke off its answer
//	foreign                  who answers is somebody else
//	park=2s idle=2s          it was not made; see fake
func troubleOf(word, arg string) error {
	switch word {
	case "refuse429":
		refusal := answered(429, "slow down")
		refusal.RetryAfter, _ = time.ParseDuration(arg)
		return refusal
	case "fail503":
		return answered(503, "busy")
	case "closed":
		return broken(false)
	case "lost":
		return broken(true)
	case "foreign":
		err := broken(true)
		err.Foreign = true
		return err
	case "park":
		pause := duration(arg)
		return &HeldBack{For: pause, Taken: time.Now().Add(max(pause, 1))}
	case "idle":
		return &HeldBack{For: duration(arg)}
	}
	return nil
}

func TestWhatAStatusMeans(t *testing.T) {
	const refused, denied, transient = 1, 2, 4
	for status, is := range map[int]int{
		400: 0, 404: 0, 405: 0, 409: 0, 410: 0, 418: 0, 422: 0, 499: 0, 301: 0,
		401: denied, 402: denied, 403: denied,
		429: refused | transient,
		408: transient, 500: transient, 501: transient, 502: transient, 503: transient, 504: transient, 529: transient, 599: transient,
	} {
		judge := func(e *APIError) int {
			sum := 0
			for bit, holds := range map[int]bool{refused: e.Refused(), denied: e.Denied(), transient: e.Transient()} {
				if holds {
					sum |= bit
				}
			}
			return sum
		}
		want(t, fmt.Sprint(status), judge(&APIError{StatusCode: status}), is)
		want(t, fmt.Sprint("an account and ", status), judge(&APIError{StatusCode: status, Account: true}), denied)
	}
}

func TestErrorsSayWhatWasCalled(t *testing.T) {
	connection := broken(false)
	for wanted, err := range map[string]error{
		"POST models.test/v1/chat answered 429 Too Many Requests: slow down": troubleOf("refuse429", ""),
		"POST models.test/v1/chat: unexpected EOF":                           connection,
		"held back for 1.5s, as too many calls were refused":                 &HeldBack{For: 1500 * time.Millisecond},
		"node llm (llm): POST models.test/v1/chat: unexpected EOF":           &RunError{Node: "llm", Type: "llm", Err: connection},
	} {
		want(t, "message", err.Error(), wanted)
	}
	if !errors.Is(connection, io.ErrUnexpectedEOF) {
		t.Error("the cause of a connection error is lost")
	}
}

// classed is an error that says its class itself.
type classed struct{}

func (classed) Error() string { return "nonsense" }
func (classed) Class() string { return "bad_answer" }

// classedByStatus is one that says the status of an answer, too.
type classedByStatus struct{ classed }

func (classedByStatus) Status() int { return 404 }

func TestClassOfAnError(t *testing.T) {
	type class struct {
		Class string
		Code  int
	}
	account := func(status int) error { return &APIError{StatusCode: status, Account: true} }
	for _, test := range []struct {
		err    error
		wanted class
	}{
		{errors.New("something"), class{"run_failed", 0}},
		{classed{}, class{"bad_answer", 0}},
		{classedByStatus{}, class{"bad_answer", 404}},
		{&HeldBack{}, class{"rate_limited", 0}},
		{broken(false), class{"connection", 0}},
		{broken(true), class{"connection", 0}},
		{troubleOf("foreign", ""), class{"connection", 0}},
		{answered(401, ""), class{"denied", 401}},
		{answered(402, ""), class{"denied", 402}},
		{answered(403, ""), class{"denied", 403}},
		{answered(429, ""), class{"rate_limited", 429}},
		{account(429), class{"denied", 429}},
		{account(400), class{"denied", 400}},
		{answered(408, ""), class{"unavailable", 408}},
		{answered(500, ""), class{"unavailable", 500}},
		{answered(529, ""), class{"unavailable", 529}},
		{account(500), class{"denied", 500}},
		{answered(400, ""), class{"bad_request", 400}},
		{answered(422, ""), class{"bad_request", 422}},
		{answered(404, ""), class{"run_failed", 404}},
		{answered(418, ""), class{"run_failed", 418}},
	} {
		// However deep it is.
		for _, err := range []error{test.err, fmt.Errorf("given up: %w", &RunError{Node: "llm", Type: "llm", Err: fmt.Errorf("then: %w", test.err)})} {
			name, code := classOf(err, "run_failed")
			want(t, err.Error(), class{name, code}, test.wanted)
		}
	}
}
