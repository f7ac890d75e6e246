package worker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"nightshift/runner/temporal/flow"
)

// untilGood tries the first shard as the server does, with a worker for each try, until
// it ends or fails for good, and gives how many tries there were and the pauses that
// workers asked for.
func (w *world) untilGood(worker func(try int) *work) (end flow.ShardEnd, tries int, pauses []time.Duration, err error) {
	w.t.Helper()
	for tries = 1; tries < 100; tries++ {
		at := worker(tries)
		end, err = w.shard(at, tries)
		at.close()
		app, ok := errors.AsType[*temporal.ApplicationError](err)
		if !ok || app.NonRetryable() {
			return end, tries, pauses, err
		}
		pauses = append(pauses, app.NextRetryDelay())
	}
	w.t.Fatal("it never ends")
	return end, tries, pauses, err
}

func says(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in %v", text, err)
		}
	}
}

// TestRefusedForGood: another worker may do what one refuses, so there is time for it;
// who refuses is named.
func TestRefusedForGood(t *testing.T) {
	for name, c := range map[string]struct {
		good  func(try int) bool // whether a worker has what is needed
		tries int
		kind  string
	}{
		"all refuse":          {func(int) bool { return false }, mostRefused + 1, flow.RefusedError},
		"another one does it": {func(try int) bool { return try == mostRefused+1 }, mostRefused + 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				w.hand("ok")
				end, tries, pauses, err := w.untilGood(func(try int) *work {
					w.backend.openErr = nil
					if !c.good(try) {
						w.backend.openErr = errors.New("there is no KEY")
					}
					return w.worker()
				})
				want(t, "tries", tries, c.tries)
				want(t, "pauses", pauses, slices.Repeat([]time.Duration{refusedAfter}, mostRefused))
				if c.kind == "" {
					fine(t, err)
					want(t, "items", end.Sum.Items, 1)
					return
				}
				kind, _ := kindOf(err)
				want(t, "error", kind, c.kind)
				says(t, err, "worker 7@here: cannot run", "there is no KEY")
			})
		})
	}
}

// TestTriesThatComeNoFurther are counted, whatever they meet; those in which an item
// ends are not.
func TestTriesThatComeNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("panic")
		_, tries, _, err := w.untilGood(func(int) *work { return w.worker() })
		want(t, "tries", tries, mostIdle)
		kind, _ := kindOf(err)
		want(t, "error", kind, flow.RefusedError)
		says(t, err, "worker 7@here: panic: out of range", "met at last, in 20 tries in a row that came no further")
		w.ends()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.pass.Concurrency = 1
		w.hand(times(mostIdle+10, "1s")...)
		end, tries, _, err := w.untilGood(func(int) *work {
			first := w.backend.started + 1
			w.backend.onStart = func(n int) {
				if n > first {
					panic("out of range")
				}
			}
			return w.worker()
		})
		fine(t, err)
		want(t, "items", end.Sum.Items, mostIdle+10)
		want(t, "tries", tries > mostIdle, true)
	})
}

// TestTriesThatDie, as on a machine without memory, have told only that they began. The
// next one says so.
func TestTriesThatDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("hang")
		for try := 2; try < 2+mostIdle; try++ {
			dead := count{before: w.told}
			w.told = dead.progress()
		}
		worker := w.worker()
		_, err := w.shard(worker, 2+mostIdle)
		kind, again := kindOf(err)
		want(t, "error", kind, flow.RefusedError)
		want(t, "again", again, false)
		says(t, err, "20 tries in a row came no further", "no sign of life, or died")
		want(t, "runs", w.backend.started, 0)
		worker.close()
	})
}

// TestTheFirstSignOfLife is given at once by a later try, so that the next one knows of
// it whatever happens; the first one saves it.
func TestTheFirstSignOfLife(t *testing.T) {
	for try, idle := range map[int]int{1: 4, 2: 5} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "")
			w.hand("500ms")
			w.told.Idle = 4
			worker := w.worker()
			go func() { _, _ = w.shard(worker, try) }()
			time.Sleep(100 * time.Millisecond)
			w.mu.Lock()
			want(t, "idle tries", w.told.Idle, idle)
			w.mu.Unlock()
			time.Sleep(time.Second)
			worker.close()
		})
	}
}

// TestTriesThatAreGivenBack do not count: a worker that goes is nobody's fault.
func TestTriesThatAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("1500ms", "ok", "hang")
		w.told = flow.ShardProgress{Idle: 7, Refused: 1, Met: "before"}
		worker := w.worker()
		beat := worker.beat
		worker.beat = func(ctx context.Context, token []byte, p flow.ShardProgress) error {
			_ = beat(ctx, token, p)
			return activity.ErrActivityPaused
		}
		_, err := w.shard(worker, 8)
		kind, again := kindOf(err)
		want(t, "error", kind, givenBackError)
		want(t, "again", again, true)
		want(t, "told", w.told, flow.ShardProgress{Idle: 7, Refused: 1, Met: "before"})
		worker.close()
	})
}

// TestResultsThatCannotBeWritten are paid for once, and not twenty times.
func TestResultsThatCannotBeWritten(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no folder of which it is known that nobody writes there")
	}
	for name, script := range map[string]string{"paid": "1s pay=5", "trivial": "ok"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				w.hand(times(4, script)...)
				results := filepath.Join(w.dir, passKey, "results")
				fine(t, os.Mkdir(results, 0o700))
				fine(t, os.Symlink("/sys/kernel", filepath.Join(results, "000001"))) // nobody writes there
				_, tries, pauses, err := w.untilGood(func(int) *work { return w.worker() })
				want(t, "tries", tries, mostPaid)
				want(t, "pauses", pauses, slices.Repeat([]time.Duration{unwrittenAfter}, mostPaid-1))
				want(t, "runs", w.backend.started, 4)
				kind, _ := kindOf(err)
				want(t, "error", kind, flow.RefusedError)
				says(t, err, "worker 7@here: cannot write results to "+passKey+"/results/000001", "permission denied")
				want(t, "told", w.told.Unwritten, mostPaid)

				fine(t, os.RemoveAll(results))
				w.told = flow.ShardProgress{Unwritten: mostPaid - 1}
				worker := w.worker()
				end, err := w.shard(worker, 3)
				fine(t, err)
				want(t, "items", end.Sum.Items, 4)
				worker.close()
			})
		})
	}
}
