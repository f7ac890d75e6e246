package flow

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	// heartbeatTimeout is how long an activity may give no sign of life, before another
	// worker takes it.
	heartbeatTimeout = 20 * time.Second

	// unlimited is the time of a try: heartbeats tell whether its worker is alive, which
	// ends runs at their timeouts.
	unlimited = 365 * 24 * time.Hour

	// maxTries is how often a single run is tried. Tries of a shard that come further do
	// not count: its worker ends one that gets nowhere.
	maxTries = 20
	anyTries = 1 << 30
)

// activityContext says how an activity is tried. The id is what a history knows it by:
// code that begins another one in its place is found out. What no other try mends is no
// error to retry.
func activityContext(ctx workflow.Context, id string, tries int32) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          id,
		StartToCloseTimeout: unlimited,
		HeartbeatTimeout:    heartbeatTimeout,
		WaitForCancellation: true,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    time.Second,
			BackoffCoefficient: 2,
			MaximumInterval:    time.Minute,
			MaximumAttempts:    tries,
		},
	})
}
