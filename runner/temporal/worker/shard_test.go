package worker

import (
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/spec"
)

// recorded keeps results.
type recorded struct {
	results map[string]*runner.Result
	told    int // of Commit
}

func (r *recorded) Record(one *runner.Result) { r.results[one.ID] = one }

func (r *recorded) Commit() (n int, err error) {
	n, r.told = len(r.results)-r.told, len(r.results)
	return n, nil
}

// TestShard: what a shard writes are the lines that runner.Run would write here.
func TestShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		scripts := []string{"ok", "1s", "fail", "pay=5 1s", "ok", "2s fail", "pay=7", "ok"}
		w.hand(scripts...)
		worker := w.worker()
		end, err := w.shard(worker, 1)
		fine(t, err)
		want(t, "end", end, flow.ShardEnd{Sum: flow.Sum{Items: 8, Succeeded: 6, NanoUSD: 12e6, InputTokens: 12}})
		got, whole := w.lines()
		want(t, "ended", whole, true)

		local := &recorded{results: map[string]*runner.Result{}}
		_, err = runner.Run(t.Context(), &runner.Plan{
			Batch: w.file.Batches[0], PipelineID: "p", Generation: "g", Total: len(scripts), Rows: -1, Concurrency: 4,
			Items: func(yield func(spec.Item) bool) error {
				for _, it := range itemsOf(scripts) {
					yield(it)
				}
				return nil
			},
			Timeout: w.file.Run.Timeout, Retry: w.file.Run.Retry,
		}, w.backend, local)
		fine(t, err)
		want(t, "lines", plainLines(got), plainLines(local.results))
		want(t, "runs at once", w.backend.most, 4)
		worker.close()
		w.backend.idle(t)
	})
}

// TestShardAfterCrash: where a worker dies, the next try runs what has no line. What is
// run twice are at most the runs that were in flight.
func TestShardAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand(times(20, "1s")...)
		first := w.worker()
		crashed := t.TempDir()
		time.AfterFunc(2500*time.Millisecond, func() { fine(t, os.CopyFS(crashed, os.DirFS(w.dir))) }) // what the disk has then
		_, err := w.shard(first, 1)
		fine(t, err)
		first.close()

		before := maps.Clone(w.backend.starts)
		w.dir = crashed
		second := w.worker()
		end, err := w.shard(second, 2)
		fine(t, err)
		second.close()
		want(t, "sum", end, flow.ShardEnd{Sum: flow.Sum{Items: 20, Succeeded: 20}})
		again := 0
		for trace, n := range w.backend.starts {
			again += n - before[trace]
		}
		want(t, "runs of the second try: 8 had ended", again, 12)
		lines, whole := w.lines()
		want(t, "lines", len(lines), 20)
		want(t, "ended", whole, true)

		third := w.worker()
		again = w.backend.started
		end, err = w.shard(third, 3) // the server was not told of the end
		fine(t, err)
		want(t, "sum", end, flow.ShardEnd{Sum: flow.Sum{Items: 20, Succeeded: 20}})
		want(t, "runs of the third try", w.backend.started-again, 0)
		third.close()
		w.backend.idle(t)
	})
}

// TestShardTwiceAtOnce: a worker that was given up goes on beside another one. Each item
// has one line.
func TestShardTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand(times(20, "1s pay=1")...)
		var both sync.WaitGroup
		for attempt := 1; attempt <= 2; attempt++ {
			worker := w.worker()
			both.Go(func() {
				time.Sleep(time.Duration(attempt-1) * 2500 * time.Millisecond)
				end, err := w.shard(worker, attempt)
				if err != nil || end.Sum.Items != 20 {
					t.Errorf("try %d: %+v, %v", attempt, end, err)
				}
				worker.close()
			})
		}
		both.Wait()
		lines, whole := w.lines()
		want(t, "lines", len(lines), 20)
		want(t, "ended", whole, true)
		w.backend.idle(t)
	})
}

// TestStanding: items go on where earlier passes left them. One whose id holds a secret
// is known again.
func TestStanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.env["KEY"] = "sesame-open"
		w.load(strings.Replace(batchFile, "version: 1", "version: 1\nsecrets: [KEY]", 1))
		w.standing = runner.Standing{Attempts: 2, Usage: &runner.Usage{InputTokens: 7}, Duplicate: true}
		w.ids = []string{"of sesame-open", "b"}
		w.hand("1s pay=5", "hang")
		first := w.worker()
		time.AfterFunc(1500*time.Millisecond, first.end)
		end, err := w.shard(first, 1)
		fine(t, err)
		want(t, "is left", end.Left, true)
		lines, _ := w.lines()
		want(t, "lines", len(lines), 1)
		for id, r := range lines {
			want(t, "id is hidden", strings.HasPrefix(id, "of [hidden]-"), true)
			want(t, "attempts", r.Attempts, 3)
			want(t, "tokens", r.Usage.InputTokens, int64(12))
			want(t, "duplicate", r.PossibleDuplicate, true)
		}
		second := w.worker()
		time.AfterFunc(1500*time.Millisecond, second.end)
		_, _ = w.shard(second, 2)
		want(t, "runs", w.backend.started, 3)
	})
}

// TestSuspended: a run of a shard goes on when it may.
func TestSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("1s park=20s 1s", "1s")
		began := time.Now()
		worker := w.worker()
		end, err := w.shard(worker, 1)
		fine(t, err)
		want(t, "sum", end.Sum, flow.Sum{Items: 2, Succeeded: 2})
		want(t, "seconds", time.Since(began) >= 22*time.Second, true)
		want(t, "runs", w.backend.started, 2)
		worker.close()
		w.backend.idle(t)
	})
}

// TestWorkerThatGoes begins nothing.
func TestWorkerThatGoes(t *testing.T) {
	for name, goes := range map[string]func(*work){"drains": func(w *work) { close(w.draining) }, "ends": func(w *work) { w.end() }} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.hand("ok")
			worker := w.worker()
			goes(worker)
			_, err := w.shard(worker, 1)
			kind, _ := kindOf(err)
			want(t, "error of a shard", kind, givenBackError)
			_, err = tries(t, 1, worker.run, w.begin("a", does("ok")))
			kind, _ = kindOf(err)
			want(t, "error of a run", kind, givenBackError)
			want(t, "engines", w.backend.opened, 0)
		})
	}
}
