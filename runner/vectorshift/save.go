package vectorshift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// SaveOptions say how a pipeline is saved.
type SaveOptions struct {
	Deploy      bool   // it is published also where nothing has changed
	NoDeploy    bool   // it is kept, but not made the published version
	Bump        string // a version tag is added: patch, minor or major; "": none
	Description string // of what is saved
}

// writes tells whether there is something to write, though nothing has changed.
func (o SaveOptions) writes() bool {
	return o.Deploy && !o.NoDeploy || o.Bump != "" || o.Description != ""
}

// Save writes the pipeline, if there are changes, or if publishing, a version tag or a
// description is asked for.
func (p *Pipeline) Save(ctx context.Context, o SaveOptions) (runner.SaveAction, error) {
	if p.object == nil {
		return "", fmt.Errorf("pipeline %s was not fetched, so that what it holds would be lost: fetch it before it is saved", p.ID)
	}
	if err := p.whole(); err != nil {
		return "", err
	}
	d := p.draft()
	writes := o.writes() || len(d.changes()) > 0
	p.Notes = d.notes(writes)
	if !writes {
		return runner.Unchanged, nil
	}
	if err := d.save(ctx, o); err != nil {
		return "", err
	}
	return runner.Updated, nil
}

// whole tells whether the nodes are known: where they are not, a save would lose them.
func (p *Pipeline) whole() error {
	switch p.object["nodes"].(type) {
	case map[string]any, []any:
		return nil
	}
	return fmt.Errorf("pipeline %s (%s) was fetched, but the answer holds no nodes: nothing is saved, as those that are there would be lost", p.Name, p.ID)
}

// save writes the pipeline, which is then what the platform has.
func (d *draft) save(ctx context.Context, o SaveOptions) error {
	p := d.Pipeline
	if _, circle := d.graph.levels(); circle != nil {
		return fmt.Errorf("nodes refer to one another in a circle: %s; let a cyclic input do so", strings.Join(p.namesOf(circle), " -> "))
	}
	wire := d.wire()
	body := maps.Clone(wire)
	body["deploy"] = !o.NoDeploy
	for key, value := range map[string]string{"branch_id": p.BranchID, "bump": o.Bump, "description": cmp.Or(o.Description, p.newDescription())} {
		if value != "" {
			body[key] = value
		}
	}
	err := again(ctx, func() error {
		_, err := p.client.do(ctx, call{
			method: http.MethodPost, path: "/update/pipeline/" + url.PathEscape(p.ID), body: body, mutates: true, pipelineID: p.ID,
		})
		return err
	})
	if err != nil {
		return err
	}
	saved := maps.Clone(p.object)
	maps.Copy(saved, plain(wire).(map[string]any))
	saved["description"] = p.Description
	p.object = saved
	for _, n := range p.nodes {
		now := nodeOf(n.ID, object(saved["nodes"])[n.ID])
		n.raw, n.Outputs = now.raw, now.Outputs
	}
	if o.NoDeploy {
		p.Notes = append(p.Notes, "what was saved is not published: runs use the version before; save --deploy publishes it")
	}
	return nil
}

// newDescription is the pipeline's, where the platform has another.
func (p *Pipeline) newDescription() string {
	if p.Description == text(p.object["description"]) {
		return ""
	}
	return p.Description
}

func (p *Pipeline) namesOf(ids []string) []string {
	var names []string
	for _, id := range ids {
		i := slices.IndexFunc(p.nodes, func(n *Node) bool { return n.ID == id })
		names = append(names, cmp.Or(p.nodes[i].Name, id))
	}
	return names
}

// SavePipeline makes the pipeline of that name what a batch file declares: it is
// created, updated or left unchanged; changes tells what is written, a line each, and
// is nil where nothing is or all is new. Pipelines from files that its nodes run are
// saved before it, and their changes told under their names; the action is that of the
// pipeline itself. One that is declared without nodes is fetched only. With lookOnly nothing is written, and what would be
// done is told.
func (c *Client) SavePipeline(ctx context.Context, sp *spec.Pipeline, o SaveOptions, lookOnly bool) (p *Pipeline, action runner.SaveAction, changes []string, err error) {
	f, err := c.familyOf(sp)
	if err != nil {
		return nil, "", nil, err
	}
	if err := f.find(ctx); err != nil {
		return nil, "", nil, err
	}
	if sp.Nodes == nil {
		return f.main().saved, runner.Unchanged, nil, nil
	}
	for _, k := range f.kin {
		if !lookOnly {
			if err := f.ready(ctx, k); err != nil {
				return nil, "", nil, err
			}
		}
		options := o
		if k != f.main() {
			options = SaveOptions{Deploy: o.Deploy, NoDeploy: o.NoDeploy}
		}
		lines, err := f.save(ctx, k, options, lookOnly)
		if err != nil {
			return nil, "", nil, f.said(k, err)
		}
		changes = append(changes, lines...)
	}
	p = f.main().saved
	p.Subs = f.subs()
	return p, f.main().action, changes, nil
}

// find gives the pipeline that is saved to. One that is not there is new, and has no id.
func (c *Client) find(ctx context.Context, sp *spec.Pipeline) (p *Pipeline, isNew bool, err error) {
	err = again(ctx, func() (err error) {
		p, err = c.Fetch(ctx, Which{ID: sp.ID, Name: sp.Name})
		return err
	})
	switch {
	case err == nil && sp.ID == "":
		p.Others, err = c.others(ctx, p)
	case isNotFound(err) && sp.ID == "" && sp.Nodes != nil:
		return &Pipeline{Name: sp.Name, client: c}, true, nil
	}
	return p, false, err
}

// The pauses between calls that are made again.
const (
	tries       = 4
	firstPause  = 500 * time.Millisecond
	longestWait = 30 * time.Second // that an answer may ask for
)

// again makes a call that may be repeated, up to four times, while it fails in ways
// that pass.
func again(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == tries || !runner.MayPass(err) || !pause(ctx, n, err) {
			return err
		}
	}
}

// pause waits after the nth failure; it is false where ctx ends first.
func pause(ctx context.Context, n int, failure error) bool {
	wait := firstPause << (n - 1)
	if api, ok := errors.AsType[*runner.APIError](failure); ok {
		wait = max(wait, min(api.RetryAfter, longestWait))
	}
	return runner.Sleep(ctx, wait) == nil
}

func isNotFound(err error) bool {
	api, ok := errors.AsType[*runner.APIError](err)
	return ok && api.StatusCode == http.StatusNotFound
}
