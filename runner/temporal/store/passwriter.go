package store

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// PassWriter hands the items of a pass over, a shard at a time. It is not for
// concurrent use.
type PassWriter struct {
	store     *Store
	key       string
	shardSize int
	items     int
	pending   []byte // lines of the shard that is not full

	group   *errgroup.Group // of shards being written
	writing context.Context // ends when one of them failed
}

// PassWriter begins a pass, whose shards have that many items. Close has to be called
// unless ctx is cancelled.
func (s *Store) PassWriter(ctx context.Context, key string, shardSize int) *PassWriter {
	w := &PassWriter{store: s, key: key, shardSize: shardSize}
	w.group, w.writing = errgroup.WithContext(ctx)
	w.group.SetLimit(atOnce / 2)
	return w
}

// Items is how many were added.
func (w *PassWriter) Items() int { return w.items }

// Shards is how many these make.
func (w *PassWriter) Shards() int { return (w.items + w.shardSize - 1) / w.shardSize }

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
	if w.items++; w.items%w.shardSize == 0 {
		w.write()
	}
	return nil
}

// write writes the shard that the last item belongs to. It waits where many are being
// written, so that memory does not grow with the pass.
func (w *PassWriter) write() {
	lines, object := w.pending, itemsObject(w.key, w.Shards())
	w.pending = make([]byte, 0, len(lines)+len(lines)/8)
	w.group.Go(func() error { return w.store.put(w.writing, object, lines) })
}

// Close returns when the pass is handed over whole; Shards and Items of p are set.
// Without a single item there is no pass.
func (w *PassWriter) Close(ctx context.Context, p Pass) error {
	if len(w.pending) > 0 {
		w.write()
	}
	if err := w.group.Wait(); err != nil || w.items == 0 {
		return err
	}
	p.Shards, p.Items = w.Shards(), w.items
	return w.store.putJSON(ctx, passObject(w.key), p)
}
