package vectorshifttest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// pipeline is one that is kept. Its objects are as they are fetched: _id, name,
// description, mainBranch, nodes, canvas_metadata, inputs, outputs, and whatever else
// was put into them.
type pipeline struct {
	id        string
	name      string
	object    map[string]any            // of the main branch
	published map[string]any            // that runs execute; nil: nothing was deployed
	versions  map[string]map[string]any // by tag
	number    [3]int                    // of the newest tag
	saved     int                       // the higher, the later
}

// Put keeps a pipeline as if somebody had saved it with the web page, and gives its
// id. The object may hold anything; _id and mainBranch are added.
func (s *Server) Put(object map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.put(clone(object).(map[string]any))
	p.published = p.object
	return p.id
}

func (s *Server) put(object map[string]any) *pipeline {
	p := &pipeline{id: s.id("a"), object: object, versions: map[string]map[string]any{}}
	p.name, _ = object["name"].(string)
	object["_id"], object["mainBranch"] = p.id, s.id("b")
	for _, key := range []string{"nodes", "canvas_metadata", "inputs", "outputs"} {
		if object[key] == nil {
			object[key] = map[string]any{}
		}
	}
	s.touch(p)
	s.pipelines[p.id] = p
	return p
}

// touch makes a pipeline the newest.
func (s *Server) touch(p *pipeline) {
	s.saves++
	p.saved = s.saves
}

// Object gives a pipeline as it is fetched; nil: there is none.
func (s *Server) Object(id string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pipelines[id]; p != nil {
		return clone(p.object).(map[string]any)
	}
	return nil
}

// Pipelines gives the ids of the pipelines of a name, the newest first; "" is any
// name.
func (s *Server) Pipelines(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, p := range s.named(name) {
		ids = append(ids, p.id)
	}
	return ids
}

func (s *Server) named(name string) []*pipeline {
	newest := func(a, b *pipeline) int { return cmp.Compare(b.saved, a.saved) }
	list := slices.SortedFunc(maps.Values(s.pipelines), newest)
	return slices.DeleteFunc(list, func(p *pipeline) bool { return name != "" && p.name != name })
}

func (s *Server) create(c *Call) answer {
	if name, _ := c.Body["name"].(string); name == "" {
		return refuse(http.StatusBadRequest, "name is missing")
	}
	if err := checkGraph(c.Body); err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	p := s.put(clone(c.Body).(map[string]any))
	c.PipelineID = p.id
	return ok(map[string]any{"status": "success", "id": p.id, "branch_id": p.object["mainBranch"]})
}

func (s *Server) fetch(c *Call) answer {
	var p *pipeline
	if id := c.Query.Get("id"); id != "" {
		p = s.pipelines[id]
	} else if list := s.named(c.Query.Get("name")); c.Query.Get("name") != "" && len(list) > 0 {
		p = list[0]
	}
	if p == nil {
		return refuse(http.StatusNotFound, "pipeline not found")
	}
	object := p.object
	if tag := c.Query.Get("version"); tag != "" {
		if object = p.versions[tag]; object == nil {
			return refuse(http.StatusNotFound, "version "+tag+" not found")
		}
	}
	if branch := c.Query.Get("branch_id"); branch != "" && branch != p.object["mainBranch"] {
		return refuse(http.StatusNotFound, "branch "+branch+" not found")
	}
	return ok(map[string]any{"status": "success", "object": clone(object)})
}

func (s *Server) save(p *pipeline, c *Call) answer {
	if branch := c.Body["branch_id"]; branch != nil && branch != "" && branch != p.object["mainBranch"] {
		return refuse(http.StatusNotFound, fmt.Sprintf("branch %v not found", branch))
	}
	if err := checkGraph(c.Body); err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	bump, _ := c.Body["bump"].(string)
	part := slices.Index([]string{"major", "minor", "patch"}, bump)
	if bump != "" && part < 0 {
		return refuse(http.StatusBadRequest, "bump is "+bump)
	}
	object := maps.Clone(p.object)
	for key, value := range clone(c.Body).(map[string]any) {
		if !slices.Contains([]string{"deploy", "bump", "branch_id", "_id", "mainBranch"}, key) {
			object[key] = value
		}
	}
	p.object = object
	if deploy, given := c.Body["deploy"].(bool); deploy || !given {
		p.published = object
	}
	if bump != "" {
		p.number[part]++
		clear(p.number[part+1:])
		p.versions[fmt.Sprintf("%d.%d.%d", p.number[0], p.number[1], p.number[2])] = object
	}
	s.touch(p)
	return ok(map[string]any{"status": "success"})
}

func (s *Server) list(c *Call) answer {
	list := s.named("")
	if offset, err := strconv.Atoi(c.Query.Get("offset")); err == nil {
		list = list[min(max(offset, 0), len(list)):]
	}
	if limit, err := strconv.Atoi(c.Query.Get("limit")); err == nil && limit > 0 {
		list = list[:min(limit, len(list))]
	}
	ids, objects := []any{}, []any{}
	for _, p := range list {
		ids, objects = append(ids, p.id), append(objects, clone(p.object))
	}
	body := map[string]any{"status": "success", "object_ids": ids}
	if c.Query.Get("verbose") == "true" {
		body["objects"] = objects
	}
	return ok(body)
}

// executed is what a run executes: a version or, with "", what is published or
// else there.
func (p *pipeline) executed(version string) map[string]any {
	switch {
	case version != "":
		return p.versions[version]
	case p.published != nil:
		return p.published
	}
	return p.object
}

// text gives a value as text, "" where it is none.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
