package temporal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/temporal/store"
)

// TestLack: after the end of a pass, the results that it has come to are waited for,
// which is said once; then they are an error, and what comes later is given by the next
// try, each once.
func TestLack(t *testing.T) {
	const never = time.Hour
	for name, c := range map[string]struct {
		known int           // of 6 results
		after time.Duration // those of the third shard are there
		done  time.Duration // nobody waits any longer; 0: never
		said  int
		fails bool
		took  time.Duration // at most
	}{
		"all are there":      {4, never, 0, 0, false, 0},
		"listed late":        {6, 6 * time.Second, 0, 1, false, 7 * time.Second},
		"listed very late":   {6, 40 * time.Second, 0, 1, false, 55 * time.Second},
		"lacking":            {6, never, 0, 1, true, time.Minute},
		"nobody waits":       {5, never, 2 * time.Second, 1, true, 2 * time.Second},
		"not by themselves":  {0, never, 0, 0, false, 0},
		"more than are told": {1, 0, 0, 0, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s, err := store.Open(t.Context(), dir)
				fine(t, err)
				defer s.Close()
				shards(t, s, 2, 2)
				write := func() { shard(t, s, 3, 2) }
				switch c.after {
				case 0:
					write()
				case never:
				default:
					time.AfterFunc(c.after, write)
				}
				var said heard
				var got []string
				f := followerOf(s, 3, 2, func(r *runner.Result) error { got = append(got, r.ID); return nil })
				f.b.Say = said.say
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.done > 0 {
					time.AfterFunc(c.done, cancel)
				}
				began := time.Now()
				err = f.joinAll(ctx, c.known)
				if took := time.Since(began); took > c.took {
					t.Errorf("it took %v", took)
				}
				want(t, "said", said.count("are waited for"), c.said)
				if c.fails {
					says(t, "error", err, "pass batch-g:b:n is not given up", fmt.Sprintf("come to more results (%d) than", c.known), "(4)", "run again")
					write()
					err = f.joinAll(t.Context(), c.known)
				}
				fine(t, err)
				results := []string{"1-0", "1-1", "2-0", "2-1", "3-0", "3-1"}
				if !c.fails && c.took == 0 && c.after > 0 {
					results = results[:4]
				}
				want(t, "results", got, results)
			})
		})
	}
}

// TestLackOfParts: of shards that did not end by themselves what there is is given, but
// not where results of others lack: these may have to be joined first.
func TestLackOfParts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), dir)
		fine(t, err)
		defer s.Close()
		sink, err := s.ShardSink(t.Context(), "passes/g/b/n", 1, 1)
		fine(t, err)
		sink.Record(&runner.Result{ID: "part", Status: runner.Succeeded})
		fine(t, sink.Flush(t.Context()))
		var got []string
		f := followerOf(s, 2, 1, func(r *runner.Result) error { got = append(got, r.ID); return nil })
		says(t, "one is known", f.joinAll(t.Context(), 1), "come to more results (1) than", "(0)")
		want(t, "results", len(got), 0)
		shard(t, s, 2, 1)
		fine(t, f.joinAll(t.Context(), 1))
		want(t, "results", got, []string{"2-0", "part"})
	})
}

// TestUnread: a store that fails is asked for a minute, and what it did not give is kept.
func TestUnread(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), dir)
		fine(t, err)
		defer s.Close()
		shards(t, s, 2, 1)
		broken := filepath.Join(dir, "passes/g/b/n/results/000001/x.whole.jsonl")
		fine(t, os.WriteFile(broken, []byte("no line\n"), 0o600))
		var said heard
		f := followerOf(s, 2, 1, func(*runner.Result) error { return nil })
		f.b.Say = said.say
		began := time.Now()
		says(t, "error", f.joinAll(t.Context(), 2), "the results of shard 1 ", "of pass batch-g:b:n cannot be read", "they are kept, and run again joins them")
		if took := time.Since(began); took < 30*time.Second || took > time.Minute {
			t.Errorf("it took %v", took)
		}
		want(t, "said", said.count("are waited for"), 1)
		want(t, "results of the other one", f.given, 1)
		fine(t, os.Remove(broken))
		fine(t, f.joinAll(t.Context(), 2))
		want(t, "results", f.given, 2)
	})
}

// TestJoinFails: who takes results says that he cannot, and is asked no more.
func TestJoinFails(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir())
	fine(t, err)
	defer s.Close()
	shards(t, s, 3, 1)
	full, asked := errors.New("disk full"), 0
	f := followerOf(s, 3, 1, func(*runner.Result) error { asked++; return full })
	want(t, "error", f.joinAll(t.Context(), 3), full, equateErrors)
	want(t, "asked", asked, 1)
}

// TestFitting: shards are read together as far as their results fit, one in any case.
func TestFitting(t *testing.T) {
	for _, c := range []struct {
		sizes []int64
		want  []int
	}{
		{[]int64{0}, []int{1}},
		{[]int64{1, 1, 1}, []int{3}},
		{[]int64{readBytes + 1, 1, 1}, []int{1, 2}},
		{[]int64{1, readBytes, 1}, []int{1, 1, 1}},
		{[]int64{1, readBytes - 1, 1}, []int{2, 1}},
		{slices.Repeat([]int64{60e6}, 3), []int{1, 1, 1}},
		{slices.Repeat([]int64{6 << 20}, 5), []int{2, 2, 1}},
	} {
		var some []*reading
		for _, size := range c.sizes {
			some = append(some, &reading{found: &store.ShardResults{Size: size}})
		}
		var got []int
		for len(some) > 0 {
			n := fitting(some)
			got, some = append(got, n), some[n:]
		}
		want(t, "groups", got, c.want)
	}
}
