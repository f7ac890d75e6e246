// Package runner runs one batch of a batch file on a backend: it feeds items
// under a concurrency limit, waits for their runs, parks what has to wait, and
// tells what happens as one stream of events. It knows no backend by name.
package runner

import (
	"context"
	"errors"
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

// Finder is a Backend that finds a run by the trace id it was started with.
type Finder interface {
	// Find gives the handle of that run, the newest if there are several; a zero
	// Handle says that there is none.
	Find(ctx context.Context, traceID string) (Handle, error)
}

// Detachable marks a Backend whose runs outlive this process: those that are
// under way when a batch ends may be left going, for the next invocation to pick up.
type Detachable interface {
	// Detachable does nothing.
	Detachable()
}

// Streamer is a Backend that tells what the nodes of a run make while it runs.
type Streamer interface {
	// Stream starts a run and gives what its nodes make to chunk, one call after
	// the other, until the run has ended or was suspended. A run that is resumed
	// goes on telling.
	Stream(ctx context.Context, pipelineID string, in Inputs, opts StartOptions, chunk func(Chunk)) (Handle, Status, error)
}

// Chunk is what one node made, or a piece of it.
type Chunk struct {
	RunID  string
	Output string // "node.output"; of an output node, its name
	Value  any    // a plain value; of text that comes in pieces, the next piece
	Piece  bool   // more of the same output may follow, to be put behind this one
}

// Inputs are the values of a run: input node name to plain value.
type Inputs = map[string]any

// SaveOptions say how a pipeline is saved.
type SaveOptions struct {
	LookOnly bool // nothing is written: what would become of a save is told
}

// Saved is what became of a save, or would.
type Saved struct {
	PipelineID string // "" where it is not there yet
	Action     SaveAction
	Changes    []string // what is written, a line each, that of pipelines which it runs under their names; nil where nothing is, or all is new
	Others     []string // ids of other pipelines of that name, which are left alone
	Notes      []string // what is worth knowing, a line each
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
	AnswersSince       time.Time // answers of models that were kept before are not read; zero: all are
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
	Usage     *Usage         // of a run that asked models, whatever its state; nil where that is not known
}

// Suspension says that a run stopped at calls that were refused or broke off, and
// can be resumed at those nodes.
type Suspension struct {
	At       time.Time // when that was: what the other side asks to wait counts from here
	Errs     []error   // of each such node a *RunError, around an *APIError, a *ConnectionError or a *HeldBack
	Progress int       // nodes, and parts of nodes, that have ended since the run's start
}

// cause is the first error of a call that was made; where none was, the run is
// held back.
func (s *Suspension) cause() (err error, held bool) {
	for _, err := range s.Errs {
		if _, held := errors.AsType[*HeldBack](err); !held {
			return err, false
		}
	}
	return s.Errs[0], true
}

// Usage is what the models of a run took. What an answer from the cache once
// took is not in it: nothing was paid for it now.
type Usage struct {
	InputTokens  int64
	OutputTokens int64
	USD          float64 // of those answers whose price is known
	Unpriced     bool    // some answer has no known price, so USD is not the whole cost
	Cached       bool    // all answers came from the cache
}

// Add puts what another answer took to the usage. A nil usage is that of no
// answer at all.
func (u *Usage) Add(more Usage) *Usage {
	if u == nil {
		return &more
	}
	return &Usage{
		InputTokens:  u.InputTokens + more.InputTokens,
		OutputTokens: u.OutputTokens + more.OutputTokens,
		USD:          u.USD + more.USD,
		Unpriced:     u.Unpriced || more.Unpriced,
		Cached:       u.Cached && more.Cached,
	}
}
