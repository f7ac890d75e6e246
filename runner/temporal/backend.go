package temporal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// BackendOptions say what a backend works with.
type BackendOptions struct {
	File      *spec.File   // whose pipeline is run; nil: what was begun is looked at and ended only
	Store     string       // URL, see package store; "": where what was begun says that it is
	TaskQueue string       // that workers poll; "": nightshift
	Say       func(string) // is told what the user should know, a line each; nil: as the client's
}

// DefaultTaskQueue is polled by workers that are told no other.
const DefaultTaskQueue = "nightshift"

// Backend is a cluster as a backend of batches and of single runs. A batch is handed
// over as a whole: see [runner.Distribute]. What runs on it outlives this process. It
// may be used by many goroutines, and is to be closed.
type Backend struct {
	BackendOptions
	client *Client

	mu     sync.Mutex
	stores map[string]*store.Store // that were opened, by URL
	bundle string                  // key of the file in the store; "": it was not put there yet
	joins  map[string]*joined      // by pass
}

var (
	_ runner.Backend     = (*Backend)(nil)
	_ runner.Waiter      = (*Backend)(nil)
	_ runner.Finder      = (*Backend)(nil)
	_ runner.Detachable  = (*Backend)(nil)
	_ runner.Distributor = (*Backend)(nil)
)

// Backend makes a backend. Nothing is opened before it is needed.
func (c *Client) Backend(o BackendOptions) *Backend {
	if o.TaskQueue == "" {
		o.TaskQueue = DefaultTaskQueue
	}
	if o.Say == nil {
		o.Say = c.say
	}
	return &Backend{BackendOptions: o, client: c, stores: map[string]*store.Store{}, joins: map[string]*joined{}}
}

// Close closes the stores. The client stays open.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []error
	for s := range maps.Values(b.stores) {
		all = append(all, s.Close())
	}
	clear(b.stores)
	return errors.Join(all...)
}

// Detachable does nothing.
func (b *Backend) Detachable() {}

// open gives the store. What was begun says where its own is, which counts where the
// backend was not told another place: here that may be mounted elsewhere.
func (b *Backend) open(ctx context.Context, begunWith string) (*store.Store, error) {
	url := b.Store
	if url == "" {
		url = begunWith
	}
	if url == "" {
		return nil, errors.New("it is not known where the store is: name it with --store")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.stores[url]; s != nil {
		return s, nil
	}
	s, err := store.Open(ctx, url)
	if err == nil {
		b.stores[url] = s
	}
	return s, err
}

// Save puts the batch file into the store, where workers find its pipeline.
func (b *Backend) Save(ctx context.Context, p *spec.Pipeline, o runner.SaveOptions) (runner.Saved, error) {
	switch {
	case b.File == nil:
		return runner.Saved{}, errNoFile
	case p.Nodes == nil:
		return runner.Saved{}, errors.New("backend temporal runs pipelines whose nodes stand in the batch file, and this one names a saved one: write its nodes, or use backend vectorshift")
	}
	saved := runner.Saved{PipelineID: spec.PipelineID(p.Name), Action: runner.Created}
	bundle, err := b.File.Bundle()
	if err != nil || o.LookOnly && !b.isThere() {
		return saved, err
	}
	s, err := b.open(ctx, "")
	if err != nil {
		return runner.Saved{}, err
	}
	if _, err := s.Bundle(ctx, store.BundleKey(bundle.Digest())); err == nil {
		saved.Action = runner.Unchanged
	}
	if o.LookOnly {
		return saved, nil
	}
	key, err := s.PutBundle(ctx, bundle)
	if err != nil {
		return runner.Saved{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bundle = key
	return saved, nil
}

// isThere tells whether the store need not be made to be looked at.
func (b *Backend) isThere() bool {
	if strings.Contains(b.Store, "://") {
		return true
	}
	_, err := os.Stat(b.Store)
	return err == nil
}

// hide takes out of a text what the batch file says is secret.
func (b *Backend) hide(text string) string {
	if b.File == nil {
		return text
	}
	return b.File.Redactor.Message(text)
}

var errNoFile = errors.New("nothing can be started without a batch file")

// saved gives the store, and the key of the file in it.
func (b *Backend) saved(ctx context.Context) (*store.Store, string, error) {
	b.mu.Lock()
	key := b.bundle
	b.mu.Unlock()
	switch {
	case b.File == nil:
		return nil, "", errNoFile
	case key == "":
		if _, err := b.Save(ctx, b.File.Pipeline, runner.SaveOptions{}); err != nil {
			return nil, "", err
		}
		return b.saved(ctx)
	}
	s, err := b.open(ctx, "")
	return s, key, err
}

// memo is what workflows hold beside what they are started with, for those who look
// at them.
type memo struct {
	Store    string // URL
	Key      string // in the store
	Pipeline string // id
}

// begin starts a workflow, if it is not there yet: also one that has ended is.
func (b *Backend) begin(ctx context.Context, id, workflow string, in any, m memo) error {
	_, err := b.client.sdk.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: b.TaskQueue,
		WorkflowIDConflictPolicy: useExisting,
		WorkflowIDReusePolicy:    rejectDuplicate,
		Memo:                     map[string]any{"store": m.Store, "key": m.Key, "pipeline": m.Pipeline},
	}, workflow, in)
	return b.client.failure(ctx, "start", err)
}

// description is one look at a workflow.
type description struct {
	*client.WorkflowExecutionDescription
	memo
}

// describe looks at a workflow. Where there is none the error is a
// *runner.NotFoundError, but not where it is a pass that may be going on elsewhere.
func (b *Backend) describe(ctx context.Context, method, id string) (description, error) {
	d, err := b.client.sdk.DescribeWorkflow(ctx, id, "")
	if err != nil {
		return description{}, b.elsewhere(ctx, id, b.client.failure(ctx, method, err))
	}
	said := func(name string) (text string) {
		if field := d.Memo.GetFields()[name]; field != nil {
			_ = converter.GetDefaultDataConverter().FromPayload(field, &text) // of others it may be anything
		}
		return text
	}
	if name := d.WorkflowType.Name; name != flow.RunWorkflow && name != flow.BatchWorkflow {
		return description{}, fmt.Errorf("workflow %q is of type %q, which is none of nightshift", id, name)
	}
	return description{d, memo{said("store"), said("key"), said("pipeline")}}, nil
}
