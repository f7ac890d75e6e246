package temporal

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
)

// lateAfter is how long after its deadline a pass is left to its workers: they end it,
// where there are any.
const lateAfter = 15 * time.Second

// late ends a pass whose deadline is over where no worker is there to do that, and so
// nothing of it is under way. An error says that the server could not be asked.
func (f *follower) late(ctx context.Context) error {
	if f.Deadline.IsZero() || time.Since(f.Deadline) < lateAfter {
		return nil
	}
	queue, err := f.b.unattended(ctx, f.id)
	if err != nil || queue == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	d, err := f.b.client.sdk.DescribeWorkflowExecution(ctx, f.id, "")
	if err != nil {
		return f.b.client.failure(ctx, "look", err)
	}
	for _, a := range d.GetPendingActivities() {
		if a.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED { // by a worker that stops, or is gone: heartbeats will tell
			return nil
		}
	}
	if err := f.b.client.sdk.TerminateWorkflow(ctx, f.id, "", lateReason); err != nil {
		if err = f.b.client.failure(ctx, "terminate", err); isMissing(err) {
			return nil // it has ended
		}
		return err
	}
	f.b.Say(fmt.Sprintf("nightshift: the deadline is over, and no worker polls task queue %s: the batch is ended", queue))
	return nil
}
