package vectorshift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// SaveOptions say how a pipeline is saved.
type SaveOptions struct {
	NoDeploy    bool   // it is kept, but not made the published version
	Bump        string // a version tag is added: patch, minor or major; "": none
	Description string // of what is saved
}

// Save writes the pipeline, if there are changes, or a version tag or a description
// is asked for.
func (p *Pipeline) Save(ctx context.Context, o SaveOptions) (runner.SaveAction, error) {
	if p.object == nil {
		return "", fmt.Errorf("pipeline %s was not fetched, so that what it holds would be lost: fetch it before it is saved", p.ID)
	}
	if _, circle := graphOf(p.nodes).levels(); circle != nil {
		return "", fmt.Errorf("nodes refer to one another in a circle: %s; let a cyclic input do so", strings.Join(p.namesOf(circle), " -> "))
	}
	if len(p.Changes()) == 0 && o.Bump == "" && o.Description == "" {
		return runner.Unchanged, nil
	}
	wire := p.wire()
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
		return "", fmt.Errorf("pipeline %s (%s) is not saved: %w", p.Name, p.ID, err)
	}
	saved := maps.Clone(p.object)
	maps.Copy(saved, plain(wire).(map[string]any))
	saved["description"] = p.Description
	p.object = saved
	for _, n := range p.nodes {
		now := nodeOf(n.ID, object(saved["nodes"])[n.ID])
		n.raw, n.Outputs = now.raw, now.Outputs
	}
	return runner.Updated, nil
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
		names = append(names, cmp.Or(p.nodeByID(id).Name, id))
	}
	return names
}

// SavePipeline makes the pipeline of that name what a batch file declares: it is
// created, updated or left unchanged; changes tells what is written, a line each, and
// is nil where nothing is or all is new. One that is declared without nodes is fetched
// only. With lookOnly nothing is written, and what would be done is told.
func (c *Client) SavePipeline(ctx context.Context, sp *spec.Pipeline, o SaveOptions, lookOnly bool) (p *Pipeline, action runner.SaveAction, changes []string, err error) {
	p, created, err := c.findOrCreate(ctx, sp, lookOnly)
	if err != nil {
		return nil, "", nil, fmt.Errorf("pipeline %s: %w", cmp.Or(sp.Name, sp.ID), err)
	}
	if sp.Nodes == nil {
		return p, runner.Unchanged, nil, nil
	}
	notes := p.declare(sp)
	switch {
	case created:
		action = runner.Created
	case len(p.Changes()) > 0:
		action, changes = runner.Updated, append(p.Changes(), notes...)
	case o.Bump != "" || o.Description != "":
		action = runner.Updated
	default:
		action = runner.Unchanged
	}
	if !lookOnly && action != runner.Unchanged {
		if _, err := p.Save(ctx, o); err != nil {
			return nil, "", nil, err
		}
	}
	return p, action, changes, nil
}

// findOrCreate gives the pipeline that is saved to. With lookOnly one that is not there
// is not created either, and has no id.
func (c *Client) findOrCreate(ctx context.Context, sp *spec.Pipeline, lookOnly bool) (p *Pipeline, created bool, err error) {
	err = again(ctx, func() (err error) {
		p, err = c.Fetch(ctx, Which{ID: sp.ID, Name: sp.Name})
		return err
	})
	switch {
	case err == nil && sp.ID == "":
		p.Others, err = c.others(ctx, p)
	case !isNotFound(err) || sp.ID != "" || sp.Nodes == nil:
	case lookOnly:
		return &Pipeline{Name: sp.Name, client: c}, true, nil
	default:
		p, err = c.create(ctx, sp.Name, sp.Description, nil)
		return p, true, err
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
		if err == nil || n == tries || !mayPass(err) || !pause(ctx, n, err) {
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
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

func isNotFound(err error) bool {
	api, ok := errors.AsType[*runner.APIError](err)
	return ok && api.StatusCode == http.StatusNotFound
}
