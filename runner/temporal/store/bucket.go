package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"
)

// bucket keeps objects in a bucket of S3, or of what speaks as it does.
type bucket struct {
	blobs *blob.Bucket
	wait  time.Duration // for each answer
}

// atOnce is how many objects are read, written or removed at once: each takes a
// round trip.
const atOnce = 16

// within makes a call that is answered in one step.
func (b bucket) within(ctx context.Context, call func(context.Context) error) error {
	return patiently(ctx, b.wait, func(ctx context.Context, _ *patience) error { return call(ctx) })
}

func (b bucket) put(ctx context.Context, key string, write func(io.Writer) error) error {
	return patiently(ctx, b.wait, func(ctx context.Context, p *patience) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		w, err := b.blobs.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream"})
		if err != nil {
			return err
		}
		p.pause() // what is written may be long in coming
		sent := &sending{w, p, b.wait, 0}
		if err := write(sent); err != nil {
			cancel() // else Close makes an object of the half
			_ = w.Close()
			return err
		}
		if p.step(b.wait); sent.size > largeObject {
			p.step(2 * b.wait)
		}
		return w.Close()
	})
}

// largeObject is what takes a while to be sent after it was written.
const largeObject = 1 << 20

// sending is an object being written. Each write is a step.
type sending struct {
	to   io.Writer
	p    *patience
	wait time.Duration
	size int
}

func (s *sending) Write(text []byte) (int, error) {
	s.p.step(s.wait)
	defer s.p.pause()
	s.size += len(text)
	return s.to.Write(text)
}

func (b bucket) get(ctx context.Context, key string) (text []byte, err error) {
	err = patiently(ctx, b.wait, func(ctx context.Context, p *patience) error {
		r, err := b.blobs.NewReader(ctx, key, nil)
		if err != nil {
			return absent(err)
		}
		defer r.Close()
		text = make([]byte, r.Size())
		for rest := text; len(rest) > 0 && err == nil; {
			p.step(b.wait)
			var n int
			n, err = io.ReadAtLeast(r, rest, 1)
			rest = rest[n:]
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return text, nil
}

func (b bucket) exists(ctx context.Context, key string) (there bool, err error) {
	err = b.within(ctx, func(ctx context.Context) (err error) { there, err = b.blobs.Exists(ctx, key); return err })
	return there, err
}

func (b bucket) list(ctx context.Context, folder string) (entries []entry, err error) {
	for found, err := range b.all(ctx, &blob.ListOptions{Prefix: folder, Delimiter: "/"}) {
		if err != nil {
			return nil, err
		}
		if name := strings.TrimSuffix(strings.TrimPrefix(found.Key, folder), "/"); name != "" {
			entries = append(entries, entry{name, found.Size, found.IsDir})
		}
	}
	return entries, nil
}

func (b bucket) all(ctx context.Context, opts *blob.ListOptions) iter.Seq2[*blob.ListObject, error] {
	return func(yield func(*blob.ListObject, error) bool) {
		for it := b.blobs.List(opts); ; {
			var found *blob.ListObject
			err := b.within(ctx, func(ctx context.Context) (err error) { found, err = it.Next(ctx); return err })
			if errors.Is(err, io.EOF) || !yield(found, err) || err != nil {
				return
			}
		}
	}
}

func (b bucket) remove(ctx context.Context, key string) error {
	err := b.within(ctx, func(ctx context.Context) error { return absent(b.blobs.Delete(ctx, key)) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b bucket) removeAll(ctx context.Context, folder string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	var broken error
	for found, err := range b.all(ctx, &blob.ListOptions{Prefix: folder}) {
		if broken = err; err != nil {
			break
		}
		group.Go(func() error { return b.remove(ctx, found.Key) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return broken
}

func (b bucket) close() error { return b.blobs.Close() }

// absent makes the error of an object that is not there a fs.ErrNotExist. A bucket
// that is not there is another error.
func absent(err error) error {
	if gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	if e, ok := errors.AsType[apiError](err); ok && e.ErrorCode() == "NoSuchBucket" {
		return err
	}
	return fs.ErrNotExist
}
