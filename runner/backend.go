// Package runner runs one batch of a batch file on a backend: it feeds items
// under a concurrency limit, waits for their runs, parks what has to wait, and
// tells what happens as one stream of events. It knows no backend by name.
package runner

import (
	"context"
	"time"

	"nightshift/spec"
)

// Backend is a place where pipelines are saved and runs execute.
type Backend interface {
	// Save creates or updates the pipeline of that name, or leaves it unchanged.
	Save(ctx context.Context, p *spec.Pipeline, opts SaveOptions) (Saved, error)
	// Start starts a run and returns at once. Inputs that do not fit the
	// pipeline are an *InputError.
	Start(ctx context.Context, pipelineID string, in Inputs, opts StartOptions) (Handle, error)
	// Status is one look at a run, without waiting.
	Status(ctx context.Context, h Handle) (Status, error)
	// Terminate ends a run early; one that has ended stays as it is.
	Terminate(ctx context.Context, h Handle) error
}

// Waiter is a Backend that tells when a run ends without being polled.
type Waiter interface {
	// Wait returns when the run has ended or was suspended, or ctx is done.
	Wait(ctx context.Context, h Handle) (Status, error)
}

// Resumer is a Backend that goes on with a suspended run where it stopped:
// what the run has done and paid for is kept.
type Resumer interface {
	Resume(ctx context.Context, h Handle) error
}

// Inputs are the values of a run: input node name to plain value.
type Inputs = map[string]any

// SaveOptions say how a pipeline is saved.
type SaveOptions struct{}

// Saved is what became of a save.
type Saved struct {
	PipelineID string
	Action     SaveAction
}

// SaveAction is what a save did.
type SaveAction string

// The outcomes of a save.
const (
	Created   SaveAction = "created"
	Updated   SaveAction = "updated"
	Unchanged SaveAction = "unchanged"
)

// StartOptions are what a run is started with, beside its inputs.
type StartOptions struct {
	TraceID            string
	SessionID          string
	NodeInputOverrides map[string]any // "node.input" to value
	Version            string
}

// Handle is all that another process needs to poll or terminate a run.
type Handle struct {
	PipelineID string
	TaskID     string
	TraceID    string
}

// State is how a run stands.
type State string

// The states of a run. A result may also be TimedOut.
const (
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	TimedOut  State = "timed_out"
)

// Ended tells whether the state is final.
func (s State) Ended() bool { return s != Running }

// Status is one look at a run.
type Status struct {
	State     State
	Outputs   map[string]any // output node name to plain value, of a run that succeeded
	Err       error          // of a run that failed; a *RunError where the node is known
	Suspended *Suspension    // of a running one that waits to be resumed
}

// Suspension says that a run stopped at a refused call and can be resumed.
type Suspension struct {
	Until  time.Time
	Reason string
}
