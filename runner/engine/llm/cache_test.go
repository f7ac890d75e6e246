package llm

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var asked = Request{Provider: "openai", Model: "gpt-5.1", Prompt: "a prompt of mine", System: "a system of mine", APIKey: "sk-mine"}

func cacheKey(n int) Key { return sha256.Sum256([]byte(strconv.Itoa(n))) }

func answerOf(n int) Answer {
	return Answer{Text: fmt.Sprintf("answer %d", n), InputTokens: int64(n), CachedInputTokens: int64(n / 2), OutputTokens: 7}
}

func openTestCache(t testing.TB, path string, ttl time.Duration) *Cache {
	t.Helper()
	c, err := openCache(path, ttl, busyTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// newTestCache makes a cache in a folder of its own.
func newTestCache(t testing.TB) *Cache {
	t.Helper()
	return openTestCache(t, filepath.Join(t.TempDir(), "answers.db"), 0)
}

func mustPut(t testing.TB, c *Cache, n int) {
	t.Helper()
	if err := c.Put(context.Background(), cacheKey(n), asked, answerOf(n)); err != nil {
		t.Error(err) // not Fatal: this may be another goroutine than the test's
	}
}

// fillCache puts the answers 0 to n-1, 64 at once.
func fillCache(t testing.TB, c *Cache, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := g; i < n; i += 64 {
				mustPut(t, c, i)
			}
		})
	}
	wg.Wait()
}

// wantKept checks that the cache gives the answer that was put under n.
func wantKept(t testing.TB, c *Cache, n int) {
	t.Helper()
	wanted := answerOf(n)
	wanted.FromCache = true
	got, ok := c.Get(cacheKey(n), time.Time{})
	if diff := cmp.Diff(wanted, got); !ok || diff != "" {
		t.Errorf("answer %d: found %v (-want +got):\n%s", n, ok, diff)
	}
}

func wantMissing(t testing.TB, c *Cache, n int) {
	t.Helper()
	if got, ok := c.Get(cacheKey(n), time.Time{}); ok || got != (Answer{}) {
		t.Errorf("answer %d: found %v %v, wanted none", n, ok, got)
	}
}

func TestNilCacheKeepsNothing(t *testing.T) {
	var c *Cache
	mustPut(t, c, 1)
	wantMissing(t, c, 1)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestCacheKeepsAnswers(t *testing.T) {
	c := newTestCache(t)
	wantMissing(t, c, 1)
	mustPut(t, c, 1)
	wantKept(t, c, 1)
	if err := c.Put(context.Background(), cacheKey(1), asked, answerOf(2)); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Get(cacheKey(1), time.Time{}); got.Text != "answer 2" {
		t.Errorf("after a second put under the key: %q", got.Text)
	}
	mustPut(t, c, 1)
	cut := answerOf(3)
	cut.Cut = "length"
	if err := c.Put(context.Background(), cacheKey(3), asked, cut); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	wantMissing(t, c, 1) // it is closed
	if err := c.Put(context.Background(), cacheKey(1), asked, answerOf(1)); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a put into a closed cache: %v", err)
	}

	c = openTestCache(t, c.path, 0)
	wantKept(t, c, 1)
	wantMissing(t, c, 3)
}

func TestCacheHoldsNoPromptsNorKeys(t *testing.T) {
	c := newTestCache(t)
	mustPut(t, c, 1)
	for _, name := range []string{c.path, c.path + "-wal"} {
		for _, part := range []string{asked.Prompt, asked.System, asked.APIKey} {
			if strings.Contains(textOf(t, name), part) {
				t.Errorf("%s holds %q", filepath.Base(name), part)
			}
		}
	}
}

func textOf(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Time is that of the bubble, which moves when all sleep.
func TestCacheForgetsOldAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "answers.db")
		c := openTestCache(t, path, 24*time.Hour)
		mustPut(t, c, 1)
		time.Sleep(24 * time.Hour)
		wantKept(t, c, 1)
		mustPut(t, c, 2)
		time.Sleep(time.Millisecond)
		wantMissing(t, c, 1)
		wantKept(t, c, 2)
		c.Close()

		c = openTestCache(t, path, 0)
		wantKept(t, c, 1) // still there, and now it does not age
		c.Close()
		c = openTestCache(t, path, 24*time.Hour)
		wantMissing(t, c, 1)
		wantKept(t, c, 2)
		c.Close()
		c = openTestCache(t, path, 0)
		wantKept(t, c, 1) // another batch file with another ttl has taken nothing away
	})
}

// What is not old is told to the nanosecond: a run that is begun anew, or resumed,
// begins within the same millisecond as answers before it.
func TestCacheKeptSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCache(t)
		time.Sleep(123_456_789)
		var kept []time.Time
		for i := range 3 {
			kept = append(kept, time.Now())
			mustPut(t, c, i)
			time.Sleep(2 * time.Nanosecond)
		}
		for reopened := range 2 {
			for i, at := range kept {
				for since, wanted := range map[time.Time]bool{{}: true, at.Add(-1): true, at: true, at.Add(1): false, at.Add(time.Hour): false} {
					if _, found := c.Get(cacheKey(i), since); found != wanted {
						t.Errorf("answer %d, kept at %v, since %v: found %v; opened %d times", i, at, since, found, reopened+1)
					}
				}
			}
			c.Close()
			c = openTestCache(t, c.path, 0)
		}
		since := time.Now()
		time.Sleep(time.Nanosecond)
		mustPut(t, c, 0) // it is of now, whatever was there before
		if _, found := c.Get(cacheKey(0), since); !found {
			t.Error("an answer that took the place of an old one is taken for the old one")
		}
	})
}

