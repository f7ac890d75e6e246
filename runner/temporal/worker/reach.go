package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"nightshift/runner"
)

// The server is asked every now and then whether it is there: polls that fail are
// repeated in silence. A server that refuses this worker for so long will not take it
// back; a key may just be on its way from one machine to another.
const (
	reachEvery  = 10 * time.Second
	reachWithin = 5 * time.Second
	deniedFor   = 2 * time.Minute
)

// reach asks the server for the task queue.
func (w *work) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	_, err := w.Client.DescribeTaskQueue(ctx, w.TaskQueue, enums.TASK_QUEUE_TYPE_ACTIVITY)
	return err
}

// watch says when the server is not reached any more, and when it is again. It ends the
// worker that is refused, and returns when ctx is done.
func (w *work) watch(ctx context.Context, reach func(context.Context) error, breaks func(error)) {
	var since time.Time // when it was reached no more; zero: it is
	for runner.Sleep(ctx, reachEvery) == nil {
		err := reach(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil || answers(err):
			if !since.IsZero() {
				w.say("the Temporal server answers again")
			}
			since = time.Time{}
			continue
		case since.IsZero():
			since = time.Now()
			w.say(fmt.Sprintf("the Temporal server does not answer, or not well; it is tried again, and what is under way goes on: %v", err))
		}
		if isDenied(err) && time.Since(since) >= deniedFor {
			breaks(w.refusedByServer(err))
			return
		}
	}
}

// answers tells of an error whether the server is well that gave it.
func answers(err error) bool {
	switch codeOf(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Unknown, codes.Internal, codes.Canceled:
		return false
	}
	return !isDenied(err)
}

// isDenied tells whether the server takes nothing from this worker.
func isDenied(err error) bool {
	switch codeOf(err) {
	case codes.PermissionDenied, codes.Unauthenticated:
		return true
	}
	return isNamespaceGone(err)
}

func isNamespaceGone(err error) bool {
	_, gone := errors.AsType[*serviceerror.NamespaceNotFound](err)
	return gone
}

func codeOf(err error) codes.Code {
	if own, ok := errors.AsType[serviceerror.ServiceError](err); ok {
		return own.Status().Code()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded
	}
	return status.Code(err)
}

// unreached is why a worker could not begin.
func (w *work) unreached(err error) error {
	if isDenied(err) {
		return w.refusedByServer(err)
	}
	return fmt.Errorf("the Temporal server is not reached: %w; check its address, and whether it runs", err)
}

// refusedByServer is why a worker cannot go on.
func (w *work) refusedByServer(err error) error {
	what := "check what this worker is started with"
	switch {
	case isNamespaceGone(err):
		what = "check --namespace; a namespace is made with temporal operator namespace create"
	case isDenied(err):
		what = "check the API key or the certificate, and what they may do"
	}
	return fmt.Errorf("the Temporal server refuses this worker on task queue %s: %w; %s", w.TaskQueue, err, what)
}
