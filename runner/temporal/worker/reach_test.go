package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestWatch: a server that goes away is waited for; one that refuses the worker for
// long ends it.
func TestWatch(t *testing.T) {
	const away, again = "the Temporal server does not answer", "the Temporal server answers again"
	for name, c := range map[string]struct {
		reach func(age time.Duration) error
		said  []string
		ends  string
		after time.Duration
	}{
		"there":         {reach: after(time.Hour, nil)},
		"away":          {reach: between(25*time.Second, 5*time.Minute, serviceerror.NewUnavailable("connection refused")), said: []string{away, again}},
		"too slow":      {reach: between(25*time.Second, 5*time.Minute, fmt.Errorf("asking: %w", context.DeadlineExceeded)), said: []string{away, again}},
		"too busy":      {reach: between(25*time.Second, 5*time.Minute, serviceerror.NewResourceExhausted(0, "too many calls"))},
		"no such call":  {reach: after(0, serviceerror.NewUnimplemented("older"))},
		"denied, short": {reach: between(25*time.Second, 70*time.Second, serviceerror.NewPermissionDenied("no", "")), said: []string{away, again}},
		"denied":        {reach: after(25*time.Second, serviceerror.NewPermissionDenied("no", "")), said: []string{away}, ends: "check the API key or the certificate", after: 150 * time.Second},
		"key":           {reach: after(25*time.Second, status.Error(codes.Unauthenticated, "expired")), said: []string{away}, ends: "check the API key or the certificate", after: 150 * time.Second},
		"namespace":     {reach: after(25*time.Second, serviceerror.NewNamespaceNotFound("nights")), said: []string{away}, ends: "check --namespace", after: 150 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				worker := w.worker()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				began, ends, at := time.Now(), "", time.Duration(0)
				worker.watch(ctx, func(context.Context) error { return c.reach(time.Since(began)) }, func(err error) {
					ends, at = err.Error(), time.Since(began)
				})
				want(t, "lines", len(w.say), len(c.said))
				for i, line := range w.say {
					if i < len(c.said) && !strings.Contains(line, c.said[i]) {
						t.Errorf("%q is not in %q", c.said[i], line)
					}
				}
				if !strings.Contains(ends, c.ends) || (ends == "") != (c.ends == "") {
					t.Errorf("%q, not %q", ends, c.ends)
				}
				want(t, "ends after", at, c.after)
			})
		})
	}
}

func TestUnreached(t *testing.T) {
	w := newWorld(t, "").worker()
	for text, err := range map[string]error{
		"is not reached: connection refused; check its address":                                         errors.New("connection refused"),
		"refuses this worker on task queue q: Namespace nights is not found.; check --namespace":        fmt.Errorf("%w", serviceerror.NewNamespaceNotFound("nights")),
		"refuses this worker on task queue q: no; check the API key or the certificate, and what they ": serviceerror.NewPermissionDenied("no", ""),
	} {
		if got := w.unreached(err).Error(); !strings.Contains(got, text) {
			t.Errorf("%q is not in %q", text, got)
		}
	}
}
