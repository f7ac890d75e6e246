package llm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCacheStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCache(t)
		empty, err := c.Stats()
		if err != nil {
			t.Fatal(err)
		}
		empty.Bytes = 0
		if diff := cmp.Diff(CacheStats{Models: []ModelStats{}}, empty); diff != "" {
			t.Errorf("of an empty cache (-want +got):\n%s", diff)
		}
		first := time.Now()
		for i, r := range []Request{{Provider: "openai", Model: "b"}, {Provider: "openai", Model: "a"}, {Provider: "anthropic", Model: "b"}, {Provider: "openai", Model: "a"}} {
			if err := c.Put(context.Background(), cacheKey(i), r, answerOf(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		for range 3 {
			wantKept(t, c, 1)
		}
		wantKept(t, c, 3)
		wantKept(t, c, 2)
		wanted := CacheStats{Answers: 4, Oldest: first, Newest: first.Add(3 * time.Minute), Models: []ModelStats{
			{Provider: "anthropic", Model: "b", Answers: 1, InputTokens: 2, OutputTokens: 7, Used: 1},
			{Provider: "openai", Model: "a", Answers: 2, InputTokens: 4, OutputTokens: 14, Used: 4},
			{Provider: "openai", Model: "b", Answers: 1, InputTokens: 0, OutputTokens: 7},
		}}
		check := func() {
			t.Helper()
			s, err := c.Stats()
			if err != nil {
				t.Fatal(err)
			}
			wanted.Bytes = s.Bytes
			if diff := cmp.Diff(wanted, s); diff != "" || s.Bytes < 4096 {
				t.Errorf("%d bytes (-want +got):\n%s", s.Bytes, diff)
			}
		}
		check()
		wantKept(t, c, 3)
		wanted.Models[1].Used++
		c.Close() // keeps what was used
		c = openTestCache(t, c.path, 0)
		check()
	})
}

func TestCacheClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCache(t)
		large := strings.Repeat("a long answer. ", 100)
		const n = removeStep + 100
		put := func(from int) {
			var wg sync.WaitGroup
			for g := range 64 {
				wg.Go(func() {
					for i := g; i < n; i += 64 {
						if err := c.Put(context.Background(), cacheKey(from+i), asked, Answer{Text: large}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
		}
		clear := func(olderThan time.Duration, wanted int) int64 {
			t.Helper()
			removed, err := c.Clear(olderThan)
			if err != nil || removed != wanted {
				t.Errorf("removed %d, wanted %d; %v", removed, wanted, err)
			}
			s, err := c.Stats()
			if err != nil {
				t.Fatal(err)
			}
			return s.Bytes
		}
		clear(0, 0)
		put(0)
		time.Sleep(48 * time.Hour)
		put(n)
		if _, ok := c.Get(cacheKey(n), time.Time{}); !ok {
			t.Error("it is not there")
		}
		all := clear(72*time.Hour, 0)
		half := clear(24*time.Hour, n)
		if _, ok := c.Get(cacheKey(0), time.Time{}); ok {
			t.Error("an old answer is still there")
		}
		if _, ok := c.Get(cacheKey(n), time.Time{}); !ok {
			t.Error("a new answer has gone")
		}
		if half > all*6/10 {
			t.Errorf("of %d bytes %d are left after half of the answers were removed", all, half)
		}
		if none := clear(0, n); none > 100_000 {
			t.Errorf("%d bytes are left after all answers were removed", none)
		}
		if info, err := os.Stat(c.path); err != nil || info.Size() > 100_000 {
			t.Errorf("the file has still %d bytes, %v", info.Size(), err)
		}
		put(0)
		if s, err := c.Stats(); err != nil || s.Answers != n || s.Models[0].Used != 0 {
			t.Errorf("after a clear: %+v, %v", s, err)
		}
	})
}

// Clear is given to a cache that others are using.
func TestCacheClearWhileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.db")
	c, other := openTestCache(t, path, 0), openTestCache(t, path, 0)
	fillCache(t, c, 2000)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					mustPut(t, c, i)
					c.Get(cacheKey(i/2), time.Time{})
				}
			}
		})
	}
	for range 5 {
		if _, err := other.Clear(0); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
	mustPut(t, c, 1)
	wantKept(t, other, 1)
}
