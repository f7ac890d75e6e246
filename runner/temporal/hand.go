package temporal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
)

// Hand puts items into the store, a shard after the other, and then what they have in
// common. Where an error keeps it from that, the handle is that of what is to be
// forgotten.
func (b *Backend) Hand(ctx context.Context, plan *runner.Plan, items iter.Seq2[runner.HandedItem, error]) (h runner.Handle, total int, err error) {
	s, bundle, err := b.saved(ctx)
	if err != nil {
		return h, 0, err
	}
	b.forgetUploads(ctx, s, plan)
	id, key := newPass(plan.Generation, plan.Batch.Name)
	ctx, cancel := context.WithCancel(ctx)
	w := s.PassWriter(ctx, key, b.File.Run.Temporal.ShardSize)
	defer func() {
		if cancel(); err != nil {
			_ = w.Close(ctx, store.Pass{}) // nothing is written any more when it is forgotten
		}
	}()
	files := newFiles(b.File, s, key)
	for it, err := range items {
		if err != nil {
			return h, total, err
		}
		if total == 0 {
			h = runner.Handle{PipelineID: plan.PipelineID, TaskID: id}
			if err := files.ofPipeline(ctx); err != nil {
				return h, total, err
			}
		}
		if err := files.ofInputs(ctx, it.Item.Inputs); err != nil {
			return h, total, err
		}
		if err := w.Add(ctx, store.ItemOf(it.Item, it.Standing)); err != nil {
			return h, total, err
		}
		total++
	}
	if total == 0 || ctx.Err() != nil {
		return h, total, ctx.Err()
	}
	window, each := widths(plan.Concurrency, w.Shards())
	return h, total, w.Close(ctx, store.Pass{
		Bundle: bundle, Batch: plan.Batch.Name, Generation: plan.Generation,
		Pipeline: b.File.Digest(plan.Batch, b.File.Redactor),
		Rows:     plan.Rows, Concurrency: each, Window: window,
		Deadline: plan.Deadline, AnswersSince: plan.AnswersSince,
		Before: plan.Before, GoneFailed: plan.GoneFailed, Cluster: b.client.where(),
	})
}

const (
	shardRuns = 4   // runs that a shard has at once, where there are enough
	fewShards = 4   // that are under way at once, where there are runs enough: handing over a shard takes a while
	mostOpen  = 500 // that are under way at once: a cluster takes 2,000 of a workflow
)

// widths parts the runs at once: so many shards, with so many each. Together they are
// not more, but for at least one.
func widths(concurrency, shards int) (window, each int) {
	window = max(1, min(max(fewShards, (concurrency+shardRuns-1)/shardRuns), concurrency, shards, mostOpen))
	return window, max(1, concurrency/window)
}

// Begin begins a pass. One that was begun before stays as it is, also where it has
// ended; one that is not known any more has nothing to begin.
func (b *Backend) Begin(ctx context.Context, h runner.Handle) error {
	p, err := b.pass(ctx, h)
	if err != nil || p.Pass == nil {
		return err
	}
	return b.beginPass(ctx, p)
}

// beginPass begins a pass, unless it may be going on elsewhere: it would run twice.
func (b *Backend) beginPass(ctx context.Context, p passAt) error {
	if p.Cluster != "" && p.Cluster != b.client.where() {
		_, err := b.describe(ctx, "look", p.id)
		return err // where it is known, this is the same cluster under another name
	}
	return b.begin(ctx, p.id, flow.BatchWorkflow, flow.Batch{
		Store: p.url, Pass: p.key, Shards: p.Shards, Window: p.Window, Deadline: p.Deadline,
	}, memo{p.url, p.key, p.pipeline})
}

// elsewhere makes another error of one that says that there is no such pass, where that
// was handed over to what has another name: there it may be going on.
func (b *Backend) elsewhere(ctx context.Context, id string, err error) error {
	if !isMissing(err) || !isPass(id) || b.Store == "" {
		return err
	}
	s, openErr := b.open(ctx, b.Store)
	if openErr != nil {
		return err
	}
	p, readErr := s.Pass(ctx, passKey(id))
	if here := b.client.where(); readErr == nil && p.Cluster != "" && p.Cluster != here {
		return fmt.Errorf("pass %s was handed over to %s, where it may be going on, and is not known to %s: name the one that it is on with --address and --namespace", id, p.Cluster, here)
	}
	return err
}

// passAt is a pass, and where it is.
type passAt struct {
	*store.Pass // nil: neither store nor cluster know of it
	store       *store.Store
	url         string // of the store
	id          string
	key         string
	pipeline    string
}

// pass reads what is stored of a pass.
func (b *Backend) pass(ctx context.Context, h runner.Handle) (passAt, error) {
	if err := checkPass(h.TaskID); err != nil {
		return passAt{}, err
	}
	p := passAt{url: b.Store, id: h.TaskID, key: passKey(h.TaskID), pipeline: h.PipelineID}
	if p.url == "" {
		d, err := b.describe(ctx, "look", p.id)
		if err != nil {
			return p, err
		}
		p.url = d.Store
	}
	var err error
	if p.store, err = b.open(ctx, p.url); err != nil {
		return p, err
	}
	if p.Pass, err = p.store.Pass(ctx, p.key); !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	p.Pass = nil
	d, missing := b.describe(ctx, "look", p.id)
	switch {
	case isMissing(missing):
		return p, nil
	case missing != nil:
		return p, missing
	}
	return p, fmt.Errorf("pass %s was begun with the store %s, and is not in %s: name the one that it is in with --store", p.id, d.Store, p.store)
}
