package llm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nightshift/runner"
)

// refusal is an answer that is no success.
func (w *wire) refusal(status int, header http.Header, body []byte) error {
	said := readRefusal(body)
	e := &runner.APIError{
		StatusCode: status, Method: http.MethodPost, Endpoint: endpoint(w.url),
		Message: w.quote(said.message), RetryAfter: retryAfter(header, said.retryDelay),
		Account: said.speaksOfAccount(),
	}
	if to := header.Get("Location"); status < 400 && to != "" {
		e.Message = w.quote("it redirects to " + to + ", where nothing is sent: change base_url")
	}
	if status == http.StatusTooManyRequests {
		e.Limits = limits(said, header)
	}
	return e
}

// refusalInStream is an error in the midst of an answer, when the status has
// long been sent. The status that it would have had is known by its type.
func (w *wire) refusalInStream(body []byte) error {
	said := readRefusal(body)
	status, err := strconv.Atoi(said.code)
	if err != nil || status < 400 || status > 599 {
		status = cmp.Or(streamStatus[said.kind], streamStatus[said.code], http.StatusInternalServerError)
	}
	return w.refusal(status, nil, body)
}

// streamStatus are the statuses of errors by their types and codes.
var streamStatus = map[string]int{
	"invalid_request_error": http.StatusBadRequest,
	"authentication_error":  http.StatusUnauthorized,
	"billing_error":         http.StatusPaymentRequired,
	"permission_error":      http.StatusForbidden,
	"not_found_error":       http.StatusNotFound,
	"request_too_large":     http.StatusRequestEntityTooLarge,
	"rate_limit_error":      http.StatusTooManyRequests,
	"rate_limit_exceeded":   http.StatusTooManyRequests,
	"insufficient_quota":    http.StatusTooManyRequests,
	"timeout_error":         http.StatusGatewayTimeout,
	"overloaded_error":      529,
}

// accountCodes say that an account is empty or closed, or the key wrong, whatever
// the status is: waiting does not help.
var accountCodes = []string{
	"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error",
	"account_deactivated", "access_terminated", "exceeded_current_quota_error", "invalid_api_key", "API_KEY_INVALID",
}

// saysAccount are the words of those who give no code: Google and xAI answer 400
// to a wrong key, Anthropic to an empty account.
var saysAccount = regexp.MustCompile(`(?i)incorrect api key|api key not valid|invalid api key|credit balance is too low`)

func (s said) speaksOfAccount() bool {
	for _, word := range []string{s.code, s.kind, s.reason} {
		if slices.Contains(accountCodes, word) {
			return true
		}
	}
	return saysAccount.MatchString(s.message)
}

// said is what the body of a refusal says.
type said struct {
	message, kind, code string
	retryDelay          string // of Google's, a duration
	reason              string // of Google's, a code
}

// readRefusal understands the forms that are in use: {"error": {"message": ...}},
// the same in a list, {"error": "..."}, {"message": ...}, {"detail": ...}.
func readRefusal(body []byte) said {
	body = bytes.TrimSpace(body)
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		body = list[0]
	}
	type words struct {
		Message any `json:"message"`
		Type    any `json:"type"`
		Code    any `json:"code"`
		Details []struct {
			RetryDelay string `json:"retryDelay"`
			Reason     string `json:"reason"`
		} `json:"details"`
	}
	var outer struct {
		words
		Error  json.RawMessage `json:"error"`
		Detail any             `json:"detail"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return said{message: cmp.Or(string(body), "no message")}
	}
	inner, message := outer.words, ""
	if json.Unmarshal(outer.Error, &message) != nil {
		_ = json.Unmarshal(outer.Error, &inner) // else it stays the outer one
	}
	s := said{kind: text(inner.Type), code: text(inner.Code)}
	s.message = cmp.Or(message, text(inner.Message), text(outer.Message), text(outer.Detail), string(body))
	for _, d := range inner.Details {
		s.retryDelay, s.reason = cmp.Or(s.retryDelay, d.RetryDelay), cmp.Or(s.reason, d.Reason)
	}
	return s
}

// text gives a member of a JSON object as words.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	encoded, _ := json.Marshal(v)
	return string(encoded)
}

var saysConcurrency = regexp.MustCompile(`concurren|parallel|simultaneous|in[ _-]flight`)

var saysRate = regexp.MustCompile(`rate[ _-]?limit|per[ _-](second|minute|min|hour|day)|\b[rt]p[smd]\b|too many (requests|tokens)`)

// limits tells what a refusal says is too much.
func limits(s said, header http.Header) runner.Limits {
	words := strings.ToLower(s.message + " " + s.kind + " " + s.code)
	switch {
	case saysConcurrency.MatchString(words):
		return runner.LimitsConcurrency
	case saysRate.MatchString(words):
		return runner.LimitsRate
	}
	for name := range header {
		if strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-") {
			return runner.LimitsRate
		}
	}
	return runner.LimitsUnsaid
}

// retryAfter is how long a refusal asks to be left alone, by what it says, else
// by when the limit is lifted that it has used up.
func retryAfter(h http.Header, delay string) time.Duration {
	wait := cmp.Or(until(h.Get("Retry-After-Ms")+"ms"), until(h.Get("Retry-After")), until(delay))
	if wait > 0 {
		return wait
	}
	for _, what := range []string{"requests", "tokens", "input-tokens", "output-tokens"} {
		for _, form := range []string{"x-ratelimit-%[2]s-%[1]s", "anthropic-ratelimit-%[1]s-%[2]s"} {
			if h.Get(fmt.Sprintf(form, what, "remaining")) == "0" {
				wait = max(wait, until(h.Get(fmt.Sprintf(form, what, "reset"))))
			}
		}
	}
	return wait
}

// until reads a wait: seconds, a duration such as 6m0s, or a time. It is 0 where
// it is none of these, is over, or so long that it must be a mistake.
func until(s string) time.Duration {
	wait, err := time.ParseDuration(s)
	if err != nil {
		wait, err = time.ParseDuration(s + "s")
	}
	for _, layout := range []string{http.TimeFormat, time.RFC3339} {
		if t, e := time.Parse(layout, s); err != nil && e == nil {
			wait, err = time.Until(t), nil
		}
	}
	if err != nil || wait < 0 || wait > 24*time.Hour {
		return 0
	}
	return wait
}
