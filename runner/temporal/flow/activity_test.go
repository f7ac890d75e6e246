package flow

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

// TestAShardIsTriedAgain: whatever befell it, after a second, two, four, and so on up
// to a minute. The others do not wait for it.
func TestAShardIsTriedAgain(t *testing.T) {
	at := func(seconds ...time.Duration) []time.Duration {
		var times []time.Duration
		now := time.Minute // when shard 3 is begun
		for _, s := range seconds {
			now += s * time.Second
			times = append(times, now)
		}
		return times
	}
	for _, c := range []struct {
		name  string
		err   error
		times int
		tries []time.Duration
	}{
		{"not at all", nil, 0, at(0)},
		{"an error", errors.New("store: connection refused"), 1, at(0, 1)},
		{"errors", errors.New("store: connection refused"), 8, at(0, 1, 2, 4, 8, 16, 32, 60, 60)},
		{"its worker is gone", temporal.NewHeartbeatTimeoutError(), 2, at(0, 1, 2)},
		{"more than a run is", errors.New("store: connection refused"), 2 * maxTries, nil},
		{"a try takes too long", temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil), 2, at(0, 1, 2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{does: func(in Shard, try int) (ShardEnd, error) {
				if in.Number == 3 && try <= c.times {
					return ShardEnd{}, c.err
				}
				return ShardEnd{Sum: Sum{Items: in.Number}}, nil
			}}
			end, err := n.run(t, Batch{Shards: 6, Window: 2})
			want(t, "error", err, nil)
			want(t, "end", end, BatchEnd{Sum: Sum{Items: 21}, Ended: 6})
			if c.tries != nil {
				want(t, "tries", n.tries[3], c.tries)
			}
			want(t, "tries of another", len(n.tries[5]), 1)
		})
	}
}

// TestAShardThatFailsForGood: the batch stops, and says why without the words of
// Temporal; shards under way end, and count.
func TestAShardThatFailsForGood(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		tries int
		cause string
	}{
		{"refused", temporal.NewNonRetryableApplicationError("worker a@b has no variable OPENAI_API_KEY: start it with one", RefusedError, nil), 1, "shard 2 of 9: worker a@b has no variable OPENAI_API_KEY: start it with one"},
		{"refused, with a cause", temporal.NewNonRetryableApplicationError("worker a@b cannot load the batch file: no", RefusedError, errors.New("no")), 1, "shard 2 of 9: worker a@b cannot load the batch file: no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{
				does: func(in Shard, _ int) (ShardEnd, error) {
					if in.Number == 2 {
						return ShardEnd{}, c.err
					}
					return ShardEnd{Sum: Sum{Items: in.Number}}, nil
				},
				lasts: func(int) time.Duration { return time.Hour },
			}
			end, err := n.run(t, Batch{Shards: 9, Window: 3})
			want(t, "error", err, nil)
			want(t, "tries", len(n.tries[2]), c.tries)
			want(t, "shards", n.shards(), count(3))
			want(t, "end", end, BatchEnd{Sum: Sum{Items: 4}, Ended: 2, Stopped: Stop{Why: StoppedBroken, Cause: c.cause}})
		})
	}
}

// TestAPanicOfAShard ends a try, as often as its worker lets it.
func TestAPanicOfAShard(t *testing.T) {
	n := &night{does: func(in Shard, try int) (ShardEnd, error) {
		if in.Number == 1 && try <= maxTries+2 {
			panic("index out of range")
		}
		return ShardEnd{}, nil
	}}
	end, err := n.run(t, Batch{Shards: 1, Window: 1})
	want(t, "error", err, nil)
	want(t, "end", end, BatchEnd{Ended: 1})
}

// TestWhatActivitiesAreTold of their times: a heartbeat is due within 20 seconds, and how
// long a try takes does not matter.
func TestWhatActivitiesAreTold(t *testing.T) {
	env := newEnvironment()
	var told activity.Info
	env.RegisterActivityWithOptions(func(ctx context.Context, _ Shard) (ShardEnd, error) {
		told = activity.GetInfo(ctx)
		return ShardEnd{}, nil
	}, activity.RegisterOptions{Name: ShardActivity})
	env.ExecuteWorkflow(BatchWorkflow, Batch{Shards: 1})
	want(t, "error", env.GetWorkflowError(), nil)
	want(t, "of a shard", []any{told.ActivityID, told.HeartbeatTimeout, told.StartToCloseTimeout}, []any{"shard-1", 20 * time.Second, unlimited})
}
