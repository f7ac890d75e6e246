package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
)

// slow are objects whose writes wait for one word.
type slow struct {
	*memory
	word chan struct{}
}

func (o slow) put(ctx context.Context, key string, write func(io.Writer) error) error {
	select {
	case <-o.word:
	case <-ctx.Done():
		return ctx.Err()
	}
	return o.memory.put(ctx, key, write)
}

func large(i, size int) Item {
	return Item{ID: fmt.Sprint("i", i), Index: i, Inputs: map[string]any{"x": strings.Repeat("x", size)}}
}

// TestPassWriterBytes hands over large items to a store that is slow: only so many of
// them are held.
func TestPassWriterBytes(t *testing.T) {
	const items, size = 200, 300_000
	synctest.Test(t, func(t *testing.T) {
		o := slow{&memory{all: map[string][]byte{}}, make(chan struct{})}
		s := &Store{"memory", o}
		w := s.PassWriter(t.Context(), passKey, 200)
		added := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range items {
				if err := w.Add(t.Context(), large(i, size)); err != nil {
					t.Error(err)
				}
				added++
			}
		}()
		synctest.Wait()
		if held := added * size; held > writingBytes+2*shardBytes {
			t.Errorf("%d MB are held", held>>20)
		}
		close(o.word)
		<-done
		shards := w.Shards()
		fine(t, w.Close(t.Context(), Pass{}))
		p, err := s.Pass(t.Context(), passKey)
		fine(t, err)
		want(t, "pass", p, &Pass{Items: items, Shards: shards})
		at := 0
		for n := 1; n <= p.Shards; n++ {
			text, err := s.get(t.Context(), itemsObject(passKey, n))
			fine(t, err)
			if len(text) > shardBytes+2*size {
				t.Errorf("shard %d holds %d bytes", n, len(text))
			}
			for line := range bytes.Lines(text) {
				if !bytes.HasPrefix(line, fmt.Appendf(nil, `{"id":"i%d",`, at)) {
					t.Errorf("item %d is not there", at)
				}
				at++
			}
		}
		want(t, "items", at, items)
	})
}

// TestPassWriterShards is how items of some sizes are parted.
func TestPassWriterShards(t *testing.T) {
	const mb = 1 << 20
	for name, test := range map[string]struct {
		sizes []int
		want  []int // items of the shards
	}{
		"small":         {[]int{1, 1, 1, 1, 1, 1, 1}, []int{3, 3, 1}},
		"full":          {[]int{1, 1, 1}, []int{3}},
		"large":         {[]int{3 * mb, mb, 1, 1}, []int{2, 2}},
		"too large":     {[]int{1, 5 * mb, 1, 6 * mb, 1}, []int{2, 2, 1}},
		"more than all": {[]int{writingBytes, 1}, []int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := inMemory()
			w := s.PassWriter(t.Context(), passKey, 3)
			for i, size := range test.sizes {
				fine(t, w.Add(t.Context(), large(i, size)))
				want(t, "items", w.items, i+1)
			}
			want(t, "shards", w.Shards(), len(test.want))
			fine(t, w.Close(t.Context(), Pass{}))
			p, err := s.Pass(t.Context(), passKey)
			fine(t, err)
			want(t, "pass", p, &Pass{Items: len(test.sizes), Shards: len(test.want)})
			for i, n := range test.want {
				text, err := s.get(t.Context(), itemsObject(passKey, i+1))
				fine(t, err)
				want(t, "items", bytes.Count(text, []byte("\n")), n)
			}
		})
	}
}

// TestPassWriterStops is cancelled while it waits for a slow store: there is no pass,
// also where whoever closes it is not cancelled.
func TestPassWriterStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := slow{&memory{all: map[string][]byte{}}, make(chan struct{})}
		s := &Store{"memory", o}
		ctx, cancel := context.WithCancel(t.Context())
		w := s.PassWriter(ctx, passKey, 1)
		added := make(chan error)
		go func() {
			for i := 0; ; i++ {
				if err := w.Add(ctx, large(i, shardBytes)); err != nil {
					added <- err
					return
				}
			}
		}()
		synctest.Wait()
		cancel()
		if err := <-added; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(o.word)
		if err := w.Close(t.Context(), Pass{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := s.Pass(t.Context(), passKey); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
}

// TestPassWriterCancelledAtLast is cancelled where only the last shard is missing.
func TestPassWriterCancelledAtLast(t *testing.T) {
	s := inMemory()
	ctx, cancel := context.WithCancel(t.Context())
	w := s.PassWriter(ctx, passKey, 2)
	fine(t, w.Add(ctx, large(1, 1)))
	cancel()
	if err := w.Close(t.Context(), Pass{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := s.Pass(t.Context(), passKey); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
