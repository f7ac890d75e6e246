package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner/temporal/flow"
)

// TestShares: the shards of a pass that a worker has share one engine, which takes as
// much of the rate as they are of all.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.size = 4
		w.hand(slices.Concat(times(4, "1s"), times(4, "2s"), times(4, "3s"))...)
		worker := w.worker()
		var all sync.WaitGroup
		for number := 1; number <= 3; number++ {
			all.Go(func() {
				_, err := tries(t, 1, worker.shard, flow.Shard{Store: w.dir, Pass: passKey, Number: number, Window: 4})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		shares := slices.Compact(w.backend.shares)
		if len(shares) > 3 {
			shares = shares[len(shares)-3:] // how the first ones come in depends on who is first
		}
		want(t, "shares", shares, []string{"3/4", "2/4", "1/4"})
		want(t, "engines", w.backend.opened, 1)
		worker.close()
		w.backend.idle(t)
	})
}

// TestManyShards: 500 shards of 25 passes leave nothing behind.
func TestManyShards(t *testing.T) {
	w := newWorld(t, "")
	w.size = 5
	w.hand(times(100, "ok")...)
	keys := []string{passKey}
	for i := range 24 {
		key := fmt.Sprint(passKey, i)
		fine(t, os.CopyFS(filepath.Join(w.dir, key), os.DirFS(filepath.Join(w.dir, passKey))))
		keys = append(keys, key)
	}
	worker := w.worker()
	before := runtime.NumGoroutine()
	for _, key := range keys {
		for number := 1; number <= 20; number++ {
			end, err := tries(t, 1, worker.shard, flow.Shard{Store: w.dir, Pass: key, Number: number, Window: 4})
			fine(t, err)
			if end.Sum.Items != 5 {
				t.Fatalf("%s %d: %+v", key, number, end)
			}
			if w.backend.open > keptIdle+1 {
				t.Fatalf("%d engines are open", w.backend.open)
			}
		}
	}
	want(t, "engines", w.backend.opened, len(keys))
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > before+5 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before+5 {
		t.Errorf("%d goroutines, of %d before", after, before)
	}
	worker.close()
	w.backend.idle(t)
}
