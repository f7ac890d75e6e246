package engine

import (
	"path/filepath"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
)

// A batch that is run afresh pays for its answers once, also where it was cut off
// and is gone on with by another process: what it paid for itself is read.
func TestAnswersSince(t *testing.T) {
	t.Parallel()
	m := newModel(t, always("A"))
	path := filepath.Join(t.TempDir(), "answers.db")
	process := func(what string, since time.Time, items string, paid int) {
		t.Helper()
		cache, err := llm.OpenCache(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		e := m.engine(t, Options{Cache: cache})
		id := save(t, e, aiPipeline("llm"))
		before := len(m.questions())
		for _, item := range items {
			h, err := e.Start(t.Context(), id, runner.Inputs{"in": string(item)}, runner.StartOptions{AnswersSince: since})
			if err != nil {
				t.Fatal(err)
			}
			if status := wait(t, e, h); status.State != runner.Succeeded {
				t.Fatalf("%s: %+v", what, status)
			}
		}
		same(t, what+": paid", len(m.questions())-before, paid)
	}
	process("last night", time.Time{}, "abcdef", 6)
	began := time.Now()
	process("afresh, until it crashes", began, "abc", 3)
	process("resumed", began, "abcdef", 3)
	process("resumed again", began, "abcdef", 0)
	process("the next night", time.Time{}, "abcdef", 0)
	process("afresh again", time.Now(), "ab", 2)
	process("the one before, resumed late", began, "abcdef", 0)
}
