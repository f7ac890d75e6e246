package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// Store is one place that client and workers share. It is safe for concurrent use.
type Store struct {
	name    string // as it is told: without anything that could be secret
	objects objects
}

// Open opens the store of that address: an absolute path, file:///folder, or
// s3://bucket/prefix?region=...&endpoint=..., with whatever else gocloud.dev/blob
// takes. A folder is made where it is missing, and its objects can be read by its user
// only. Credentials of S3 are those of the AWS command line. An error says what to do.
func Open(ctx context.Context, address string) (*Store, error) {
	scheme, _, isURL := strings.Cut(address, "://")
	switch {
	case address == "":
		return nil, errors.New("there is no store: name a folder or s3://bucket/prefix that client and workers share")
	case !isURL:
		return openPath(address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("the address of the store is no URL; write an absolute path or s3://bucket/prefix: %w", withoutURL(err))
	}
	s := &Store{name: u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/")}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("store %s: the address holds credentials; leave them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", s.name)
	case scheme == "file" && u.RawQuery == "" && (u.Host == "" || u.Host == "localhost"):
		return openPath(u.Path)
	case scheme == "file":
		return nil, fmt.Errorf("store %s: a folder is written as /folder or file:///folder, with nothing behind it", s.name)
	case scheme != "s3":
		return nil, fmt.Errorf("store %s: %q is not known; a store is an absolute path or s3://bucket/prefix", s.name, scheme)
	case u.Host == "":
		return nil, fmt.Errorf("store %s: the bucket is missing; write s3://bucket/prefix", s.name)
	}
	objects, err := openBucket(ctx, u, longestWait)
	if err != nil {
		return nil, s.fail("open it", "", err)
	}
	s.objects = objects
	return s, nil
}

func openPath(path string) (*Store, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("store %s: the path is not absolute: client and workers may stand in different folders", path)
	}
	s := &Store{name: filepath.Clean(path)}
	objects, err := openFolder(s.name, longestWait)
	if err != nil {
		return nil, s.fail("open it", "", err)
	}
	s.objects = objects
	return s, nil
}

// String is the address without what follows a question mark.
func (s *Store) String() string { return s.name }

// Close closes the store.
func (s *Store) Close() error { return s.objects.close() }

// put makes an object of a text.
func (s *Store) put(ctx context.Context, key string, text []byte) error {
	return s.write(ctx, key, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

func (s *Store) write(ctx context.Context, key string, write func(io.Writer) error) error {
	if err := s.check(key); err != nil {
		return err
	}
	return s.fail("write", key, s.objects.put(ctx, key, write))
}

// get gives an object; that it is not there is a fs.ErrNotExist.
func (s *Store) get(ctx context.Context, key string) ([]byte, error) {
	if err := s.check(key); err != nil {
		return nil, err
	}
	text, err := s.objects.get(ctx, key)
	return text, s.fail("read", key, err)
}

func (s *Store) exists(ctx context.Context, key string) (bool, error) {
	there, err := s.objects.exists(ctx, key)
	return there, s.fail("read", key, err)
}

func (s *Store) list(ctx context.Context, folder string) ([]entry, error) {
	if err := s.check(strings.TrimSuffix(folder, "/")); err != nil {
		return nil, err
	}
	entries, err := s.objects.list(ctx, folder)
	return entries, s.fail("list", folder, err)
}
