package runner

import (
	"errors"
	"fmt"
	"testing"
)

// kindsOf are the kinds that errors.As finds in an error, by pointer and by value.
func kindsOf(t *testing.T, err error) (names []string) {
	note := func(name string, pointer, value bool) {
		want(t, name+" by value", value, pointer)
		if pointer {
			names = append(names, name)
		}
	}
	var (
		bad       BadRequestError
		key       AuthenticationError
		denied    PermissionDeniedError
		missing   NotFoundError
		unfit     UnprocessableError
		limited   RateLimitError
		internal  InternalServerError
		late      TimeoutError
		badP      *BadRequestError
		keyP      *AuthenticationError
		deniedP   *PermissionDeniedError
		missingP  *NotFoundError
		unfitP    *UnprocessableError
		limitedP  *RateLimitError
		internalP *InternalServerError
		lateP     *TimeoutError
	)
	note("bad request", errors.As(err, &badP), errors.As(err, &bad))
	note("authentication", errors.As(err, &keyP), errors.As(err, &key))
	note("permission denied", errors.As(err, &deniedP), errors.As(err, &denied))
	note("not found", errors.As(err, &missingP), errors.As(err, &missing))
	note("unprocessable", errors.As(err, &unfitP), errors.As(err, &unfit))
	note("rate limit", errors.As(err, &limitedP), errors.As(err, &limited))
	note("internal server", errors.As(err, &internalP), errors.As(err, &internal))
	note("timeout", errors.As(err, &lateP), errors.As(err, &late))
	return names
}

// TestKinds: every error of a call is of its kind, wherever it was made and however
// deep it is.
func TestKinds(t *testing.T) {
	t.Parallel()
	late := broken(false)
	late.Timeout = true
	for _, test := range []struct {
		err  error
		want []string
	}{
		{answered(400, ""), []string{"bad request"}},
		{answered(401, ""), []string{"authentication"}},
		{answered(403, ""), []string{"permission denied"}},
		{answered(404, ""), []string{"not found"}},
		{answered(422, ""), []string{"unprocessable"}},
		{answered(429, ""), []string{"rate limit"}},
		{answered(500, ""), []string{"internal server"}},
		{answered(502, ""), []string{"internal server"}},
		{answered(599, ""), []string{"internal server"}},
		{answered(200, ""), nil},
		{answered(307, ""), nil},
		{answered(402, ""), nil},
		{answered(409, ""), nil},
		{late, []string{"timeout"}},
		{broken(false), nil},
		{errors.New("another"), nil},
	} {
		deep := fmt.Errorf("given up: %w", &RunError{Node: "llm", Type: "llm", Err: errors.Join(errors.New("one"), test.err)})
		for _, err := range []error{test.err, deep} {
			want(t, err.Error(), kindsOf(t, err), test.want)
		}
	}
}

// A kind leads back to what it is of.
func TestKindsAreErrors(t *testing.T) {
	t.Parallel()
	api := answered(429, "slow down")
	limited, _ := errors.AsType[*RateLimitError](fmt.Errorf("then: %w", api))
	want(t, "message", limited.Error(), api.Error())
	if e, ok := errors.AsType[*APIError](error(limited)); !ok || e != api {
		t.Errorf("the APIError of %v is %v", limited, e)
	}
	broken := broken(false)
	broken.Timeout = true
	late, _ := errors.AsType[*TimeoutError](error(broken))
	if e, ok := errors.AsType[*ConnectionError](error(late)); !ok || e != broken || !errors.Is(late, broken.Err) {
		t.Errorf("the ConnectionError of %v is %v", late, e)
	}
	name, code := classOf(limited, "run_failed")
	want(t, "class", fmt.Sprint(name, code), "rate_limited429")
}
