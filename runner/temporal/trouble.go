package temporal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"nightshift/runner"
)

const (
	quietFor     = 10 * time.Second // before it is asked why
	troubleTries = 3                // from which on it is no mishap
	mostTroubles = 5                // that are told of a workflow
	recentEvents = 20               // of a history, in which the last failure is looked for
)

// troubles watches why nothing is heard of a workflow: what fails again and again there
// is tried on in silence. Each cause is told once.
type troubles struct {
	b     *Backend
	id    string
	quiet time.Time // since then
	told  []string  // causes
}

func (b *Backend) newTroubles(id string) *troubles {
	return &troubles{b: b, id: id, quiet: time.Now()}
}

// news takes in that something was heard.
func (t *troubles) news() { t.quiet = time.Now() }

// look looks, if nothing was heard for a while. An error says that the server could not
// be asked.
func (t *troubles) look(ctx context.Context) error {
	if time.Since(t.quiet) < quietFor || len(t.told) >= mostTroubles {
		return nil
	}
	t.quiet = time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	d, err := t.b.client.sdk.DescribeWorkflowExecution(ctx, t.id, "")
	if err != nil {
		return t.b.client.failure(ctx, "look", err)
	}
	t.activities(d.GetPendingActivities())
	if task := d.GetPendingWorkflowTask(); task.GetAttempt() >= troubleTries {
		cause := t.lastFailure(ctx, d.GetWorkflowExecutionInfo().GetExecution())
		t.tell(cause, "the workflow "+t.id+" fails again and again: %s; nothing more is begun until a worker can go on with it: are all of them of this version?")
	}
	return nil
}

// activities tells what fails of those that are under way.
func (t *troubles) activities(pending []*workflow.PendingActivityInfo) {
	failing := map[string][]string{} // names, by cause
	for _, a := range pending {
		if a.GetAttempt() >= troubleTries && a.GetLastFailure() != nil {
			cause := failureWords(a.GetLastFailure())
			failing[cause] = append(failing[cause], a.GetActivityId())
		}
	}
	for cause, names := range failing {
		slices.SortFunc(names, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		who := strings.Replace(names[0], "-", " ", 1) // shard-3
		switch more := len(names) - 1; {
		case names[0] == "run":
			t.tell(cause, "the run fails again and again: %s; it is tried on")
		case more == 0:
			t.tell(cause, who+" fails again and again: %s; it is tried on")
		default:
			t.tell(cause, fmt.Sprintf("%s and %d more fail again and again: %%s; they are tried on", who, more))
		}
	}
}

// tell says a cause, once.
func (t *troubles) tell(cause, format string) {
	if !slices.Contains(t.told, cause) && len(t.told) < mostTroubles {
		t.told = append(t.told, cause)
		t.b.Say("nightshift: " + fmt.Sprintf(format, runner.Quote(t.b.hide(cause))))
	}
}

// lastFailure is why the last step of a workflow failed, as far as that is told.
func (t *troubles) lastFailure(ctx context.Context, of *common.WorkflowExecution) string {
	history, err := t.b.client.sdk.WorkflowService().GetWorkflowExecutionHistoryReverse(ctx, &workflowservice.GetWorkflowExecutionHistoryReverseRequest{
		Namespace: t.b.client.namespace, Execution: of, MaximumPageSize: recentEvents,
	})
	if err == nil {
		for _, e := range history.GetHistory().GetEvents() {
			if failed := e.GetWorkflowTaskFailedEventAttributes(); failed != nil {
				return failureWords(failed.GetFailure())
			}
			if e.GetWorkflowTaskTimedOutEventAttributes() != nil {
				return "a worker took a step of it and gave no answer"
			}
		}
	}
	return "workers do not say why"
}

// failureWords says what failed, without the words of Temporal.
func failureWords(f *failure.Failure) string {
	if late := f.GetTimeoutFailureInfo(); late != nil {
		if late.GetTimeoutType() == enums.TIMEOUT_TYPE_HEARTBEAT {
			return "its worker gave no sign of life"
		}
		return "it did not end in the time that a try may take"
	}
	return cmp.Or(f.GetMessage(), f.GetCause().GetMessage(), "workers do not say why")
}
