package vectorshift

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"nightshift/runner"
)

// New creates an empty pipeline of that name, also where there are others of it. One
// whose answer was lost is looked for before it is tried again: there are never two.
func (c *Client) New(ctx context.Context, name string) (*Pipeline, error) {
	known, err := c.idsOf(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("pipeline %s: %w", name, err)
	}
	p, err := c.create(ctx, name, "", known)
	if err != nil {
		return nil, fmt.Errorf("pipeline %s: %w", name, err)
	}
	return p, nil
}

// create creates a pipeline of a name of which those with the known ids are there
// already.
func (c *Client) create(ctx context.Context, name, description string, known []string) (*Pipeline, error) {
	body := emptyGraph()
	body["name"] = name
	if description != "" {
		body["description"] = description
	}
	what := call{method: http.MethodPost, path: "/pipeline", body: body, mutates: true}
	for n := 1; ; n++ {
		answer, err := c.do(ctx, what)
		if err == nil && idOf(answer) != "" {
			p := &Pipeline{Name: name, Description: description, client: c}
			created := plain(body).(map[string]any)
			created["_id"], created["mainBranch"] = idOf(answer), text(answer["branch_id"])
			p.take(created)
			return p, nil
		}
		if err == nil {
			err = c.foreign(what, errors.New("the answer does not tell the id of what was created"))
		}
		if !runner.MayPass(err) {
			return nil, err
		}
		if !pause(ctx, n+1, err) { // longer than elsewhere: what is late would be there twice
			return nil, lost(err)
		}
		switch p, lookErr := c.newest(ctx, name, known); {
		case p != nil:
			return p, nil
		case lookErr != nil:
			return nil, fmt.Errorf("%w; looked for: %w", lost(err), lookErr)
		case n == tries:
			return nil, err
		}
	}
}

// lost says that nobody knows what became of a create.
func lost(err error) error {
	return fmt.Errorf("whether it was created is not known: %w", err)
}

// emptyGraph is the graph of no nodes.
func emptyGraph() map[string]any {
	return map[string]any{
		"nodes": map[string]any{}, "inputs": map[string]any{}, "outputs": map[string]any{},
		"canvas_metadata": map[string]any{"nodes": map[string]any{}, "edges": []any{}},
	}
}

// newest gives the pipeline of that name that is none of the known ones; nil: there
// is none.
func (c *Client) newest(ctx context.Context, name string, known []string) (*Pipeline, error) {
	var ids []string
	err := again(ctx, func() (err error) {
		ids, err = c.idsOf(ctx, name)
		return err
	})
	for _, id := range ids {
		if !slices.Contains(known, id) {
			var p *Pipeline
			err = again(ctx, func() (err error) {
				p, err = c.Fetch(ctx, Which{ID: id})
				return err
			})
			if err == nil {
				p.Name = name
				if p.object["nodes"] == nil { // it has just been created
					p.object["nodes"] = map[string]any{}
				}
			}
			return p, err
		}
	}
	return nil, err
}

// idsOf lists the pipelines of a name, that which was modified last at the front.
func (c *Client) idsOf(ctx context.Context, name string) ([]string, error) {
	p, err := c.Fetch(ctx, Which{Name: name})
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	others, err := c.others(ctx, p)
	return append([]string{p.ID}, others...), err
}
