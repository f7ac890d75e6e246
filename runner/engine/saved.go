package engine

import (
	"context"
	"crypto/sha256"
	"fmt"

	"nightshift/runner"
	"nightshift/spec"
)

// keptVariants is how many programs with overridden node inputs are kept for a
// pipeline: a server may be sent other ones with every run.
const keptVariants = 64

// saved is a pipeline that runs can be started of.
type saved struct {
	pipeline *spec.Pipeline
	program  *program
	digest   [sha256.Size]byte
	variants map[string]*program // with node inputs overridden, by the overrides
}

// Save keeps the pipeline under its name for this process.
func (e *Engine) Save(_ context.Context, p *spec.Pipeline, o runner.SaveOptions) (runner.Saved, error) {
	compiled, problems := e.compile(p)
	if len(problems) > 0 {
		return runner.Saved{}, problems
	}
	id := spec.PipelineID(p.Name)
	digest := sha256.Sum256(canonical(p))

	e.mu.Lock()
	defer e.mu.Unlock()
	action := runner.Created
	if old := e.pipelines[id]; old != nil {
		if old.digest == digest {
			return runner.Saved{PipelineID: id, Action: runner.Unchanged}, nil
		}
		action = runner.Updated
	}
	if o.LookOnly {
		return runner.Saved{PipelineID: id, Action: action}, nil
	}
	e.pipelines[id] = &saved{pipeline: p, program: compiled, digest: digest, variants: map[string]*program{}}
	return runner.Saved{PipelineID: id, Action: action}, nil
}

// canonical is the graph as text, with those that files bring: equal graphs give
// equal bytes.
func canonical(p *spec.Pipeline) []byte {
	var all []any
	for p := range p.All() {
		all = append(all, p.Variables)
		for _, n := range p.Nodes {
			all = append(all, n.Name, n.Type, n.ExecutionMode, n.Inputs, n.CyclicInputs, n.Code)
		}
	}
	return spec.AppendJSON(nil, all)
}

// program gives the compiled pipeline, with node inputs overridden where asked for.
func (e *Engine) program(id string, overrides map[string]any) (*program, error) {
	key := ""
	if len(overrides) > 0 {
		key = string(spec.AppendJSON(nil, overrides))
	}
	e.mu.Lock()
	s := e.pipelines[id]
	var kept *program
	if s != nil {
		if kept = s.variants[key]; key == "" {
			kept = s.program
		}
	}
	e.mu.Unlock()
	switch {
	case s == nil:
		return nil, fmt.Errorf("there is no pipeline %q in this engine", id)
	case kept != nil:
		return kept, nil
	}
	variant, err := e.override(s.pipeline, overrides) // which looks up the pipelines that nodes run
	if err != nil {
		return nil, &runner.InputError{Err: err}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(s.variants) >= keptVariants {
		clear(s.variants)
	}
	s.variants[key] = variant
	return variant, nil
}
