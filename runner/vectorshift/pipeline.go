package vectorshift

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"nightshift/runner"
)

// Pipeline is a pipeline of the platform: its graph as it was fetched, with what was
// changed since. It may be run by many goroutines, and be changed by one.
type Pipeline struct {
	ID, Name, Description, BranchID, Version string
	Others                                   []string // ids of other pipelines of that name, after SavePipeline
	Subs                                     []Sub    // the pipelines from files that its nodes run, inner ones first, after SavePipeline
	Notes                                    []string // what is worth knowing about the last save: nodes that stay, keys that are not sent

	client *Client
	dir    string // that paths of files in inputs are relative to
	nodes  []*Node
	object map[string]any // as the platform has it; nil: it was not fetched
}

// Sub is a pipeline that was saved along with one whose nodes run it.
type Sub struct {
	ID, Name string // the id is "" where a new one was looked at only
	Action   runner.SaveAction
}

// Which says which pipeline is fetched: by ID, or by Name, which is that of the most
// recently modified one. Username and Org go with a name, Version and Branch with
// an id.
type Which struct{ ID, Name, Version, Branch, Username, Org string }

// Fetch gets a pipeline. One that does not exist, or is not visible to this key, is
// a *runner.NotFoundError.
func (c *Client) Fetch(ctx context.Context, w Which) (*Pipeline, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"id": w.ID, "name": w.Name, "version": w.Version, "branch_id": w.Branch, "username": w.Username, "org_name": w.Org,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	what := call{method: http.MethodGet, path: "/pipeline", query: query, pipelineID: w.ID}
	answer, err := c.do(ctx, what)
	if err != nil {
		return nil, err
	}
	object, err := c.objectOf(what, answer)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{Name: w.Name, Version: w.Version, BranchID: w.Branch, client: c}
	p.take(object)
	switch {
	case p.ID == "" && w.ID == "":
		return nil, fmt.Errorf("pipeline %q was fetched, but the answer does not tell its id", w.Name)
	case w.Name != "" && p.Name != w.Name: // what is saved to it would be lost
		return nil, fmt.Errorf("pipeline %q was asked for, and %q (%s) was the answer", w.Name, p.Name, p.ID)
	}
	if p.ID == "" {
		p.ID = w.ID
	}
	return p, nil
}

// objectOf gives the pipeline that an answer holds, or is.
func (c *Client) objectOf(what call, answer map[string]any) (map[string]any, error) {
	if object, ok := answer["object"].(map[string]any); ok {
		return object, nil
	}
	if err := c.failed(what, answer); err != nil {
		return nil, err
	}
	if idOf(answer) != "" || answer["nodes"] != nil {
		return answer, nil
	}
	if object, there := answer["object"]; there && object == nil {
		return nil, &runner.APIError{StatusCode: http.StatusNotFound, Method: what.method, Endpoint: c.endpoint(what), Message: "there is no such pipeline"}
	}
	return nil, c.foreign(what, errors.New("the answer holds no pipeline"))
}

// take makes the pipeline what the platform has.
func (p *Pipeline) take(object map[string]any) {
	p.object = object
	if id := idOf(object); id != "" {
		p.ID = id
	}
	for key, to := range map[string]*string{"name": &p.Name, "description": &p.Description} {
		if text, ok := object[key].(string); ok {
			*to = text
		}
	}
	if branch, ok := object["mainBranch"].(string); ok && p.BranchID == "" {
		p.BranchID = branch
	}
	p.nodes = nodesOf(object)
}

// idOf gives the id of a pipeline that an answer tells of, or "".
func idOf(object map[string]any) string {
	for _, key := range []string{"_id", "id"} {
		if id, ok := object[key].(string); ok && id != "" {
			return id
		}
	}
	return ""
}

// Pipeline is one of which nothing but the id is known: enough to start, run and
// terminate.
func (c *Client) Pipeline(id string) *Pipeline { return &Pipeline{ID: id, client: c} }

// Delete deletes a pipeline.
func (c *Client) Delete(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/pipeline/" + url.PathEscape(id), mutates: true, pipelineID: id})
	return err
}

// inputTypes gives the type of each input of a run, where the nodes are known.
func (p *Pipeline) inputTypes() map[string]string {
	types := map[string]string{}
	for _, n := range p.nodes {
		if n.Type == "input" {
			types[n.Name] = text(n.setting("input_type"))
		}
	}
	return types
}

// rewriteOverrides gives overrides the form of the wire: their keys name nodes, and
// references in their values have ids.
func (p *Pipeline) rewriteOverrides(overrides map[string]any) map[string]any {
	if overrides == nil {
		return nil
	}
	return object(renamed(plain(overrides), idsByName(p.nodes)))
}
