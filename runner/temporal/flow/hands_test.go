//go:build integration

package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// hands do the work of shards and runs: what the pass, or the key, says.
type hands struct {
	client.Client
	begun    map[string]chan int      // shards that are to be cancelled, by pass
	cleaned  map[string]*atomic.Int64 // those that were
	runBegun chan struct{}
}

func (h *hands) shard(ctx context.Context, in Shard) (ShardEnd, error) {
	end := ShardEnd{Sum: Sum{Items: 1, Succeeded: 1}}
	first := activity.GetInfo(ctx).Attempt == 1
	switch in.Pass {
	case "retries":
		switch {
		case in.Number == 2 && first:
			told := ShardProgress{Items: 3, Idle: 7, Met: "connection refused"}
			if err := h.RecordActivityHeartbeat(ctx, activity.GetInfo(ctx).TaskToken, told); err != nil {
				return ShardEnd{}, err
			}
			return ShardEnd{}, errors.New("store: connection refused")
		case in.Number == 2: // it is told what the last one told, whatever that met then
			var told ShardProgress
			if err := activity.GetHeartbeatDetails(ctx, &told); err != nil || told.Idle != 7 || told.Met == "" {
				return ShardEnd{}, temporal.NewNonRetryableApplicationError(fmt.Sprint("told ", told), RefusedError, err)
			}
		case in.Number == 4 && first: // as on a machine that is gone
			time.Sleep(heartbeatTimeout + time.Second)
		}
	case "brief":
		return end, lie(ctx, 200*time.Millisecond)
	case "paused", "drained": // the first two give back what is left of them
		if in.Number <= 2 && strings.Count(activity.GetInfo(ctx).ActivityID, "-") == 1 {
			h.begun[in.Pass] <- in.Number
			_ = lie(ctx, time.Minute)
			return ShardEnd{Sum: end.Sum, Left: true}, nil
		}
	case "again": // shard 1 is given back, 2 is short, and the runs of 3 fail alike at first
		again := strings.Count(activity.GetInfo(ctx).ActivityID, "-") == 2
		switch {
		case again:
		case in.Number == 1:
			return ShardEnd{Left: true}, nil
		case in.Number == 2:
			return ShardEnd{Left: true, Short: true}, nil
		case in.Number == 3:
			return ShardEnd{Stop: Stop{Why: "all alike"}, Alike: true}, nil
		}
	case "stopped":
		if in.Number == 2 {
			end.Stop = Stop{Why: "budget", Reason: "$2.00"}
		}
	case "refused":
		if in.Number == 2 {
			return ShardEnd{}, temporal.NewNonRetryableApplicationError("no variable KEY", RefusedError, nil)
		}
	case "cancelled", "cancelled-by-signal":
		h.begun[in.Pass] <- in.Number
		err := lie(ctx, time.Minute)
		time.Sleep(300 * time.Millisecond)
		h.cleaned[in.Pass].Add(1)
		return ShardEnd{}, err
	}
	return end, nil
}

func (h *hands) run(ctx context.Context, in Run) (RunEnd, error) {
	switch in.Key {
	case "runs/refused":
		return RunEnd{}, temporal.NewNonRetryableApplicationError("no variable KEY", RefusedError, nil)
	case "runs/cancelled":
		close(h.runBegun)
		_ = lie(ctx, time.Minute) // a cancellation is an end like others
		return RunEnd{State: "cancelled"}, nil
	}
	return RunEnd{State: "succeeded"}, nil
}

// lie gives signs of life for that long, or until it is cancelled.
func lie(ctx context.Context, d time.Duration) error {
	end := time.After(d)
	for {
		activity.RecordHeartbeat(ctx, ShardProgress{})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}
