package flow

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
)

// TestAShardThatIsGivenBack is begun again, as often as that happens, as another
// activity; what it had come to counts once, and it is told of it.
func TestAShardThatIsGivenBack(t *testing.T) {
	for _, window := range []int{1, 2} {
		var told []Shard
		n := &night{
			does: func(in Shard, try int) (ShardEnd, error) {
				if in.Number != 2 {
					return ShardEnd{Sum: Sum{Items: 10}}, nil
				}
				told = append(told, in)
				return ShardEnd{Sum: Sum{Items: try}, Left: try < 50}, nil
			},
		}
		end, err := n.run(t, Batch{Shards: 3, Window: window, RunShards: 7})
		want(t, "error", err, nil)
		want(t, "end", end, BatchEnd{Sum: Sum{Items: 70}, Ended: 3})
		want(t, "begun", len(told), 50)
		want(t, "own", told[49].Own, Sum{Items: 49})
		want(t, "before", told[49].Before.Items > 49, true)
		want(t, "is one of several runs", len(n.runs) > 3, true)
		want(t, "shards of the last run", n.runs[len(n.runs)-1].Open[0].Number, 2)
	}
}

// TestNamesOfActivities: each begin of a shard is another activity of the workflow.
func TestNamesOfActivities(t *testing.T) {
	n := &night{does: func(in Shard, try int) (ShardEnd, error) { return ShardEnd{Left: in.Number == 1 && try < 3}, nil }}
	_, err := n.run(t, Batch{Shards: 2, Window: 1})
	want(t, "error", err, nil)
	want(t, "ids", n.ids, []string{"shard-1", "shard-1-2", "shard-1-3", "shard-2"})
}

// TestAShardThatIsLeft when a batch stops is not begun again, and counts.
func TestAShardThatIsLeft(t *testing.T) {
	n := &night{
		does: func(in Shard, _ int) (ShardEnd, error) {
			return ShardEnd{Sum: Sum{Items: in.Number}, Left: in.Number == 2}, nil
		},
		sends: []sending{{at: 10 * time.Second, signal: DrainSignal}},
	}
	end, err := n.run(t, Batch{Shards: 2, Window: 2})
	want(t, "error", err, nil)
	want(t, "end", end, BatchEnd{Sum: Sum{Items: 3}, Ended: 1, Stopped: Stop{Why: StoppedInterrupted}})
}

// TestAShardThatIsShort: nothing is begun until those under way have told what they
// took, and then all that are left are.
func TestAShardThatIsShort(t *testing.T) {
	begun := map[string]time.Duration{}
	n := &night{lasts: func(shard int) time.Duration { return time.Duration(shard) * time.Minute }}
	var told Shard
	var mu sync.Mutex
	n.does = func(in Shard, try int) (ShardEnd, error) {
		mu.Lock()
		defer mu.Unlock()
		begun[fmt.Sprint(in.Number, " ", try)] = n.now()
		if in.Number == 1 && try == 2 {
			told = in
		}
		return ShardEnd{Sum: Sum{NanoUSD: int64(in.Number)}, Left: in.Number == 1 && try == 1, Short: in.Number == 1 && try == 1}, nil
	}
	end, err := n.run(t, Batch{Shards: 4, Window: 3})
	want(t, "error", err, nil)
	want(t, "end", end, BatchEnd{Sum: Sum{NanoUSD: 10}, Ended: 4})
	const m = time.Minute
	want(t, "begun", begun, map[string]time.Duration{"1 1": 0, "2 1": 0, "3 1": 0, "1 2": 3 * m, "4 1": 3 * m})
	want(t, "told", told, Shard{Number: 1, Window: 2, Before: Sum{NanoUSD: 6}, Own: Sum{NanoUSD: 1}})
}

// TestWhatOthersWereTold: a shard is told how many are under way, and what was known
// when these were begun.
func TestWhatOthersWereTold(t *testing.T) {
	n := &night{lasts: func(shard int) time.Duration { return time.Duration(10-shard) * time.Minute }}
	n.does = func(in Shard, _ int) (ShardEnd, error) { return ShardEnd{Sum: Sum{NanoUSD: int64(in.Number)}}, nil }
	_, err := n.run(t, Batch{Shards: 5, Window: 3})
	want(t, "error", err, nil)
	slices.SortFunc(n.begun, func(a, b Shard) int { return a.Number - b.Number })
	want(t, "begun", n.begun, []Shard{
		{Number: 1, Window: 3},
		{Number: 2, Window: 3, Others: 1},
		{Number: 3, Window: 3, Others: 2},
		{Number: 4, Window: 3, Others: 2, Before: Sum{NanoUSD: 3}},
		{Number: 5, Window: 3, Others: 2, Before: Sum{NanoUSD: 5}, Known: Sum{NanoUSD: 3}},
	})
}

