package temporal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

var errAway = &runner.ConnectionError{Method: "do", Endpoint: "x", Err: errors.New("connection refused")}

// TestPatiently: a server that is away is waited for, which is said once, as is that it
// is back.
func TestPatiently(t *testing.T) {
	for name, c := range map[string]struct {
		most  time.Duration
		until time.Duration // it is away
		then  error         // of the call
		took  time.Duration // at most
		err   error
		said  [2]int // away, back
	}{
		"there":             {time.Minute, 0, nil, 0, nil, [2]int{0, 0}},
		"back in time":      {time.Minute, 50 * time.Second, nil, 55 * time.Second, nil, [2]int{1, 1}},
		"gone":              {time.Minute, time.Hour, nil, 65 * time.Second, errAway, [2]int{1, 0}},
		"waited for always": {0, time.Hour, nil, time.Hour + 5*time.Second, nil, [2]int{1, 1}},
		"another error":     {time.Minute, 10 * time.Second, errors.ErrUnsupported, 15 * time.Second, errors.ErrUnsupported, [2]int{1, 1}},
		"too much to do":    {time.Minute, 0, &runner.APIError{StatusCode: 429}, 65 * time.Second, &runner.APIError{}, [2]int{1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said heard
				began := time.Now()
				a := &away{address: "x", most: c.most, say: said.say}
				err := patiently(t.Context(), a, func() error {
					if time.Since(began) < c.until {
						return errAway
					}
					return c.then
				})
				if took := time.Since(began); took > c.took {
					t.Errorf("it took %v", took)
				}
				if _, api := errors.AsType[*runner.APIError](c.err); api {
					_, api = errors.AsType[*runner.APIError](err)
					want(t, "an answer", api, true)
				} else {
					want(t, "error", err, c.err, equateErrors)
				}
				want(t, "said", [2]int{said.count("does not answer"), said.count("answers again")}, c.said)
			})
		})
	}
}

// TestPatientlyUntilDone: who waits for a server leaves at once, and that a call was
// broken off by it is no news.
func TestPatientlyUntilDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		var said heard
		began := time.Now()
		err := patiently(ctx, &away{say: said.say}, func() error {
			<-ctx.Done()
			return errAway
		})
		want(t, "error", err, errAway, equateErrors)
		want(t, "said", said.count(""), 0)
		err = patiently(ctx, &away{say: said.say}, func() error { return nil })
		want(t, "a call that was in time", err, nil, equateErrors)
		want(t, "took", time.Since(began), 10*time.Second)
	})
}

// TestPatientlyBetween: it leaves also between two calls.
func TestPatientlyBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		began := time.Now()
		err := patiently(ctx, &away{say: func(string) {}}, func() error { return errAway })
		want(t, "error", err, errAway, equateErrors)
		want(t, "took", time.Since(began), 10*time.Second)
	})
}
