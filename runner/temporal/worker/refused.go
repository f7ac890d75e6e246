package worker

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"go.temporal.io/sdk/temporal"

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

// lacksFrom is the try from which on something that the store does not have is not
// waited for any more: a network file system shows new files late.
const lacksFrom = 5

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

// failed is the error of an activity that could not be done in this try. It goes into
// the history of the workflow, so secrets of the file, which may be nil, are hidden.
func (w *work) failed(file *spec.File, try int32, err error) error {
	refused, isRefused := errors.AsType[*refusal](err)
	_, isPanic := errors.AsType[*panicked](err)
	text := w.name() + hidden(file, err)
	switch {
	case w.ctx.Err() != nil:
		return w.givenBack()
	case isRefused:
		return temporal.NewNonRetryableApplicationError(refused.text, flow.RefusedError, nil)
	case errors.Is(err, fs.ErrNotExist) && try >= lacksFrom:
		return temporal.NewNonRetryableApplicationError(text, flow.RefusedError, nil)
	case isPanic:
		return temporal.NewApplicationError(text, panicError)
	}
	return temporal.NewApplicationError(text, storeError)
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
