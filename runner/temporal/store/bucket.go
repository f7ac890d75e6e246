package store

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"
)

// bucket keeps objects in a bucket of S3, or of what speaks as it does.
type bucket struct{ blobs *blob.Bucket }

// atOnce is how many objects are read, written or removed at once: each takes a
// round trip.
const atOnce = 16

// openBucket looks whether the bucket is there, and may be read.
func openBucket(ctx context.Context, address *url.URL) (bucket, error) {
	query := address.Query()
	if query.Has("endpoint") && !query.Has("use_path_style") {
		query.Set("use_path_style", "true") // few of the others give each bucket a host of its own
	}
	u := url.URL{Scheme: address.Scheme, Host: address.Host, RawQuery: query.Encode()}
	blobs, err := new(s3blob.URLOpener).OpenBucketURL(ctx, &u)
	if err != nil {
		return bucket{}, cmp.Or(errors.Unwrap(err), err) // without the address
	}
	if prefix := strings.Trim(address.Path, "/"); prefix != "" {
		blobs = blob.PrefixedBucket(blobs, prefix+"/")
	}
	if _, _, err := blobs.ListPage(ctx, blob.FirstPageToken, 1, nil); err != nil {
		blobs.Close()
		return bucket{}, err
	}
	return bucket{blobs}, nil
}

func (b bucket) put(ctx context.Context, key string, write func(io.Writer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.blobs.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		cancel() // else Close makes an object of the half
		_ = w.Close()
		return err
	}
	return w.Close()
}

func (b bucket) get(ctx context.Context, key string) ([]byte, error) {
	text, err := b.blobs.ReadAll(ctx, key)
	return text, absent(err)
}

func (b bucket) exists(ctx context.Context, key string) (bool, error) {
	return b.blobs.Exists(ctx, key)
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

func (b bucket) all(ctx context.Context, opts *blob.ListOptions) func(yield func(*blob.ListObject, error) bool) {
	return func(yield func(*blob.ListObject, error) bool) {
		for it := b.blobs.List(opts); ; {
			found, err := it.Next(ctx)
			if errors.Is(err, io.EOF) || !yield(found, err) || err != nil {
				return
			}
		}
	}
}

func (b bucket) remove(ctx context.Context, key string) error {
	if err := absent(b.blobs.Delete(ctx, key)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
