package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"nightshift/runner"
)

// ShardSink is the runner.Recorder of one attempt to run a shard. Only Done is for
// concurrent use.
type ShardSink struct {
	store  *Store
	ctx    context.Context
	pass   string
	shard  int
	prefix string // of the names of its objects: no other attempt has it
	next   int    // number of the next object

	done     map[string]bool // ids of results of earlier attempts
	tally    *runner.Tally   // of these
	finished bool

	recorded int    // results since the last Commit
	waited   bool   // somebody waits for one of these
	pending  []byte // lines that no object holds
}

var _ runner.Recorder = (*ShardSink)(nil)

// ShardSink begins an attempt to run a shard, which is told apart from the others in
// messages only by its number: two with the same number do no harm.
func (s *Store) ShardSink(ctx context.Context, key string, shard, attempt int) (*ShardSink, error) {
	k := &ShardSink{
		store: s, ctx: context.WithoutCancel(ctx), pass: key, shard: shard,
		prefix: fmt.Sprintf("%s%04d-%s-", resultsFolder(key, shard), attempt, strings.ToLower(rand.Text()[:10])),
	}
	var ended bool
	err := s.ofShard(ctx, key, shard, func(objects []resultObject) error {
		k.done, k.tally = map[string]bool{}, &runner.Tally{}
		ended = slices.ContainsFunc(objects, func(o resultObject) bool { return o.whole })
		return s.eachResult(ctx, objects, k.done, func(_ []byte, line *runner.Line) error {
			k.tally.Add(line)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if !ended {
		return k, nil
	}
	// An attempt that was cut off from the server may have ended with items left.
	items, err := s.get(ctx, itemsObject(key, shard))
	if err != nil {
		return nil, err
	}
	k.finished = len(k.done) >= bytes.Count(items, []byte("\n"))
	return k, nil
}

// Done tells whether an earlier attempt has a result of that id, as lines have it.
func (k *ShardSink) Done(id string) bool { return k.done[id] }

// Tally is what the results of earlier attempts add up to, as they were when this one
// began. It is not to be changed.
func (k *ShardSink) Tally() *runner.Tally { return k.tally }

// Finished tells that all items had a result when the attempt began, and that an
// earlier one has ended: all that is left is Finish, for what they add up to.
func (k *ShardSink) Finished() bool { return k.finished }

// Record takes a result.
func (k *ShardSink) Record(r *runner.Result) {
	k.pending = r.AppendJSON(k.pending)
	k.recorded++
	// Such a run keeps its slot until its result is written: see runner.
	if r.Duration >= time.Millisecond || r.Usage != nil || r.Status != runner.Succeeded {
		k.waited = true
	}
}

// mostPending is how many bytes of results may be lost, of which nobody asked more
// than to be run.
const mostPending = 1 << 20

// Commit writes the recorded results, unless all took next to nothing and may be run
// again. It does so after ctx is done, too. An error is a *runner.ResultsError.
func (k *ShardSink) Commit() (int, error) {
	if k.waited || len(k.pending) >= mostPending {
		if err := k.Flush(k.ctx); err != nil {
			return 0, &runner.ResultsError{Path: resultsFolder(k.pass, k.shard), Err: err}
		}
	}
	n := k.recorded
	k.recorded = 0
	return n, nil
}

// Flush writes all results, and leaves the shard to another attempt.
func (k *ShardSink) Flush(ctx context.Context) error {
	if len(k.pending) == 0 {
		return nil
	}
	if err := k.store.put(ctx, k.object(partEnding), k.pending); err != nil {
		return err
	}
	k.written()
	return nil
}

// Finish ends the attempt: one object holds all results of the shard, those of other
// attempts too, and what they add up to is returned. It may be called again.
func (k *ShardSink) Finish(ctx context.Context) (*runner.Tally, error) {
	var sum *runner.Tally
	var rest []resultObject // which the new object makes superfluous
	err := k.store.ofShard(ctx, k.pass, k.shard, func(objects []resultObject) error {
		sum, rest = &runner.Tally{}, nil
		if len(objects) == 1 && objects[0].whole && len(k.pending) == 0 {
			return k.merge(ctx, objects, sum, io.Discard)
		}
		rest = objects
		return k.store.write(ctx, k.object(wholeEnding), func(w io.Writer) error {
			buffer := bufio.NewWriterSize(w, 64<<10)
			if err := k.merge(ctx, objects, sum, buffer); err != nil {
				return err
			}
			return buffer.Flush()
		})
	})
	if err != nil {
		return nil, err
	}
	k.written()
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, object := range rest {
		group.Go(func() error { return k.store.objects.remove(ctx, object.key) })
	}
	_ = group.Wait() // what stays does no harm
	return sum, nil
}

// merge writes the lines of objects, then those that are pending, and adds them up.
func (k *ShardSink) merge(ctx context.Context, objects []resultObject, sum *runner.Tally, w io.Writer) error {
	seen := map[string]bool{}
	yield := func(raw []byte, line *runner.Line) error {
		sum.Add(line)
		_, err := w.Write(raw)
		return err
	}
	if err := k.store.eachResult(ctx, objects, seen, yield); err != nil {
		return err
	}
	_, err := eachLine(k.pending, seen, yield)
	return err
}

// object is the key of a new object.
func (k *ShardSink) object(ending string) string {
	k.next++
	return fmt.Sprintf("%s%06d%s", k.prefix, k.next, ending)
}

// written forgets what is pending.
func (k *ShardSink) written() {
	if k.pending = k.pending[:0]; cap(k.pending) > 2*mostPending {
		k.pending = nil
	}
	k.waited = false
}
