package temporal

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
)

// cluster is a client that knows one workflow.
type cluster struct {
	client.Client
	status     enums.WorkflowExecutionStatus
	polled     time.Time
	pending    []*workflow.PendingActivityInfo
	err        error  // of a terminate
	terminated string // the reason
}

func (c *cluster) DescribeWorkflow(context.Context, string, string) (*client.WorkflowExecutionDescription, error) {
	d := &client.WorkflowExecutionDescription{}
	d.WorkflowType.Name, d.Status, d.TaskQueueName = flow.BatchWorkflow, c.status, "q"
	return d, nil
}

func (c *cluster) DescribeTaskQueue(context.Context, string, enums.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error) {
	return &workflowservice.DescribeTaskQueueResponse{Pollers: []*taskqueue.PollerInfo{{LastAccessTime: timestamppb.New(c.polled)}}}, nil
}

func (c *cluster) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{PendingActivities: c.pending}, nil
}

func (c *cluster) TerminateWorkflow(_ context.Context, _, _, reason string, _ ...any) error {
	c.terminated = reason
	return c.err
}

// TestLate: who follows ends a pass whose deadline is over for long only where nothing
// of it can be under way.
func TestLate(t *testing.T) {
	started, waits := enums.PENDING_ACTIVITY_STATE_STARTED, enums.PENDING_ACTIVITY_STATE_SCHEDULED
	const runs, never = enums.WORKFLOW_EXECUTION_STATUS_RUNNING, time.Hour
	away := serviceerror.NewUnavailable("connection refused")
	for name, c := range map[string]struct {
		over   time.Duration // for so long; never: there is no deadline
		status enums.WorkflowExecutionStatus
		polled time.Duration // ago
		state  enums.PendingActivityState
		err    error
		ends   bool
		fails  bool
	}{
		"long over":           {16 * time.Second, runs, never, waits, nil, true, false},
		"just over":           {14 * time.Second, runs, never, waits, nil, false, false},
		"not over":            {-time.Second, runs, never, waits, nil, false, false},
		"none":                {never, runs, never, waits, nil, false, false},
		"a worker is there":   {time.Minute, runs, time.Minute, waits, nil, false, false},
		"a shard is run":      {time.Minute, runs, never, started, nil, false, false},
		"it has ended":        {time.Minute, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, never, waits, nil, false, false},
		"it ends at the time": {time.Minute, runs, never, waits, serviceerror.NewNotFound("x"), true, false},
		"away":                {time.Minute, runs, never, waits, away, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c2 := &cluster{status: c.status, polled: time.Now().Add(-c.polled), err: c.err, pending: []*workflow.PendingActivityInfo{{State: c.state}}}
				var said heard
				b := (&Client{sdk: c2}).Backend(BackendOptions{Say: said.say})
				f := &follower{passAt: passAt{Pass: &store.Pass{}, id: "batch-g:b:n"}, b: b}
				if c.over != never {
					f.Deadline = time.Now().Add(-c.over)
				}
				err := f.late(t.Context())
				want(t, "error, away", [2]bool{err != nil, isAway(err)}, [2]bool{c.fails, c.fails})
				want(t, "ended", c2.terminated, map[bool]string{true: lateReason}[c.ends])
				want(t, "said", said.count("the deadline is over, and no worker polls task queue q") == 1, c.ends && c.err == nil)
			})
		})
	}
}
