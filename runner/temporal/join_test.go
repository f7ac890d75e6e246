package temporal

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
)

// shards writes the results of some, each of so many items.
func shards(t testing.TB, s *store.Store, shards, items int) {
	t.Helper()
	for n := 1; n <= shards; n++ {
		shard(t, s, n, items)
	}
}

// shard writes the results of one.
func shard(t testing.TB, s *store.Store, n, items int) {
	t.Helper()
	sink, err := s.ShardSink(t.Context(), "passes/g/b/n", n, 1)
	fine(t, err)
	for i := range items {
		sink.Record(&runner.Result{ID: fmt.Sprint(n, "-", i), Batch: "b", Generation: "g", Status: runner.Succeeded, Digest: "d", Attempts: 1})
	}
	_, err = sink.Finish(t.Context())
	fine(t, err)
}

func followerOf(s *store.Store, shards, items int, give func(*runner.Result) error) *follower {
	pass := &store.Pass{Shards: shards, Items: shards * items}
	b := (&Client{}).Backend(BackendOptions{Say: func(string) {}})
	return &follower{
		passAt: passAt{Pass: pass, store: s, id: "batch-g:b:n", key: "passes/g/b/n"}, joined: &joined{shards: newBits(shards)},
		give: give, b: b, troubles: b.newTroubles("batch-g:b:n"),
	}
}

// TestJoinMemory: what is held while shards are joined does not grow with them.
func TestJoinMemory(t *testing.T) {
	used := func(n int) uint64 {
		s, err := store.Open(t.Context(), t.TempDir())
		fine(t, err)
		defer s.Close()
		shards(t, s, n, 40)
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		before, most, got := now.HeapAlloc, uint64(0), 0
		f := followerOf(s, n, 40, func(*runner.Result) error {
			if got++; got%400 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
			return nil
		})
		for begun := 10; begun <= n; begun += 10 {
			unread, err := f.join(t.Context(), begun, flow.Progress{Begun: begun}.Ended, false)
			fine(t, errors.Join(unread, err))
		}
		want(t, "results", got, 40*n)
		return most - min(most, before)
	}
	few, many := used(50), used(500)
	t.Logf("%d kB with 50 shards, %d kB with 500", few>>10, many>>10)
	if many > few+256<<10 {
		t.Errorf("%d bytes with 50 shards, %d with 500", few, many)
	}
}

// TestJoinMemoryOfLarge: nor does it with their size.
func TestJoinMemoryOfLarge(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir())
	fine(t, err)
	defer s.Close()
	const n, large = 8, 9 << 20
	for shard := 1; shard <= n; shard++ {
		sink, err := s.ShardSink(t.Context(), "passes/g/b/n", shard, 1)
		fine(t, err)
		sink.Record(&runner.Result{ID: "a", Status: runner.Succeeded, Outputs: map[string]any{"out": strings.Repeat("x", large)}})
		_, err = sink.Finish(t.Context())
		fine(t, err)
	}
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	before, most := now.HeapAlloc, uint64(0)
	f := followerOf(s, n, 1, func(*runner.Result) error {
		runtime.GC()
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
		return nil
	})
	unread, err := f.join(t.Context(), n, func(int) bool { return true }, false)
	fine(t, errors.Join(unread, err))
	want(t, "results", f.given, n)
	t.Logf("%d MB of %d", (most-before)>>20, n*large>>20)
	if most-before > 4*large { // a text, and a result of it
		t.Errorf("%d bytes are held", most-before)
	}
}

// TestJoinOnce: in whatever order shards end, and however often they are asked for, the
// results of each are given once, and those of a shard that is not whole at last.
func TestJoinOnce(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir())
	fine(t, err)
	defer s.Close()
	const most = 130
	shards(t, s, most, 1)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, most).Draw(rt, "shards")
		var got []string
		f := followerOf(s, n, 1, func(r *runner.Result) error {
			got = append(got, r.ID)
			return nil
		})
		var all []int
		for range rapid.IntRange(0, 5).Draw(rt, "looks") {
			begun := rapid.IntRange(0, n).Draw(rt, "begun")
			ended := flow.Progress{Begun: begun, Open: rapid.SliceOf(rapid.IntRange(1, n)).Draw(rt, "open")}.Ended
			if unread, err := f.join(t.Context(), begun, ended, false); unread != nil || err != nil {
				rt.Fatal(unread, err)
			}
			for shard := 1; shard <= n; shard++ {
				if ended(shard) && !slices.Contains(all, shard) {
					all = append(all, shard)
				}
			}
			if len(got) != len(all) {
				rt.Fatalf("%d results, want %d", len(got), len(all))
			}
		}
		if err := f.joinAll(t.Context(), n); err != nil {
			rt.Fatal(err)
		}
		for shard := 1; shard <= n; shard++ {
			if !slices.Contains(all, shard) {
				all = append(all, shard)
			}
		}
		for i, shard := range all {
			if i >= len(got) || got[i] != fmt.Sprint(shard, "-", 0) {
				rt.Fatalf("results %v, want those of shards %v", got, all)
			}
		}
	})
}

