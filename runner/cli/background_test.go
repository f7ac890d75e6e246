package cli

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"nightshift/runner"
)

// fakeRuns is a backend of runs that end as told, after some looks that fail.
type fakeRuns struct {
	runner.Backend
	fails []error // of the next waits
	after time.Duration
	ends  runner.Status
	waits int
}

func (f *fakeRuns) Wait(ctx context.Context, _ runner.Handle) (runner.Status, error) {
	if f.waits++; f.waits <= len(f.fails) {
		return runner.Status{}, f.fails[f.waits-1]
	}
	if err := runner.Sleep(ctx, f.after); err != nil {
		return runner.Status{}, err
	}
	return f.ends, nil
}

// TestAwaitClusterRun: looks that fail in ways that pass are told of and repeated; where
// the time is over the run goes on.
func TestAwaitClusterRun(t *testing.T) {
	away := &runner.ConnectionError{Method: "wait", Endpoint: "127.0.0.1:7233", Err: errors.New("refused")}
	unknown := &runner.APIError{StatusCode: 404, Method: "wait", Endpoint: "127.0.0.1:7233", Message: "none"}
	const second = time.Second
	for name, test := range map[string]struct {
		fake    fakeRuns
		timeout time.Duration
		state   runner.State // "": no look
		reason  string
		err     string
		told    int
		took    time.Duration
	}{
		"succeeds":            {fake: fakeRuns{after: 3 * second, ends: runner.Status{State: runner.Succeeded}}, state: runner.Succeeded, took: 3 * second},
		"fails":               {fake: fakeRuns{ends: runner.Status{State: runner.Failed, Err: errors.New("boom")}}, state: runner.Failed, reason: "boom", err: "run t failed: boom"},
		"is cancelled":        {fake: fakeRuns{ends: runner.Status{State: runner.Cancelled}}, state: runner.Cancelled, reason: "it was cancelled", err: "run t failed: it was cancelled"},
		"looks fail first":    {fake: fakeRuns{fails: []error{away, away}, ends: runner.Status{State: runner.Succeeded}}, state: runner.Succeeded, told: 2, took: 4 * second},
		"is not known":        {fake: fakeRuns{fails: []error{unknown}}, err: unknown.Error()},
		"takes too long":      {fake: fakeRuns{after: time.Hour}, timeout: 5 * second, state: runner.Running, err: "run t has not ended within 5s, and goes on", took: 5 * second},
		"never a good answer": {fake: fakeRuns{fails: []error{away, away, away}}, timeout: 5 * second, err: "run t has not ended within 5s, and goes on", told: 3, took: 5 * second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, told := time.Now(), 0
				run := &clusterRun{&test.fake, runner.Handle{TaskID: "t"}}
				look, err := run.await(t.Context(), awaitOptions{2 * second, test.timeout, func(error) { told++ }})
				var state runner.State
				reason, said := "", ""
				if look != nil {
					state, reason = look.state, look.reason
				}
				if err != nil {
					said = err.Error()
				}
				got := []any{state, reason, said, told, time.Since(began)}
				if diff := cmp.Diff([]any{test.state, test.reason, test.err, test.told, test.took}, got); diff != "" {
					t.Errorf("state, reason, error, looks told of, time (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestAwaitIsInterrupted: who does not wait any more has no look, and the run goes on.
func TestAwaitIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	run := &clusterRun{&fakeRuns{after: time.Hour}, runner.Handle{TaskID: "t"}}
	look, err := run.await(ctx, awaitOptions{time.Second, 0, func(error) {}})
	if look != nil || err == nil || err.Error() != "run t is not waited for any more, and goes on: context canceled" {
		t.Errorf("look %v, error %v", look, err)
	}
}
