package runner

import "sync"

// syncer forces a file onto the disk, in a goroutine of its own, over and over as
// long as it is written to: many results share one sync, and none waits for it.
// A nil syncer does nothing.
type syncer struct {
	dirty chan struct{}
	done  chan struct{}

	mu  sync.Mutex
	err error // the first
}

func newSyncer(force func() error) *syncer {
	s := &syncer{dirty: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for range s.dirty {
			if err := force(); err != nil {
				s.mu.Lock()
				s.err = err
				s.mu.Unlock()
				return // what was not synced once may be lost, whatever the next sync says
			}
		}
	}()
	return s
}

// wake tells that something was written.
func (s *syncer) wake() {
	if s == nil {
		return
	}
	select {
	case s.dirty <- struct{}{}:
	default: // the next sync has yet to begin
	}
}

// failure is the error of a sync that failed.
func (s *syncer) failure() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// stop returns when no sync is under way any more, and gives the error of one
// that failed.
func (s *syncer) stop() error {
	if s == nil {
		return nil
	}
	close(s.dirty)
	<-s.done
	return s.failure()
}