// A file of the format before this one is read, and written on.
func TestCacheOfAnEarlierFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.db")
	old := openTestCache(t, path, 0)
	fillCache(t, old, 20)
	old.Close()
	sqlOn(t, path, "alter table answers drop column kept_nanos", "pragma user_version = 1").Close()
	var wg sync.WaitGroup
	for i := range 4 { // of several that open it at once, one brings it up
		wg.Go(func() {
			c, err := openCache(path, time.Hour, busyTimeout)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			wantKept(t, c, i)
			mustPut(t, c, 100+i)
			wantKept(t, c, 100+i)
		})
	}
	wg.Wait()
	c := openTestCache(t, path, 0)
	for i := range 20 {
		wantKept(t, c, i)
	}
	if _, found := c.Get(cacheKey(1), time.Now()); found {
		t.Error("an old answer is taken for a new one")
	}
	if s, err := c.Stats(); err != nil || s.Answers != 24 {
		t.Errorf("%+v, %v", s, err)
	}
}

// While one group is held up, all others wait for the next, which takes them in
// one transaction. The bubble also shows that Close leaves no goroutine behind.
func TestCacheGroupsPuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCache(t)
		mustPut(t, c, 0)
		before := walSize(t, c)
		mustPut(t, c, 1)
		alone := walSize(t, c) - before

		hold, err := c.write.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() { mustPut(t, c, 2+i) })
		}
		synctest.Wait()
		before = walSize(t, c)
		if err := hold.Rollback(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if grown := walSize(t, c) - before; grown > 8*alone {
			t.Errorf("64 puts at once wrote %d bytes, one alone %d: that is no group", grown, alone)
		}
		for i := range 66 {
			wantKept(t, c, i)
		}
	})
}

func walSize(t testing.TB, c *Cache) int64 {
	t.Helper()
	info, err := os.Stat(c.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestCacheCloseWaitsForPuts(t *testing.T) {
	c := newTestCache(t)
	kept := make([]bool, 500)
	var wg sync.WaitGroup
	for i := range kept {
		wg.Go(func() { kept[i] = c.Put(context.Background(), cacheKey(i), asked, answerOf(i)) == nil })
	}
	c.Close()
	wg.Wait()
	c = openTestCache(t, c.path, 0)
	for i, ok := range kept {
		if _, found := c.Get(cacheKey(i), time.Time{}); found != ok {
			t.Errorf("answer %d: kept %v, found %v", i, ok, found)
		}
	}
}

func TestCacheIsOfUseAfterTheDiskWasFull(t *testing.T) {
	c := newTestCache(t)
	mustPut(t, c, 1)
	limit := func(pages int) {
		if _, err := c.write.ExecContext(t.Context(), fmt.Sprintf("pragma max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // the least that is possible: what it has
	large := Answer{Text: strings.Repeat("long ", 10_000)}
	err := c.Put(context.Background(), cacheKey(2), asked, large)
	if wanted := "cannot keep an answer in " + c.path + ": no space is left on the disk"; err == nil || err.Error() != wanted {
		t.Errorf("error %v, wanted %s", err, wanted)
	}
	wantKept(t, c, 1)
	wantMissing(t, c, 2)
	limit(1 << 30)
	mustPut(t, c, 2)
	wantKept(t, c, 2)
}

// TestCacheProperty lets several goroutines put and get under few keys: what is
// found is always something that was put there, whole, and what was put is found.
func TestCacheProperty(t *testing.T) {
	c := newTestCache(t)
	text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }), rapid.Just(strings.Repeat("\x00long", 3000)))
	tokens := rapid.Int64Min(0)
	answer := rapid.Custom(func(t *rapid.T) Answer {
		return Answer{Text: text.Draw(t, "text"), InputTokens: tokens.Draw(t, "in"), CachedInputTokens: tokens.Draw(t, "cached"), OutputTokens: tokens.Draw(t, "out"), FromCache: true}
	})
	begin := 0 // keys that no earlier check has had
	rapid.Check(t, func(t *rapid.T) {
		begin += 10
		answers := rapid.SliceOfN(answer, 1, 40).Draw(t, "answers")
		keys := rapid.SliceOfN(rapid.IntRange(begin, begin+9), len(answers), len(answers)).Draw(t, "keys")
		workers := rapid.IntRange(1, 8).Draw(t, "workers")
		check := func(key int, must bool) {
			got, ok := c.Get(cacheKey(key), time.Time{})
			if !ok {
				if must {
					t.Errorf("key %d is not found", key)
				}
				return
			}
			for i, a := range answers {
				if keys[i] == key && a == got {
					return
				}
			}
			t.Errorf("under key %d is %q, which was not put there", key, got.Text)
		}
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(answers); i += workers {
					check(keys[len(keys)-1-i], false)
					if err := c.Put(context.Background(), cacheKey(keys[i]), asked, answers[i]); err != nil {
						t.Error(err)
					}
					check(keys[i], true)
				}
			})
		}
		wg.Wait()
	})
}
