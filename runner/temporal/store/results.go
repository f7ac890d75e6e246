package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sync/errgroup"

	"nightshift/runner"
)

// The results of a shard are in objects of two kinds. A part is what an attempt had
// at some time. A whole is made where an attempt ends, of all objects that it finds;
// these are then removed. No object is ever written twice, and none is removed before
// its results are in a later one. So the results of a shard are those of all objects
// that are there, at any time, however many attempts are at work.
type resultObject struct {
	key   string
	size  int64
	whole bool
}

const (
	partEnding  = ".part.jsonl"
	wholeEnding = ".whole.jsonl"
)

// ShardResults are the results of a shard as one listing tells of them.
type ShardResults struct {
	Size  int64 // bytes that Read reads at the most
	Whole bool  // an attempt has ended

	store   *Store
	pass    string
	shard   int
	objects []resultObject
}

// ListResults looks for the results of a shard. There may be none at all.
func (s *Store) ListResults(ctx context.Context, key string, shard int) (*ShardResults, error) {
	objects, err := s.resultObjects(ctx, key, shard)
	if err != nil {
		return nil, err
	}
	r := &ShardResults{store: s, pass: key, shard: shard, objects: objects}
	r.Size, r.Whole = sizeOf(objects)
	return r, nil
}

// Read gives the result lines, each id once. Whole: an attempt has ended, by now. Nothing
// at all: nil and false.
func (r *ShardResults) Read(ctx context.Context) (text []byte, whole bool, err error) {
	err = r.store.use(ctx, r.pass, r.shard, r.objects, func(objects []resultObject) error {
		var size int64
		text = nil
		size, whole = sizeOf(objects)
		return r.store.eachResult(ctx, objects, map[string]bool{}, func(raw []byte, _ *runner.Line) error {
			switch {
			case text != nil:
			case len(objects) == 1: // in its place: it may be large
				text = raw[:0]
			default:
				text = make([]byte, 0, size)
			}
			text = append(text, raw...)
			return nil
		})
	})
	if err != nil {
		return nil, false, err
	}
	return text, whole, nil
}

// Results lists the results of a shard, and reads them.
func (s *Store) Results(ctx context.Context, key string, shard int) (text []byte, whole bool, err error) {
	r, err := s.ListResults(ctx, key, shard)
	if err != nil {
		return nil, false, err
	}
	return r.Read(ctx)
}

func sizeOf(objects []resultObject) (size int64, whole bool) {
	for _, o := range objects {
		size += o.size
		whole = whole || o.whole
	}
	return size, whole
}

// manyTries is more often than attempts of a shard end at the same time.
const manyTries = 100

// ofShard calls use with the objects that hold the results of a shard.
func (s *Store) ofShard(ctx context.Context, pass string, shard int, use func([]resultObject) error) error {
	objects, err := s.resultObjects(ctx, pass, shard)
	if err != nil {
		return err
	}
	return s.use(ctx, pass, shard, objects, use)
}

// use calls a function with the objects that hold the results of a shard. It lists them
// anew, and calls it again, where one of them was removed meanwhile: what was in it is in
// another one.
func (s *Store) use(ctx context.Context, pass string, shard int, objects []resultObject, use func([]resultObject) error) error {
	for tries := 1; ; tries++ {
		err := use(objects)
		if !errors.Is(err, fs.ErrNotExist) || tries == manyTries {
			return err
		}
		if objects, err = s.resultObjects(ctx, pass, shard); err != nil {
			return err
		}
	}
}

// resultObjects are those of a shard that there are now, those first that count first.
func (s *Store) resultObjects(ctx context.Context, pass string, shard int) ([]resultObject, error) {
	folder := resultsFolder(pass, shard)
	entries, err := s.list(ctx, folder)
	if err != nil {
		return nil, err
	}
	var wholes, parts []resultObject
	for _, e := range entries {
		switch object := (resultObject{folder + e.name, e.size, strings.HasSuffix(e.name, wholeEnding)}); {
		case e.folder:
		case object.whole:
			wholes = append(wholes, object)
		case strings.HasSuffix(e.name, partEnding):
			parts = append(parts, object)
		}
	}
	return append(wholes, parts...), nil
}

// readAhead is how many bytes of objects are read at once, unless one is larger.
const readAhead = 4 << 20

// eachResult calls yield for the lines of objects, with their newlines, whose ids were
// not seen before. What is given to yield is only good until it returns.
func (s *Store) eachResult(ctx context.Context, objects []resultObject, seen map[string]bool, yield func(raw []byte, line *runner.Line) error) error {
	for len(objects) > 0 {
		n, size := 1, objects[0].size
		for n < min(len(objects), atOnce) && size+objects[n].size <= readAhead {
			size += objects[n].size
			n++
		}
		texts := make([][]byte, n)
		group, ctx := errgroup.WithContext(ctx)
		for i, object := range objects[:n] {
			group.Go(func() (err error) {
				texts[i], err = s.get(ctx, object.key)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for i, text := range texts {
			if number, err := eachLine(text, seen, yield); number > 0 {
				return s.damaged(objects[i].key, number, err)
			} else if err != nil {
				return err
			}
		}
		objects = objects[n:]
	}
	return nil
}

// eachLine calls yield for the result lines of a text whose ids were not seen. A last
// line that was cut short is left out. Of a line that is none it gives the number.
func eachLine(text []byte, seen map[string]bool, yield func(raw []byte, line *runner.Line) error) (number int, err error) {
	var line runner.Line
	for at := 1; len(text) > 0; at++ {
		raw, rest, ended := bytes.Cut(text, []byte("\n"))
		if err := runner.ParseLine(raw, &line); err != nil {
			if !ended {
				break
			}
			return at, fmt.Errorf("no result line: %w", err)
		}
		if !seen[line.ID] {
			seen[line.ID] = true
			if ended {
				raw = text[:len(raw)+1]
			} else {
				raw = append(bytes.Clone(raw), '\n')
			}
			if err := yield(raw, &line); err != nil {
				return 0, err
			}
		}
		text = rest
	}
	return 0, nil
}
