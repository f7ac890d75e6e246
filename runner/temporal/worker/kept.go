package worker

import (
	"context"
	"slices"
	"sync"
)

// keptIdle is how many things are kept that nobody uses right now: the next shard of
// their pass is likely to come.
const keptIdle = 4

// kept are things that several activities use at once. Each is opened once, by who asks
// for it first, and a few stay when nobody uses them any more.
type kept[T any] struct {
	close   func(T)
	changed func(v T, users int) // is told how many use it now, one call after the other; nil: nobody is

	mu   sync.Mutex
	all  map[string]*keptOne[T]
	idle []string // keys, in the order in which they were left
}

type keptOne[T any] struct {
	users int
	ready chan struct{} // closed when the rest is known
	value T
	err   error
}

// use gives the thing of a key, which open opens if it is not there. release is to be
// called when it is used no more, unless there is an error. One that could not be opened
// is opened again for the next.
func (k *kept[T]) use(ctx context.Context, key string, open func() (T, error)) (v T, release func(), err error) {
	k.mu.Lock()
	one := k.all[key]
	first := one == nil
	if first {
		if k.all == nil {
			k.all = map[string]*keptOne[T]{}
		}
		one = &keptOne[T]{ready: make(chan struct{})}
		k.all[key] = one
	}
	k.unlist(key)
	one.users++
	k.mu.Unlock()
	if first {
		go func() { // others may wait for it longer than who asked first
			defer close(one.ready)
			one.value, one.err = open()
		}()
	}
	select {
	case <-one.ready:
	case <-ctx.Done():
		go func() {
			<-one.ready
			k.leave(key, one)
		}()
		return v, nil, ctx.Err()
	}
	if one.err != nil {
		k.leave(key, one)
		return v, nil, one.err
	}
	k.mu.Lock()
	k.tell(one)
	k.mu.Unlock()
	return one.value, sync.OnceFunc(func() { k.leave(key, one) }), nil
}

// leave says that one less uses a thing.
func (k *kept[T]) leave(key string, one *keptOne[T]) {
	k.mu.Lock()
	var old []*keptOne[T]
	if one.users--; one.err != nil {
		if k.all[key] == one {
			delete(k.all, key)
		}
	} else {
		k.tell(one)
		if one.users == 0 {
			k.idle = append(k.idle, key)
		}
		for len(k.idle) > keptIdle {
			old = append(old, k.all[k.idle[0]])
			delete(k.all, k.idle[0])
			k.idle = k.idle[1:]
		}
	}
	k.mu.Unlock()
	for _, one := range old {
		k.close(one.value)
	}
}

// tell says how many use a thing. It is locked.
func (k *kept[T]) tell(one *keptOne[T]) {
	if k.changed != nil && one.users > 0 {
		k.changed(one.value, one.users)
	}
}

// unlist takes a key from the idle ones. It is locked.
func (k *kept[T]) unlist(key string) {
	if at := slices.Index(k.idle, key); at >= 0 {
		k.idle = slices.Delete(k.idle, at, at+1)
	}
}

// clear closes all that nobody uses.
func (k *kept[T]) clear() {
	k.mu.Lock()
	var old []*keptOne[T]
	for _, key := range k.idle {
		old = append(old, k.all[key])
		delete(k.all, key)
	}
	k.idle = nil
	k.mu.Unlock()
	for _, one := range old {
		k.close(one.value)
	}
}
