package temporal

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"nightshift/runner"
)

const (
	// readItems is how many results are read from the store at once, in so many shards
	// at the most: a bucket takes its time for each, and they are held in memory.
	readItems  = 2000
	readShards = 8

	// storeTries is how often the results of a shard are asked for at last, where the
	// store fails, with pauses of a second, two, four and so on.
	storeTries = 5
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

// join gives the results of those shards up to a number that have ended, and were not
// given yet.
func (f *follower) join(ctx context.Context, upTo int, ended func(shard int) bool) error {
	return f.joinThese(upTo, ended, func(n int) (text []byte, there bool, err error) {
		text, whole, err := f.store.Results(ctx, f.key, n)
		return text, whole && err == nil, nil // where the store fails it is asked again later
	})
}

// joinAll gives the results of all shards that were not given yet, as far as there are
// any. It is for when the pass has ended.
func (f *follower) joinAll(ctx context.Context) error {
	all := func(int) bool { return true }
	return f.joinThese(f.Shards, all, func(n int) (text []byte, there bool, err error) {
		pause := time.Second
		for try := range storeTries {
			if try > 0 && runner.Sleep(ctx, pause<<(try-1)) != nil {
				break
			}
			if text, _, err = f.store.Results(ctx, f.key, n); err == nil || ctx.Err() != nil {
				break
			}
		}
		return text, true, err
	})
}

// joinThese reads some shards at once, and gives their results in the order of their
// numbers, but of those that are not there yet.
func (f *follower) joinThese(upTo int, ended func(shard int) bool, read func(shard int) (text []byte, there bool, err error)) error {
	type reading struct {
		shard int
		text  []byte
		there bool
		err   error
	}
	atOnce := max(1, min(readShards, readItems/max(1, f.Items/max(1, f.Shards))))
	for shard := f.shards.first(); shard <= upTo; {
		var some []*reading
		var group sync.WaitGroup
		for ; shard <= upTo && len(some) < atOnce; shard++ {
			if !f.shards.has(shard) && ended(shard) {
				r := &reading{shard: shard}
				some = append(some, r)
				group.Go(func() { r.text, r.there, r.err = read(r.shard) })
			}
		}
		group.Wait()
		for _, r := range some {
			switch {
			case r.err != nil:
				return fmt.Errorf("the results of shard %d of pass %s cannot be read: %w; they are still there, and run again joins them", r.shard, f.id, r.err)
			case !r.there:
				continue
			}
			f.shards.add(r.shard)
			if err := f.lines(r.text); err != nil {
				return err
			}
		}
	}
	return nil
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

// bits is a set of shards, numbered from 1.
type bits struct {
	words []uint64
	full  int // so many words are, from the first on
}

func newBits(shards int) *bits { return &bits{words: make([]uint64, shards/64+1)} }

func (b *bits) has(shard int) bool { return b.words[shard/64]&(1<<(shard%64)) != 0 }

func (b *bits) add(shard int) {
	b.words[shard/64] |= 1 << (shard % 64)
	b.words[0] |= 1 // there is no shard 0
	for b.full < len(b.words) && b.words[b.full] == ^uint64(0) {
		b.full++
	}
}

// first is a shard that all those before are in the set.
func (b *bits) first() int { return max(1, b.full*64) }
