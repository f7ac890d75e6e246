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
	Deadline     time.Time       // past it nothing is started; zero: none
	Drain        <-chan struct{} // closed: nothing more is started; nil: never
	Stdin        io.Reader
	Redactor     *spec.Redactor
}

// Outcome is how a batch ended.
type Outcome struct {
	Counts      map[State]int // results written, by status
	Interrupted int           // items that were started but have no result
	Left        bool          // whether items may be left that were not ended
	Stopped     StopReason
}

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
	Interrupted   StopReason = "interrupted"
	ResultsFailed StopReason = "results"
)

// NewGeneration names a new pass over a batch.
func NewGeneration(now time.Time) string {
	var nonce [4]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return now.Format("20060102") + "-" + hex.EncodeToString(nonce[:])
}

// traceID is 32 hex digits that name an attempt, the same in every process that
// asks for the same attempt.
func traceID(generation, batch, id string, attempt int) string {
	b := make([]byte, 0, 128)
	for _, s := range []string{generation, batch, id} {
		b = append(append(b, s...), 0)
	}
	sum := sha256.Sum256(strconv.AppendInt(b, int64(attempt), 10))
	return hex.EncodeToString(sum[:16])
}
