package flow

import "go.temporal.io/sdk/workflow"

// runSingle is the workflow of one run of a pipeline. A cancellation is passed on to
// its activity and waited for: if that tells an end, so does the workflow.
func runSingle(ctx workflow.Context, in Run) (RunEnd, error) {
	var end RunEnd
	err := workflow.ExecuteActivity(activityContext(ctx, "run", maxTries), RunActivity, in).Get(ctx, &end)
	if err != nil {
		return RunEnd{}, plainError(err)
	}
	return end, nil
}
