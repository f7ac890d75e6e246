package runner

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"time"

	"nightshift/spec"
)

// Plan is all that Run has to know about a batch.
type Plan struct {
	Batch        *spec.Batch
	PipelineID   string
	Generation   string
	Total        int // items to be expected; -1 where that is not known beforehand
	Limit        int // items to run at the most; 0: all
	Concurrency  int
	Timeout      time.Duration // of one run; 0: none
	PollInterval time.Duration
	Retry        Retry
	AnswersSince time.Time       // answers of models that were kept before are not read; zero: all are
	Deadline     time.Time       // past it nothing is started; zero: none
	Drain        <-chan struct{} // closed: nothing more is started; nil: never
	Stdin        io.Reader
	Rate         int       // calls of a backend that is polled, per minute; 0: any number
	Stop         spec.Stop // when to end early
	Rows         int       // items of the whole source, of which Stop.FailureShare is a share; -1: not known
	Before       *Tally    // of the results that stay, and what all results took that are there; nil: none are
	GoneFailed   int       // of Before: did not succeed, but are of items that the source no longer has
	Past         Past      // nil: there was no earlier invocation
	Journal      Journal   // nil: starts need not be noted
	Redactor     *spec.Redactor
	Rehearsal    bool // nothing is asked of anybody, which every result says

	Items      func(yield func(spec.Item) bool) error // the items of the batch, as Batch.Items gives them; nil: those
	Proven     bool                                   // a run of the batch has succeeded elsewhere: runs that fail alike do not end it, but where a key is refused
	HandOnly   bool                                   // Distribute hands items over, and does not wait for them
	FollowOnly bool                                   // Distribute hands nothing over

	random func() float64 // from 0 to 1, for the pauses between tries; nil: chance
}

// Outcome is how a batch ended.
type Outcome struct {
	Counts      map[State]int // results written, by status
	Interrupted int           // runs that were terminated, and whose items have no result
	Detached    int           // runs that were left going, or may go on as they could not be terminated; their items have no result
	Passes      int           // of what Distribute handed over, that likewise go on
	Left        bool          // whether items may be left that were not ended
	Stopped     StopReason
	Reason      string // AtFailures, AtBudget: which limit was reached
	Cause       error  // of a batch that was stopped as all runs failed alike: how
}

// Retry says what is done about errors that may pass.
type Retry = spec.Retry

// Total is how many results were written.
func (o Outcome) Total() int {
	total := 0
	for _, n := range o.Counts {
		total += n
	}
	return total
}

// StopReason is why a batch ended before its last item.
type StopReason string

// The reasons for stopping early.
const (
	NotStopped    StopReason = ""
	AtDeadline    StopReason = "deadline"
	AtFailures    StopReason = "failures" // as many as the batch may have
	AtBudget      StopReason = "budget"
	Interrupted   StopReason = "interrupted"
	ResultsFailed StopReason = "results"

	// All runs failed alike, and none had succeeded.
	Broken      StopReason = "broken" // for one of these:
	Unreachable StopReason = "unreachable"
	Denied      StopReason = "denied"
	AllAlike    StopReason = "all alike"
)

// NewGeneration names a new pass over a batch.
func NewGeneration(now time.Time) string {
	var nonce [4]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return now.Format("20060102") + "-" + hex.EncodeToString(nonce[:])
}

// traceID is 32 hex digits that name an attempt, the same in every process that
// asks for the same attempt. An item whose inputs were edited is another one.
func traceID(generation, batch, id, digest string, attempt int) string {
	b := make([]byte, 0, 128)
	for _, s := range []string{generation, batch, id, digest} {
		b = append(append(b, s...), 0)
	}
	sum := sha256.Sum256(strconv.AppendInt(b, int64(attempt), 10))
	return hex.EncodeToString(sum[:16])
}
