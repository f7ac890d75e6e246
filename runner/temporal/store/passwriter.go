package store

import (
	"context"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

const (
	// shardBytes is how many bytes of items make a shard full, whatever their number
	// is: whoever runs one holds all of them, and there are many shards at once.
	shardBytes = 4 << 20

	// writingBytes is how many bytes of full shards may be held while they are written,
	// unless one alone has more.
	writingBytes = 4 * shardBytes
)

// PassWriter hands the items of a pass over, a shard at a time. It is not for
// concurrent use.
type PassWriter struct {
	store     *Store
	key       string
	shardSize int
	shards    int    // that are full
	items     int    // in all
	last      int    // items of the shard that is not full
	pending   []byte // their lines

	group   *errgroup.Group // of shards being written
	bytes   *semaphore.Weighted
	writing context.Context // ends when one of them failed
}

// PassWriter begins a pass, whose shards have at most that many items: fewer where
// these are large. Close has to be called unless ctx is cancelled.
func (s *Store) PassWriter(ctx context.Context, key string, shardSize int) *PassWriter {
	w := &PassWriter{store: s, key: key, shardSize: shardSize, bytes: semaphore.NewWeighted(writingBytes)}
	w.group, w.writing = errgroup.WithContext(ctx)
	w.group.SetLimit(atOnce / 2)
	return w
}

// Shards is how many the items make that were added.
func (w *PassWriter) Shards() int { return w.shards + min(w.last, 1) }

// Add adds an item. It may return before the item is written; an error may be that of
// an earlier one.
func (w *PassWriter) Add(ctx context.Context, it Item) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.writing.Err() != nil {
		return context.Cause(w.writing)
	}
	w.pending = it.appendJSON(w.pending)
	w.items++
	if w.last++; w.last == w.shardSize || len(w.pending) >= shardBytes {
		w.write()
	}
	return nil
}

// write writes the shard that the last item belongs to. It waits where much is being
// written, so that memory does not grow with the pass.
func (w *PassWriter) write() {
	w.shards++
	lines, object := w.pending, itemsObject(w.key, w.shards)
	w.pending, w.last = make([]byte, 0, min(len(lines)+len(lines)/8, shardBytes)), 0
	weight := min(int64(len(lines)), writingBytes)
	if w.bytes.Acquire(w.writing, weight) != nil {
		w.group.Go(func() error { return context.Cause(w.writing) }) // for Close
		return
	}
	w.group.Go(func() error {
		defer w.bytes.Release(weight)
		return w.store.put(w.writing, object, lines)
	})
}

// Close returns when the pass is handed over whole; Shards and Items of p are set.
// Without a single item there is no pass.
func (w *PassWriter) Close(ctx context.Context, p Pass) error {
	if w.last > 0 {
		w.write()
	}
	if err := w.group.Wait(); err != nil || w.items == 0 {
		return err
	}
	p.Shards, p.Items = w.shards, w.items
	return w.store.putJSON(ctx, passObject(w.key), p)
}
