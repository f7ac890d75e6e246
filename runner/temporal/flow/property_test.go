package flow

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"pgregory.net/rapid"
)

// TestWhateverHappensToABatch: in whatever order shards end, fail and stop it, and
// whatever is signalled in between, no shard is begun twice, no more are under way
// than may be, nothing is begun after a drain, a cancellation or a stop, and what it
// comes to is the sum of what ended.
func TestWhateverHappensToABatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := rapid.IntRange(0, 30).Draw(t, "shards")
		in := Batch{
			Shards: shards, Window: rapid.IntRange(1, 6).Draw(t, "window"),
			RunShards: rapid.SampledFrom([]int{0, 1, 3, 7}).Draw(t, "shards of a run"),
			Paused:    rapid.IntRange(0, 9).Draw(t, "paused") == 0,
		}
		minutes := rapid.SliceOfN(rapid.IntRange(1, 20), shards, shards).Draw(t, "lasts")
		fates := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "", "", "", "again", "stop", "fail"}), shards, shards).Draw(t, "fates")
		n := &night{
			lasts: func(shard int) time.Duration { return time.Duration(minutes[shard-1]) * time.Minute },
			does: func(in Shard, try int) (ShardEnd, error) {
				end := ShardEnd{Sum: Sum{Items: 1, NanoUSD: int64(in.Number)}}
				switch fate := fates[in.Number-1]; {
				case fate == "fail":
					return ShardEnd{}, temporal.NewNonRetryableApplicationError("no", RefusedError, nil)
				case fate == "again" && try < 3:
					return ShardEnd{}, errors.New("no")
				case fate == "stop":
					end.Stop.Why = "budget"
				}
				return end, nil
			},
		}
		// Never at a whole minute, when shards end.
		instants := rapid.SliceOfN(rapid.IntRange(0, 60), 0, 8).Draw(t, "instants")
		slices.Sort(instants)
		signals := rapid.SampledFrom([]string{PauseSignal, PauseSignal, ResumeSignal, ResumeSignal, DrainSignal, CancelSignal, ""})
		never := time.Duration(1<<62 - 1)
		last := never // when it was ended
		for i, at := range instants {
			s := sending{at: time.Duration(at)*time.Minute + 30*time.Second + time.Duration(i)*time.Millisecond, signal: signals.Draw(t, "signal")}
			if s.signal != PauseSignal && s.signal != ResumeSignal {
				last = min(last, s.at)
			}
			n.sends = append(n.sends, s)
		}
		n.sends = append(n.sends, sending{at: 24 * time.Hour, signal: ResumeSignal}) // or it would wait for ever

		end, err := n.run(t, in)

		cancelled := temporal.IsCanceledError(err)
		if err != nil && !cancelled {
			t.Fatal(err)
		}
		begun := n.shards()
		want(t, "shards begun", begun, append([]int(nil), count(len(begun))...))
		if n.most > in.Window {
			t.Errorf("%d shards at once in a window of %d", n.most, in.Window)
		}
		for shard, tries := range n.tries {
			switch at := tries[len(tries)-1]; fates[shard-1] {
			case "fail":
				last = min(last, at)
			case "stop":
				last = min(last, at+n.lasts(shard))
			}
		}
		for shard, tries := range n.tries {
			if tries[0] > last {
				t.Errorf("shard %d was begun at %v, and the batch ended at %v", shard, tries[0], last)
			}
		}
		if cancelled {
			return
		}
		want(t, "sum", end.Sum, n.ended)
		want(t, "ended", end.Ended, end.Sum.Items)
		if end.Stopped.Why == "" {
			want(t, "of a batch that did not stop", end.Ended, shards)
		}
		for _, shard := range begun {
			if fate := fates[shard-1]; (fate == "fail" || fate == "stop") && end.Stopped.Why == "" {
				t.Errorf("shard %d: %s, and the batch did not stop", shard, fate)
			}
		}
	})
}
