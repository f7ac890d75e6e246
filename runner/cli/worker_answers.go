package cli

import (
	"sync"
	"time"

	"nightshift/runner/engine/llm"
)

// sharedCache are the answers of one age that several batch files use.
type sharedCache struct {
	*llm.Cache
	users int
}

// answers are those that are kept, as far as they are not older than ttl. release ends
// their use, and may be called again.
func (h *host) answers(ttl time.Duration) (cache *llm.Cache, release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	shared := h.caches[ttl]
	if shared == nil {
		opened, err := llm.OpenCache(h.cache, ttl)
		if err != nil {
			return nil, nil, err
		}
		shared = &sharedCache{Cache: opened}
		h.caches[ttl] = shared
	}
	shared.users++
	return shared.Cache, sync.OnceFunc(func() { h.leave(ttl, shared) }), nil
}

// leave closes the answers of which nobody makes use any more: batch files come with
// any age.
func (h *host) leave(ttl time.Duration, shared *sharedCache) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if shared.users--; shared.users == 0 && h.caches[ttl] == shared {
		delete(h.caches, ttl)
		h.closed(shared.Close())
	}
}

func (h *host) closed(err error) {
	if err != nil {
		h.say(err.Error())
	}
}
