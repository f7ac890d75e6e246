package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.temporal.io/sdk/temporal"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/spec"
)

// Types of the errors of activities that another try may mend, beside flow.RefusedError.
const (
	givenBackError = "given back" // by a worker that goes
	storeError     = "store"
	panicError     = "panic"
)

// givenBackAfter is when another worker may take what one has given back: once that one
// polls no more.
const givenBackAfter = time.Second

// After so many tries in a row an error is not retried any more. Those that come further
// do not count.
const (
	mostIdle    = 20 // in which no item has ended: some 15 minutes, but for the time that they take
	lacksFrom   = 5  // that lack something in the store: a network file system shows new files late
	mostRefused = 3  // after which another worker may have been the one to try it
	mostPaid    = 3  // whose results could not be written
)

// Pauses before another try, where it is not the SDK that chooses.
const (
	refusedAfter   = 2 * time.Second // as who refuses is the first to ask for more
	unwrittenAfter = 10 * time.Second
)

// refusal is why this worker cannot do what it is to, nor will later.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// refuse says which worker cannot do something, and why, unless that is only that there
// was no time. Secrets of the file, which may be nil, are hidden.
func (w *work) refuse(file *spec.File, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return errors.New(hidden(file, err))
	}
	return &refusal{w.name() + hidden(file, err)}
}

// givenBack ends an activity whose rest another worker is to do.
func (w *work) givenBack() error {
	return temporal.NewApplicationErrorWithOptions(w.name()+"it stops", givenBackError,
		temporal.ApplicationErrorOptions{NextRetryDelay: givenBackAfter, Category: temporal.ApplicationErrorCategoryBenign})
}

// unwritten is why the results of a shard could not be written at its end.
type unwritten struct{ error }

func (u *unwritten) Unwrap() error { return u.error }

// isUnwritten tells of an error whether results could not be written, so that runs of
// another try may be paid for in vain.
func isUnwritten(err error) bool {
	_, atEnd := errors.AsType[*unwritten](err)
	_, before := errors.AsType[*runner.ResultsError](err)
	return atEnd || before
}

// failure is the error of an activity that could not be done in this try, of which the
// next is told. It goes into the history of the workflow, so secrets of the file, which
// may be nil, are hidden.
func (h *heart) failure(file *spec.File, err error) error {
	text, kind, after := h.name()+hidden(file, err), storeError, time.Duration(0)
	p := h.progress()
	forGood := p.Idle >= lacksFrom && errors.Is(err, fs.ErrNotExist)
	if refused, ok := errors.AsType[*refusal](err); ok {
		p.Refused++
		text, kind, after, forGood = refused.text, flow.RefusedError, refusedAfter, p.Refused > mostRefused
	} else if isUnwritten(err) {
		p.Unwritten++
		after, forGood = unwrittenAfter, p.Unwritten >= mostPaid
	} else if _, ok := errors.AsType[*panicked](err); ok {
		kind = panicError
	}
	h.complains(text)
	p.Met = text
	h.last(p)
	if p.Idle >= mostIdle {
		text, forGood = fmt.Sprintf("%s; this was met at last, in %d tries in a row that came no further", text, p.Idle), true
	}
	if forGood {
		return temporal.NewNonRetryableApplicationError(text, flow.RefusedError, nil)
	}
	return temporal.NewApplicationErrorWithOptions(text, kind, temporal.ApplicationErrorOptions{NextRetryDelay: after})
}

// givenUp is the error of an activity that another try does not help: of the earlier
// ones, none of which came further, the last has not even told an error.
func (h *heart) givenUp() error {
	if h.before.Idle < mostIdle {
		return nil
	}
	last := cmp.Or(h.before.Met, "its worker gave no sign of life, or died")
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf("%d tries in a row came no further; of the last: %s", h.before.Idle, last), flow.RefusedError, nil)
}

// name begins what is said of this worker.
func (w *work) name() string { return "worker " + w.identity + ": " }

// hidden is an error as it may be told.
func hidden(file *spec.File, err error) string {
	if file == nil {
		return err.Error()
	}
	return file.Redactor.Message(err.Error())
}
