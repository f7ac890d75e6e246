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

// readFile reads the file of a path that an author wrote, relative to dir.
func readFile(ctx context.Context, path, dir string, most int) ([]byte, error) {
	return aside(ctx, func() ([]byte, error) { return spec.ReadFile(path, dir, most) })
}

// openFile gives the plain value of the file of a path.
func openFile(ctx context.Context, path, dir string) (map[string]any, error) {
	if dir == "" {
		return nil, notHere(path)
	}
	data, err := readFile(ctx, path, dir, spec.MaxFile)
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

// lookFile says why the file of a path could not be read, as far as that is seen from
// outside.
func lookFile(ctx context.Context, path, dir string) error {
	if dir == "" {
		return notHere(path)
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	_, err := aside(ctx, func() (struct{}, error) { return struct{}{}, spec.LookFile(path, dir, spec.MaxFile) })
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
