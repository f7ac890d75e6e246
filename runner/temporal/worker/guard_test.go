package worker

import (
	"testing"

	"nightshift/runner"
)

// TestUnable: a backend that lacks what runs on a worker need is refused before any begin.
func TestUnable(t *testing.T) {
	able := newFake()
	for name, c := range map[string]struct {
		backend runner.Backend
		refused bool
	}{
		"able": {able, false},
		"does not wait": {struct {
			runner.Backend
			runner.Resumer
			runner.Streamer
		}{able, able, able}, true},
		"does not resume": {struct {
			runner.Backend
			runner.Waiter
			runner.Streamer
		}{able, able, able}, true},
		"does not stream": {struct {
			runner.Backend
			runner.Waiter
			runner.Resumer
		}{able, able, able}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &heart{work: newWorld(t, "").worker()}
			_, err := h.guarded(&openFile{Opened: Opened{Backend: c.backend}})
			want(t, "refused", err != nil, c.refused)
		})
	}
}
