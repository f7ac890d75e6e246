package flow

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// histories is where those are that a real server recorded:
// go test -tags integration -run TestIntegrationHistories ./runner/temporal/flow -update-histories
const histories = "../../../testdata/temporal"

// TestHistoriesReplay: the workflows decide as they did when these were recorded, so
// that a batch which is under way goes on with a worker of today. A change that this
// fails for needs workflow.GetVersion, and a history of the old way stays.
func TestHistoriesReplay(t *testing.T) {
	all := map[string]string{ // to what has to be in it, as outline tells it
		"batch-retries":             "^begin begin begin.* again end.* again end COMPLETED$",
		"batch-anew-first":          "^begin begin end end ANEW$",
		"batch-anew-last":           "^begin begin end end COMPLETED$",
		"batch-paused":              "^begin begin PAUSE cancel cancel end end RESUME begin begin .*COMPLETED$",
		"batch-drained":             "^begin begin DRAIN cancel cancel end end COMPLETED$",
		"batch-again":               "^begin begin end .*begin .*ANEW$",
		"batch-deadline":            "^TIMER begin PAUSE cancel .*FIRED COMPLETED$",
		"batch-stopped":             "^begin end begin end COMPLETED$",
		"batch-refused":             "^begin end begin fail COMPLETED$",
		"batch-cancelled":           "^begin begin CANCEL cancel cancel cancelled cancelled CANCELLED$",
		"batch-cancelled-by-signal": "^begin begin CANCEL cancel cancel cancelled cancelled CANCELLED$",
		"batch-no-worker":           "^PAUSE RESUME PAUSE RESUME begin begin .*COMPLETED$",
		"run":                       "^begin end COMPLETED$",
		"run-refused":               "^begin fail FAILED$",
		"run-cancelled":             "^begin CANCEL cancel end COMPLETED$",
	}
	files, err := filepath.Glob(filepath.Join(histories, "*.json"))
	want(t, "error", err, nil)
	want(t, "files", len(files), len(all))
	for name, events := range all {
		t.Run(name, func(t *testing.T) {
			h := readHistory(t, name)
			if told := outline(h); !regexp.MustCompile(events).MatchString(told) {
				t.Errorf("%s is not as %s", told, events)
			}
			if err := replay(h, Register); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestChangedWorkflowsDoNotReplay, so that the test above means something.
func TestChangedWorkflowsDoNotReplay(t *testing.T) {
	for _, c := range []struct {
		history, change string
		batch           func(*Batch)
	}{
		{"batch-retries", "another order of shards", func(b *Batch) { b.Next = 2 }},
		{"batch-retries", "a wider window", func(b *Batch) { b.Window++ }},
		{"batch-retries", "a shard less", func(b *Batch) { b.Shards-- }},
		{"batch-anew-first", "continued as new sooner", func(b *Batch) { b.RunShards-- }},
		{"batch-deadline", "no deadline", func(b *Batch) { b.Deadline = time.Time{} }},
		{"batch-again", "given back before", func(b *Batch) { b.Next, b.Open = 2, []Part{{Number: 1, Begun: 1}} }},
		{"batch-anew-first", "not continued as new", func(b *Batch) { b.RunShards = 0 }},
		{"batch-paused", "paused to begin with", func(b *Batch) { b.Paused = true }},
		{"batch-cancelled", "stopped to begin with", func(b *Batch) { b.Stopped.Why = "budget" }},
	} {
		t.Run(c.history+", "+c.change, func(t *testing.T) {
			changed := func(ctx workflow.Context, in Batch) (BatchEnd, error) {
				c.batch(&in)
				return runBatch(ctx, in)
			}
			err := replay(readHistory(t, c.history), func(r Registry) {
				r.RegisterWorkflowWithOptions(changed, workflow.RegisterOptions{Name: BatchWorkflow})
			})
			if err == nil || !strings.Contains(err.Error(), "TMPRL1100") {
				t.Errorf("it replays: %v", err)
			}
		})
	}
}

func readHistory(t *testing.T, name string) *history.History {
	t.Helper()
	file, err := os.Open(filepath.Join(histories, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	h, err := client.HistoryFromJSON(file, client.HistoryJSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func replay(h *history.History, register func(Registry)) error {
	replayer := worker.NewWorkflowReplayer()
	register(replayer)
	return replayer.ReplayWorkflowHistory(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), h)
}

// outline tells a history by those of its events that say what happened.
func outline(h *history.History) string {
	words := map[enums.EventType]string{
		enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:             "begin",
		enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:             "end",
		enums.EVENT_TYPE_ACTIVITY_TASK_FAILED:                "fail",
		enums.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:             "time-out",
		enums.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED:      "cancel",
		enums.EVENT_TYPE_ACTIVITY_TASK_CANCELED:              "cancelled",
		enums.EVENT_TYPE_TIMER_STARTED:                       "TIMER",
		enums.EVENT_TYPE_TIMER_FIRED:                         "FIRED",
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: "CANCEL",
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:        "COMPLETED",
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:           "FAILED",
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:         "CANCELLED",
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: "ANEW",
	}
	var told []string
	for _, event := range h.GetEvents() {
		if word := words[event.GetEventType()]; word != "" {
			told = append(told, word)
		} else if event.GetActivityTaskStartedEventAttributes().GetAttempt() > 1 {
			told = append(told, "again")
		} else if signal := event.GetWorkflowExecutionSignaledEventAttributes(); signal != nil {
			told = append(told, strings.ToUpper(signal.GetSignalName()))
		}
	}
	return strings.Join(told, " ")
}
