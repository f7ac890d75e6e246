package temporal

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"nightshift/runner"
	"nightshift/runner/temporal/store"
)

// So many bytes of results are read from the store at once, if a single shard has not
// more of them, and of so many shards at the most: a bucket takes its time for each, and
// they are held in memory.
const (
	readBytes  = 16 << 20
	readShards = 8
)

// joined is what was given of a pass, by this Backend.
type joined struct {
	shards *bits
	given  int // results
}

// joinedOf is what was given of a pass: where it is followed again, that is gone on with.
func (b *Backend) joinedOf(p passAt) *joined {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.joins[p.id]
	if j == nil {
		j = &joined{shards: newBits(p.Shards)}
		b.joins[p.id] = j
	}
	return j
}

// reading is the results of a shard while they are read.
type reading struct {
	shard int
	found *store.ShardResults // nil where the store does not tell
	text  []byte
	err   error
}

// size is how many bytes are read.
func (r *reading) size() int64 {
	if r.found == nil {
		return 0
	}
	return r.found.Size
}

// read reads what is whole as it was found, and parts as they are by now: more of them
// may come all the time.
func (r *reading) read(ctx context.Context, s *store.Store, pass string, parts bool) {
	switch {
	case r.err != nil:
	case r.found.Whole:
		r.text, _, r.err = r.found.Read(ctx)
	case parts && r.found.Size > 0:
		r.text, r.found.Whole, r.err = s.Results(ctx, pass, r.shard)
	}
}

// join gives the results of those shards up to a number that have ended, and were not
// given yet, in the order of their numbers. What is not whole is left for later, unless
// parts are wanted. So is what the store did not give: unread is why.
func (f *follower) join(ctx context.Context, upTo int, ended func(shard int) bool, parts bool) (unread, err error) {
	for shard := f.shards.first(); shard <= upTo; {
		var some []*reading
		for ; shard <= upTo && len(some) < readShards; shard++ {
			if !f.shards.has(shard) && ended(shard) {
				some = append(some, &reading{shard: shard})
			}
		}
		together(some, func(r *reading) { r.found, r.err = f.store.ListResults(ctx, f.key, r.shard) })
		for len(some) > 0 {
			n := fitting(some)
			together(some[:n], func(r *reading) { r.read(ctx, f.store, f.key, parts) })
			for i, r := range some[:n] {
				some[i] = nil // memory is that of one group
				if r.err != nil {
					unread = fmt.Errorf("the results of shard %d of pass %s cannot be read: %w", r.shard, f.id, r.err)
				} else if r.found.Whole || r.text != nil {
					if err := f.shard(r); err != nil {
						return unread, err
					}
				}
			}
			some = some[n:]
		}
	}
	return unread, nil
}

// together does something about some shards at once.
func together(some []*reading, do func(*reading)) {
	var group sync.WaitGroup
	for _, r := range some {
		group.Go(func() { do(r) })
	}
	group.Wait()
}

// fitting is how many of some shards are read together, the first in any case.
func fitting(some []*reading) int {
	n, size := 1, some[0].size()
	for n < len(some) && size+some[n].size() <= readBytes {
		size += some[n].size()
		n++
	}
	return n
}

// shard gives the results of one.
func (f *follower) shard(r *reading) error {
	f.shards.add(r.shard)
	f.troubles.news()
	return f.lines(r.text)
}

// lines gives each line of a text as a result that stays as it was written.
func (f *follower) lines(text []byte) error {
	for line := range bytes.Lines(text) {
		r, err := runner.ReadResult(line)
		if err != nil {
			return fmt.Errorf("a result of pass %s cannot be read: %w", f.id, err)
		}
		f.given++
		if err := f.give(r); err != nil {
			return err
		}
	}
	return nil
}
