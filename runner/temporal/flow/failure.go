package flow

import (
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
)

// shardFailure says to a reader which shard failed for good, and why.
func shardFailure(shard, shards int, err error) string {
	return fmt.Sprintf("shard %d of %d: %s", shard, shards, plainText(err))
}

// isForGood says whether a failure is one that no other try would mend.
func isForGood(err error) bool {
	failure, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && failure.NonRetryable()
}

// plainError is the failure of an activity as an error of its workflow: the same type,
// and only the text that tells something. A cancellation stays one.
func plainError(err error) error {
	if temporal.IsCanceledError(err) {
		return temporal.NewCanceledError()
	}
	kind := ""
	if failure, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		kind = failure.Type()
	}
	return temporal.NewNonRetryableApplicationError(plainText(err), kind, nil)
}

// plainText is the failure of an activity without the words of Temporal around it.
func plainText(err error) string {
	if late, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		if late.TimeoutType() == enums.TIMEOUT_TYPE_HEARTBEAT {
			return fmt.Sprintf("its worker gave no sign of life for %v, in the last of %d tries", heartbeatTimeout, maxTries)
		}
		return fmt.Sprintf("it did not end in the time that a try may take, in the last of %d tries", maxTries)
	}
	if failure, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return failure.Message()
	}
	if failure, ok := errors.AsType[*temporal.ActivityError](err); ok && failure.Unwrap() != nil {
		return failure.Unwrap().Error()
	}
	return err.Error()
}
