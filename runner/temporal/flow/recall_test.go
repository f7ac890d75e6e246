package flow

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
)

// TestRecall: what is under way when a batch is paused, or stops, gives back what is
// left of it, and is begun again only when the batch goes on. What became of a worker
// meanwhile matters to neither.
func TestRecall(t *testing.T) {
	const tenth, minute = 6 * time.Second, time.Minute
	left := func(in Shard) (ShardEnd, error) { return ShardEnd{Sum: in.Own.Add(Sum{Items: 1}), Left: true}, nil }
	fails := func(err error) func(Shard) (ShardEnd, error) {
		return func(Shard) (ShardEnd, error) { return ShardEnd{}, err }
	}
	pause := []sending{{at: tenth, signal: PauseSignal}, {at: 60 * minute, signal: ResumeSignal}}
	drain := []sending{{at: tenth, signal: DrainSignal}}
	drained := Stop{Why: StoppedInterrupted}
	for _, c := range []struct {
		name  string
		sends []sending
		gives func(Shard) (ShardEnd, error)
		again int // times that shard 1 is begun
		end   BatchEnd
		lasts time.Duration
	}{
		{"pause", pause, left, 2, BatchEnd{Sum: Sum{Items: 62}, Ended: 6}, 63 * minute},
		{"pause, and the worker dies", pause, fails(temporal.NewHeartbeatTimeoutError()), 2, BatchEnd{Sum: Sum{Items: 60}, Ended: 6}, 63 * minute},
		{"pause, and the store is away", pause, fails(errors.New("connection refused")), 2, BatchEnd{Sum: Sum{Items: 60}, Ended: 6}, 63 * minute},
		{"pause before a worker has it", pause, fails(temporal.NewCanceledError()), 2, BatchEnd{Sum: Sum{Items: 60}, Ended: 6}, 63 * minute},
		{"drain", drain, left, 1, BatchEnd{Sum: Sum{Items: 2}, Stopped: drained}, tenth},
		{"drain, and the worker dies", drain, fails(temporal.NewHeartbeatTimeoutError()), 1, BatchEnd{Stopped: drained}, tenth},
		{"drain, and a worker refuses", drain, fails(temporal.NewNonRetryableApplicationError("no KEY", RefusedError, nil)), 1, BatchEnd{Stopped: Stop{Why: StoppedBroken, Cause: "shard 1 of 6: no KEY"}}, tenth},
		{"pause, then drain", []sending{pause[0], {at: 9 * minute, signal: DrainSignal}}, left, 1, BatchEnd{Sum: Sum{Items: 2}, Stopped: drained}, 9 * minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{sends: slices.Clone(c.sends), gives: c.gives}
			n.does = func(in Shard, _ int) (ShardEnd, error) { return ShardEnd{Sum: in.Own.Add(Sum{Items: 10})}, nil }
			end, err := n.run(t, Batch{Shards: 6, Window: 2})
			want(t, "error", err, nil)
			want(t, "end", end, c.end)
			want(t, "begun", len(n.tries[1]), c.again)
			want(t, "lasted", n.finished, c.lasts)
		})
	}
}

// TestRecallWhenABatchStops: a limit that one shard reaches, and a failure for good,
// hold for those under way, too: here the second while the third stops the batch.
func TestRecallWhenABatchStops(t *testing.T) {
	budget := Stop{Why: "budget", Reason: "$2.00"}
	for name, c := range map[string]struct {
		third ShardEnd
		err   error
		end   BatchEnd
	}{
		"a limit": {ShardEnd{Sum: Sum{Items: 5}, Stop: budget}, nil, BatchEnd{Sum: Sum{Items: 18}, Ended: 2, Stopped: budget}},
		"refused": {ShardEnd{}, temporal.NewNonRetryableApplicationError("no KEY", RefusedError, nil), BatchEnd{Sum: Sum{Items: 13}, Ended: 1, Stopped: Stop{Why: StoppedBroken, Cause: "shard 3 of 6: no KEY"}}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &night{
				lasts: func(shard int) time.Duration { return []time.Duration{1, 9, 2}[shard-1] * time.Minute },
				gives: func(Shard) (ShardEnd, error) { return ShardEnd{Sum: Sum{Items: 3}, Left: true}, nil },
				does: func(in Shard, _ int) (ShardEnd, error) {
					if in.Number == 3 {
						return c.third, c.err
					}
					return ShardEnd{Sum: Sum{Items: 10}}, nil
				},
			}
			end, err := n.run(t, Batch{Shards: 6, Window: 2})
			want(t, "error", err, nil)
			want(t, "end", end, c.end)
		})
	}
}
