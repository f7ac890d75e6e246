package llm

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"nightshift/runner"
	"nightshift/spec"
)

// refusal is an answer that is no success.
func (w *wire) refusal(status int, header http.Header, body []byte) error {
	said := runner.ReadRefusal(body)
	e := &runner.APIError{
		StatusCode: status, Method: http.MethodPost, Endpoint: runner.Endpoint(w.url),
		Message: w.quote(said.Message), RetryAfter: runner.RetryAfter(header, said.RetryDelay),
		Account: speaksOfAccount(said),
	}
	if to := header.Get("Location"); status < 400 && to != "" {
		e.Message = w.quote("it redirects to " + to + ", where nothing is sent: change base_url")
	}
	if status == http.StatusTooManyRequests {
		e.Limits = said.Limits(header)
	}
	return e
}

// refusalInStream is an error in the midst of an answer, when the status has
// long been sent. The status that it would have had is known by its type.
func (w *wire) refusalInStream(body []byte) error {
	said := runner.ReadRefusal(body)
	status, err := strconv.Atoi(said.Code)
	if err != nil || status < 400 || status > 599 {
		status = cmp.Or(streamStatus[said.Kind], streamStatus[said.Code], http.StatusInternalServerError)
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
var saysAccount = spec.Pattern(`(?i)incorrect api key|api key not valid|invalid api key|credit balance is too low`)

func speaksOfAccount(said runner.Refusal) bool {
	for _, word := range []string{said.Code, said.Kind, said.Reason} {
		if slices.Contains(accountCodes, word) {
			return true
		}
	}
	return saysAccount().MatchString(said.Message)
}
