package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"nightshift/runner/temporal/flow"
)

// TestRefused: what this worker cannot do is said, with the worker and what to do.
func TestRefused(t *testing.T) {
	secret := strings.Replace(batchFile, "version: 1", "version: 1\nsecrets: [KEY]", 1)
	secret = strings.Replace(secret, "${SUFFIX:-}", "${KEY}", 1)
	for name, c := range map[string]struct {
		text     string
		edit     func(w *world)
		later    bool // once the client has handed over
		kind     string
		messages []string
	}{
		"secret": {text: secret, later: true, edit: func(w *world) { delete(w.env, "KEY") }, kind: flow.RefusedError, messages: []string{"worker 7@here", "KEY", "set it in its environment"}},
		"digest": {edit: func(w *world) { w.pass.Pipeline = "other" }, kind: flow.RefusedError, messages: []string{"worker 7@here", "otherwise than the client", "same version"}},
		"batch":  {edit: func(w *world) { w.pass.Batch = "facets" }, kind: flow.RefusedError, messages: []string{"has no batch facets"}},
		"engine": {text: secret, edit: func(w *world) { w.backend.openErr = errors.New("the key sesame-open is none") }, kind: flow.RefusedError, messages: []string{"worker 7@here: cannot run", "the key [hidden] is none"}},
		"no time": {text: secret, edit: func(w *world) {
			w.backend.openErr = fmt.Errorf("asking with sesame-open: %w", context.DeadlineExceeded)
		}, kind: storeError, messages: []string{"worker 7@here: cannot run", "asking with [hidden]: context deadline"}},
		"panic": {text: secret, edit: func(w *world) { w.backend.onOpen = func() { panic("no sesame-open") } }, kind: panicError, messages: []string{"panic: no [hidden]"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				w.env["KEY"] = "sesame-open"
				if c.text != "" {
					w.load(c.text)
				}
				if !c.later {
					c.edit(w)
				}
				w.hand("ok")
				if c.later {
					c.edit(w)
				}
				worker := w.worker()
				_, err := w.shard(worker, 1)
				kind, again := kindOf(err)
				want(t, "error", kind, c.kind)
				want(t, "is tried again", again, true)
				for _, message := range c.messages {
					if !strings.Contains(err.Error(), message) {
						t.Errorf("%q is not in %q", message, err)
					}
				}
				want(t, "runs", w.backend.started, 0)
				worker.close()
				w.backend.idle(t)
			})
		})
	}
}

// TestStoreGone: a store that cannot be reached may be there later; one that lacks what
// it should have is not waited for for ever.
func TestStoreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("ok")
		worker := w.worker()
		for _, c := range []struct {
			dir   string
			idle  int // tries before
			kind  string
			again bool
		}{
			{filepath.Join(w.dir, passKey, "pass.json", "x"), 0, storeError, true}, // below a file
			{t.TempDir(), 0, storeError, true},
			{t.TempDir(), lacksFrom - 1, flow.RefusedError, false},
		} {
			w.told.Idle = c.idle
			_, err := tries(t, c.idle+1, worker.shard, flow.Shard{Store: c.dir, Pass: passKey, Number: 1, Window: 4})
			kind, again := kindOf(err)
			want(t, "error of "+c.dir, kind, c.kind)
			want(t, "is tried again", again, c.again)
		}
		worker.close()
		worker, w.told = w.worker(), flow.ShardProgress{}
		fine(t, os.Rename(filepath.Join(w.dir, passKey, "items"), filepath.Join(w.dir, "aside")))
		_, err := w.shard(worker, 1)
		kind, again := kindOf(err)
		want(t, "error without items", kind, storeError)
		want(t, "is tried again", again, true)
		fine(t, os.Rename(filepath.Join(w.dir, "aside"), filepath.Join(w.dir, passKey, "items")))
		end, err := w.shard(worker, 2)
		fine(t, err)
		want(t, "items", end.Sum.Items, 1)
		worker.close()
		w.backend.idle(t)
	})
}

// TestOwnStore: what a worker is started with comes before what is begun says.
func TestOwnStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand("ok")
		worker := w.worker()
		worker.Store = w.dir
		end, err := tries(t, 1, worker.shard, flow.Shard{Store: "/nowhere", Pass: passKey, Number: 1, Window: 4})
		fine(t, err)
		want(t, "items", end.Sum.Items, 1)
		worker.close()
	})
}

// TestPanic: a panic ends the try, and not the worker; what had ended is kept.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.env["KEY"] = "sesame-open"
		w.load(strings.Replace(batchFile, "version: 1", "version: 1\nsecrets: [KEY]", 1))
		w.hand(slices.Concat(times(4, "1s"), []string{"panic"}, times(8, "1s"))...)
		worker := w.worker()
		_, err := w.shard(worker, 1)
		kind, again := kindOf(err)
		want(t, "error", kind, panicError)
		want(t, "is tried again", again, true)
		if !strings.Contains(err.Error(), "worker 7@here: panic: out of range with [hidden]") {
			t.Error(err)
		}
		lines, whole := w.lines()
		want(t, "lines", len(lines), 4)
		want(t, "ended", whole, false)
		w.backend.mu.Lock()
		for _, r := range w.backend.runs {
			r.cancel() // of that which panicked, nobody knows
		}
		w.backend.mu.Unlock()
		synctest.Wait()
		worker.close()
		w.backend.idle(t)
	})
}
