package spec

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// MaxSubDepth is how many pipelines may stand inside one another, beside the
// outermost.
const MaxSubDepth = 10

// PipelineRef says which pipeline a pipeline node runs: a saved one by id or name,
// or one that a file holds, which a name beside it saves under another name.
type PipelineRef struct{ ID, Name, File string }

// pipelineRefKeys are those of a reference that is written as a map; the latter
// three are the platform's.
var pipelineRefKeys = []string{"file", "name", "id", "object_id", "object_type", "branch_id"}

// ParsePipelineRef reads the input `pipeline` of a pipeline node: {file: sub.yaml},
// {name: summariser}, both, {id: 66f1}, the platform's {object_id: 66f1, object_type:
// 0, branch_id: main}, or plain text, which is a name.
func ParsePipelineRef(v any) (PipelineRef, error) {
	for range ParseTemplate(v).Refs() {
		return PipelineRef{}, fmt.Errorf("which pipeline is run must be known before the run; a reference cannot say it")
	}
	if name, ok := v.(string); ok && name != "" {
		return PipelineRef{Name: name}, nil
	}
	fields, ok := v.(map[string]any)
	if !ok && !IsEmpty(v) {
		return PipelineRef{}, fmt.Errorf("a pipeline is named by {file: sub.yaml}, {name: ...} or {id: ...}, not by %s", kindOf(v))
	}
	texts := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := fields[key]
		text, isText := value.(string)
		switch {
		case !slices.Contains(pipelineRefKeys, key):
			return PipelineRef{}, fmt.Errorf("%q says nothing about a pipeline%s", key, schema.DidYouMean(key, pipelineRefKeys))
		case key == "object_type":
			if value != json.Number("0") && value != nil {
				return PipelineRef{}, fmt.Errorf("object_type %s is no pipeline; that is 0", Text(value))
			}
		case value == nil: // as the platform writes a branch that there is none of
		case text == "" && isText:
			return PipelineRef{}, fmt.Errorf("%s is empty", key)
		case !isText:
			return PipelineRef{}, fmt.Errorf("%s must be text, not %s", key, kindOf(value))
		default:
			texts[key] = text
		}
	}
	ref := PipelineRef{ID: texts["id"], Name: texts["name"], File: texts["file"]}
	switch id := texts["object_id"]; {
	case id != "" && ref.ID != "":
		return PipelineRef{}, fmt.Errorf("id and object_id say the same; one must go")
	case id != "":
		ref.ID = id
	}
	switch {
	case ref == PipelineRef{}:
		return PipelineRef{}, fmt.Errorf("no pipeline is named; write {file: sub.yaml}, {name: ...} or {id: ...}")
	case ref.ID != "" && (ref.Name != "" || ref.File != ""):
		return PipelineRef{}, fmt.Errorf("a pipeline with an id is saved already: name and file must go")
	}
	return ref, nil
}

// PipelineRef says which pipeline a pipeline node runs. The older name of the input,
// pipeline_id, is known too; plain text is an id there.
func (n *Node) PipelineRef() (PipelineRef, error) {
	input := n.pipelineInput()
	v := n.Inputs[input]
	if id, ok := v.(string); ok && input == "pipeline_id" {
		v = map[string]any{"id": id}
	}
	return ParsePipelineRef(v)
}

// pipelineInput is the input of a pipeline node that names the pipeline.
func (n *Node) pipelineInput() string {
	_, given := n.Inputs["pipeline"]
	if _, older := n.Inputs["pipeline_id"]; older && !given {
		return "pipeline_id"
	}
	return "pipeline"
}

// All walks a pipeline and those that its nodes bring from files, each file once.
func (p *Pipeline) All() iter.Seq[*Pipeline] {
	return func(yield func(*Pipeline) bool) {
		seen := map[*yaml.Node]bool{}
		var walk func(p *Pipeline) bool
		walk = func(p *Pipeline) bool {
			if p.at != nil && seen[p.at] {
				return true
			}
			seen[p.at] = true
			if !yield(p) {
				return false
			}
			for _, n := range p.Nodes {
				if n.Sub != nil && !walk(n.Sub) {
					return false
				}
			}
			return true
		}
		walk(p)
	}
}
