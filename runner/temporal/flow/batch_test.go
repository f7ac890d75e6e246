package flow

import (
	"encoding/json"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
)

func TestShardsOfABatch(t *testing.T) {
	for _, c := range []struct {
		name           string
		shards, window int
		most           int
		lasts          time.Duration // the whole
	}{
		{"none", 0, 4, 0, 0},
		{"one", 1, 4, 1, time.Minute},
		{"fewer than the window", 3, 4, 3, time.Minute},
		{"more", 10, 4, 4, 3 * time.Minute},
		{"one at a time", 5, 1, 1, 5 * time.Minute},
		{"a window that says nothing", 2, 0, 1, 2 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{}
			end, err := n.run(t, Batch{Shards: c.shards, Window: c.window})
			sum := Sum{Items: c.shards, Succeeded: c.shards, NanoUSD: int64(c.shards * (c.shards + 1) / 2)}
			want(t, "error", err, nil)
			want(t, "end", end, BatchEnd{Sum: sum, Ended: c.shards})
			want(t, "at once", n.most, c.most)
			want(t, "lasted", n.finished, c.lasts)
			want(t, "shards", n.shards(), append([]int(nil), count(c.shards)...))
		})
	}
}

// TestWhatAShardIsToldBefore: a shard is told where its items are, and what those add
// up to that had ended when it was begun, so that budgets hold for the whole batch.
func TestWhatAShardIsToldBefore(t *testing.T) {
	lasts := []time.Duration{0, 10 * time.Minute, time.Minute, 3 * time.Minute, 2 * time.Minute}
	n := &night{lasts: func(shard int) time.Duration { return lasts[shard] }}
	_, err := n.run(t, Batch{Store: "s3://b/p", Pass: "k", Shards: 4, Window: 2})
	want(t, "error", err, nil)
	before := map[int]Sum{}
	for _, s := range n.begun {
		want(t, "where", []any{s.Store, s.Pass, s.Own}, []any{"s3://b/p", "k", Sum{}})
		before[s.Number] = s.Before
	}
	want(t, "before", before, map[int]Sum{
		1: {}, 2: {}, 3: {Items: 1, Succeeded: 1, NanoUSD: 2}, 4: {Items: 2, Succeeded: 2, NanoUSD: 5},
	})
}

// TestProgressStaysSmall: also where one shard takes as long as a thousand others.
func TestProgressStaysSmall(t *testing.T) {
	n := &night{
		lasts: func(shard int) time.Duration {
			if shard == 1 {
				return 24 * time.Hour
			}
			return time.Minute
		},
		ask: []time.Duration{30 * time.Second, 90 * time.Second, 23 * time.Hour},
	}
	_, err := n.run(t, Batch{Shards: 1000, Window: 3})
	want(t, "error", err, nil)
	want(t, "answers", n.answers, []Progress{
		{Shards: 1000, Begun: 3, Open: []int{1, 2, 3}, Running: 3},
		{Shards: 1000, Begun: 5, Open: []int{1, 4, 5}, Running: 3, Sum: Sum{Items: 2, Succeeded: 2, NanoUSD: 5}},
		{Shards: 1000, Begun: 1000, Open: []int{1}, Running: 1, Sum: Sum{Items: 999, Succeeded: 999, NanoUSD: 500499}},
	})
	text, _ := json.Marshal(n.answers[2])
	if len(text) > 400 {
		t.Errorf("an answer of %d bytes: %s", len(text), text)
	}
	var ended []int
	for shard := range 7 {
		if n.answers[1].Ended(shard + 1) {
			ended = append(ended, shard+1)
		}
	}
	want(t, "ended", ended, []int{2, 3})
}

// TestAShardStopsTheBatch: nothing more is begun, and what is under way counts.
func TestAShardStopsTheBatch(t *testing.T) {
	budget := Stop{Why: "budget", Reason: "$1.00"}
	n := &night{
		does: func(in Shard, _ int) (ShardEnd, error) {
			end := ShardEnd{Sum: Sum{Items: 1}}
			switch in.Number {
			case 4:
				end.Stop = budget
			case 5:
				end.Stop = Stop{Why: "deadline"} // comes second
			}
			return end, nil
		},
		lasts: func(shard int) time.Duration { return time.Duration(shard) * time.Minute },
	}
	end, err := n.run(t, Batch{Shards: 100, Window: 3})
	want(t, "error", err, nil)
	want(t, "shards", n.shards(), count(6)) // 5 and 6 were under way
	want(t, "end", end, BatchEnd{Sum: Sum{Items: 6}, Ended: 6, Stopped: budget})
}

func TestProgressTellsOfAStop(t *testing.T) {
	n := &night{
		does: func(in Shard, _ int) (ShardEnd, error) {
			if in.Number == 2 {
				return ShardEnd{}, temporal.NewNonRetryableApplicationError("no", RefusedError, nil)
			}
			return ShardEnd{}, nil
		},
		ask: []time.Duration{30 * time.Second},
	}
	_, err := n.run(t, Batch{Shards: 9, Window: 3})
	want(t, "error", err, nil)
	want(t, "progress", n.answers, []Progress{{
		Shards: 9, Begun: 3, Open: []int{1, 2, 3}, Running: 2,
		Stopped: Stop{Why: StoppedBroken, Cause: "shard 2 of 9: no"},
	}})
}
