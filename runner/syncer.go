package runner

import (
	"sync"
	"time"
)

// A disk that syncs can do little else. So there is a rest after each sync, of ten
// times as long as it took.
const (
	syncRest = 10
	maxRest  = time.Second
)

// syncer forces a file onto the disk, in a goroutine of its own, over and over as
// long as it is written to: many results share one sync, and none waits for it.
// A nil syncer does nothing.
type syncer struct {
	dirty chan struct{}
	ends  chan struct{} // closed: no more rest
	done  chan struct{}

	mu  sync.Mutex
	err error // the first
}

func newSyncer(force func() error) *syncer {
	s := &syncer{dirty: make(chan struct{}, 1), ends: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for range s.dirty {
			began := time.Now()
			if err := force(); err != nil {
				s.mu.Lock()
				s.err = err
				s.mu.Unlock()
				return // what was not synced once may be lost, whatever the next sync says
			}
			s.rest(min(syncRest*time.Since(began), maxRest))
		}
	}()
	return s
}

func (s *syncer) rest(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ends:
	}
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
	close(s.ends)
	close(s.dirty)
	<-s.done
	return s.failure()
}
