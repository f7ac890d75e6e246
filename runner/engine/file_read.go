package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nightshift/spec"
)

// aside does work that waits for a disk, which may never answer, and gives it up
// when ctx is done: then nobody takes what comes of it.
func aside[T any](ctx context.Context, work func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := work()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// disk is where the files are that runs are given, and that nodes name by paths which
// an author wrote.
type disk struct {
	dir     string                            // that paths are relative to; "": there is none
	instead func(path string) ([]byte, error) // reads them in its place; nil: nothing does
}

// none tells whether there are no files here.
func (d disk) none() bool { return d.dir == "" && d.instead == nil }

// read gives the content of a file.
func (d disk) read(ctx context.Context, path string, most int) ([]byte, error) {
	return aside(ctx, func() ([]byte, error) {
		if d.instead == nil {
			return spec.ReadFile(path, d.dir, most)
		}
		data, err := d.instead(path)
		if err == nil && len(data) > most {
			err = fmt.Errorf("it has more than %d MB, which is the most that is read", most>>20)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the file %s: %w", path, err)
		}
		return data, nil
	})
}

// open gives the plain value of a file.
func (d disk) open(ctx context.Context, path string) (map[string]any, error) {
	if d.none() {
		return nil, notHere(path)
	}
	data, err := d.read(ctx, path, spec.MaxFile)
	if err != nil {
		return nil, err
	}
	return spec.FileValue(path, data), nil
}

func notHere(path string) error {
	return fmt.Errorf("files are not read here, so %s cannot be; send {type: file, raw_bytes: ..., metadata: ...}", quote(path))
}

// lookFor is how long a file is looked for before its content is wanted. A disk that
// takes longer is waited for by the node that reads.
const lookFor = 2 * time.Second

// look says why a file could not be read, as far as that is seen from outside.
func (d disk) look(ctx context.Context, path string) error {
	if d.none() {
		return notHere(path)
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	var err error
	if d.instead != nil { // which cannot tell otherwise
		_, err = d.read(ctx, path, spec.MaxFile)
	} else {
		_, err = aside(ctx, func() (struct{}, error) { return struct{}{}, spec.LookFile(path, d.dir, spec.MaxFile) })
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