// TestAShardWhoseRunsFailAlike: it stops the batch when no other shard has done better,
// and is begun again, once, when one has.
func TestAShardWhoseRunsFailAlike(t *testing.T) {
	good, none := Sum{Items: 2, Succeeded: 1}, Sum{Items: 2}
	denied := Stop{Why: "denied", Cause: "401"}
	for _, c := range []struct {
		name    string
		other   ShardEnd // shard 1 ends with it after an hour
		alike   int      // times that shard 2 stops so after a minute
		end     BatchEnd
		begun   int // shards
		retried int // times that shard 2 is begun
	}{
		{"others fail", ShardEnd{Sum: none}, 9, BatchEnd{Sum: Sum{Items: 2}, Ended: 2, Stopped: denied}, 2, 1},
		{"others succeed", ShardEnd{Sum: good}, 1, BatchEnd{Sum: Sum{Items: 6, Succeeded: 3}, Ended: 4}, 4, 2},
		{"others succeeded in part", ShardEnd{Sum: good, Left: true}, 1, BatchEnd{Sum: Sum{Items: 6, Succeeded: 3}, Ended: 4}, 4, 2},
		{"it is so again", ShardEnd{Sum: good}, 9, BatchEnd{Sum: Sum{Items: 4, Succeeded: 2}, Ended: 3, Stopped: denied}, 3, 2},
		{"all fail alike", ShardEnd{Stop: denied, Alike: true}, 9, BatchEnd{Ended: 2, Stopped: denied}, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{
				lasts: func(shard int) time.Duration { return time.Duration(1+shard%2*59) * time.Minute },
				does: func(in Shard, try int) (ShardEnd, error) {
					switch {
					case in.Number == 2 && try <= c.alike:
						return ShardEnd{Stop: denied, Alike: true}, nil
					case in.Number == 1 && try == 1:
						return c.other, nil
					case in.Number == 2: // after all
						return ShardEnd{}, nil
					}
					return ShardEnd{Sum: good}, nil
				},
			}
			end, err := n.run(t, Batch{Shards: 4, Window: 2})
			want(t, "error", err, nil)
			want(t, "end", end, c.end)
			want(t, "shards", len(n.tries), c.begun)
			want(t, "begun", len(n.tries[2]), c.retried)
		})
	}
}

// TestDeadline: past it nothing is begun, whatever is signalled. A batch of which
// nothing is left then did not stop.
func TestDeadline(t *testing.T) {
	const minute = time.Minute
	for _, c := range []struct {
		name     string
		deadline time.Duration
		sends    []sending
		perRun   int
		ended    int
		stopped  string
		lasts    time.Duration
	}{
		{"far", time.Hour, nil, 0, 6, "", 3 * minute},
		{"near", 90 * time.Second, nil, 0, 4, StoppedDeadline, 2 * minute},
		{"past", -time.Second, nil, 0, 0, StoppedDeadline, 0},
		{"while the last are under way", 150 * time.Second, nil, 0, 6, "", 3 * minute},
		{"while it is paused", time.Hour, []sending{{at: 10 * time.Second, signal: PauseSignal}}, 0, 2, StoppedDeadline, time.Hour},
		{"in a later run", 150 * time.Second, nil, 2, 6, "", 3 * minute},
		{"paused in a later run", time.Hour, []sending{{at: 90 * time.Second, signal: PauseSignal}}, 2, 4, StoppedDeadline, time.Hour},
		{"of a drained batch", 90 * time.Second, []sending{{at: 10 * time.Second, signal: DrainSignal}}, 0, 2, StoppedInterrupted, minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &night{sends: c.sends}
			end, err := n.run(t, Batch{Shards: 6, Window: 2, RunShards: c.perRun, Deadline: dusk.Add(c.deadline)})
			want(t, "error", err, nil)
			want(t, "ended", end.Ended, c.ended)
			want(t, "stopped", end.Stopped.Why, c.stopped)
			want(t, "lasted", n.finished, c.lasts)
		})
	}
}

// TestDeadlineOfACancelledBatch: it is cancelled all the same.
func TestDeadlineOfACancelledBatch(t *testing.T) {
	n := &night{sends: []sending{{at: 10 * time.Second, signal: CancelSignal}}}
	_, err := n.run(t, Batch{Shards: 6, Window: 2, Deadline: dusk.Add(time.Hour)})
	want(t, "cancelled", temporal.IsCanceledError(err), true)
	want(t, "lasted", n.finished, 10*time.Second)
}
