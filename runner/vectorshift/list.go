package vectorshift

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// ListOptions choose pipelines.
type ListOptions struct {
	IncludeShared bool   // those that others have shared too
	Folder        string // "": of all folders
	Offset, Limit int    // 0: from the first; as many as the platform gives
}

// Listed is a pipeline of a list.
type Listed struct{ ID, Name string }

// List lists pipelines.
func (c *Client) List(ctx context.Context, o ListOptions) ([]Listed, error) {
	query := url.Values{"verbose": {"true"}, "include_shared": {strconv.FormatBool(o.IncludeShared)}}
	if o.Folder != "" {
		query.Set("folder_id", o.Folder)
	}
	for name, n := range map[string]int{"offset": o.Offset, "limit": o.Limit} {
		if n > 0 {
			query.Set(name, strconv.Itoa(n))
		}
	}
	what := call{method: http.MethodGet, path: "/pipelines", query: query}
	answer, err := c.do(ctx, what)
	if err == nil {
		err = c.failed(what, answer)
	}
	if err != nil {
		return nil, err
	}
	var all []Listed
	objects, _ := answer["objects"].([]any)
	for _, raw := range objects {
		if id := idOf(object(raw)); id != "" {
			all = append(all, Listed{ID: id, Name: text(object(raw)["name"])})
		}
	}
	ids, _ := answer["object_ids"].([]any)
	for _, id := range ids { // of which nothing more is told
		if id := text(id); id != "" && !slices.ContainsFunc(all, func(l Listed) bool { return l.ID == id }) {
			all = append(all, Listed{ID: id})
		}
	}
	return all, nil
}

// others gives the ids of other pipelines of a pipeline's name. That they cannot be
// listed is no reason to fail: they are named in a warning.
func (c *Client) others(ctx context.Context, p *Pipeline) ([]string, error) {
	all, err := c.List(ctx, ListOptions{})
	if err != nil {
		return nil, ctx.Err()
	}
	var ids []string
	for _, l := range all {
		if l.Name == p.Name && l.ID != p.ID {
			ids = append(ids, l.ID)
		}
	}
	return ids, nil
}