// TestJoinParts: what an attempt left that has not ended is given at last, not before.
func TestJoinParts(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir())
	fine(t, err)
	defer s.Close()
	sink, err := s.ShardSink(t.Context(), "passes/g/b/n", 1, 1)
	fine(t, err)
	sink.Record(&runner.Result{ID: "a", Status: runner.Succeeded})
	fine(t, sink.Flush(t.Context()))
	got := 0
	f := followerOf(s, 2, 1, func(*runner.Result) error { got++; return nil })
	unread, err := f.join(t.Context(), 2, func(int) bool { return true }, false)
	fine(t, errors.Join(unread, err))
	want(t, "results", got, 0)
	fine(t, f.joinAll(t.Context(), 0))
	want(t, "results at last", got, 1)
}

// TestEnd: what a pass ended with is told in the words of the runner.
func TestEnd(t *testing.T) {
	for _, c := range []struct {
		stop  flow.Stop
		early *endError
		end   runner.PassEnd
		says  string
	}{
		{flow.Stop{Why: "budget", Reason: "1 USD is spent"}, nil, runner.PassEnd{Left: true, Stopped: runner.AtBudget, Reason: "1 USD is spent"}, ""},
		{flow.Stop{Why: flow.StoppedInterrupted}, nil, runner.PassEnd{Left: true, Stopped: runner.Interrupted}, ""},
		{flow.Stop{Why: flow.StoppedBroken, Cause: "shard 1 of 2: x"}, nil, runner.PassEnd{Left: true, Stopped: runner.Broken}, "shard 1 of 2: x"},
		{flow.Stop{Why: string(runner.Denied), Cause: "401"}, nil, runner.PassEnd{Left: true, Stopped: runner.Denied}, "401"},
		{flow.Stop{}, &endError{state: runner.Failed, words: "its workflow has timed out"}, runner.PassEnd{Left: true, Stopped: runner.Broken}, "has timed out; run again"},
		{flow.Stop{}, &endError{state: runner.Cancelled, ours: true, late: true}, runner.PassEnd{Left: true, Stopped: runner.AtDeadline}, ""},
	} {
		f := followerOf(nil, 1, 1, nil)
		end, err := f.end(flow.BatchEnd{Stopped: c.stop}, c.early)
		fine(t, err)
		if c.says != "" {
			says(t, "cause", end.Cause, c.says)
		}
		end.Cause = nil
		want(t, "end", end, c.end)
		f.given = 1
		end, err = f.end(flow.BatchEnd{Stopped: c.stop}, c.early)
		fine(t, err)
		want(t, "with all results", end, runner.PassEnd{})
	}
	f := followerOf(nil, 2, 1, nil)
	f.given = 1
	_, err := f.end(flow.BatchEnd{Ended: 2}, nil)
	says(t, "items lack for no reason", err, "pass batch-g:b:n is not given up", "1 of its 2 items have no result", "run again", "temporal workflow delete -w batch-g:b:n")
}

// BenchmarkJoin joins shards of 200 items, and tells how many items a second that is.
func BenchmarkJoin(b *testing.B) {
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const n = 20
	shards(b, s, n, 200)
	items := 0
	for b.Loop() {
		f := followerOf(s, n, 200, func(*runner.Result) error { items++; return nil })
		if unread, err := f.join(b.Context(), n, func(int) bool { return true }, false); unread != nil || err != nil {
			b.Fatal(unread, err)
		}
	}
	b.ReportMetric(float64(items)/b.Elapsed().Seconds(), "items/s")
}
