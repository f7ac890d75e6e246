package cli

import (
	"fmt"
	"slices"

	"nightshift/runner/engine"
	"nightshift/runner/engine/llm"
	"nightshift/schema"
	"nightshift/spec"
)

// variants are the pipelines that batches run: the file's and, where a batch
// overrides inputs of nodes, one of its own.
func variants(file *spec.File, batches []*spec.Batch) []*spec.Pipeline {
	list := []*spec.Pipeline{file.Pipeline}
	if !slices.ContainsFunc(batches, func(b *spec.Batch) bool { return len(b.NodeInputOverrides) == 0 }) && len(batches) > 0 {
		list = nil
	}
	for _, b := range batches {
		if len(b.NodeInputOverrides) == 0 {
			continue
		}
		if p, err := file.Pipeline.Override(b.NodeInputOverrides); err == nil { // spec has said what is wrong with it
			list = append(list, p)
		}
	}
	return list
}

// check says what the engine cannot run of a file, also with what its batches
// override.
func (o *fileOptions) check(file *spec.File) schema.Problems {
	backend := engine.New(o.engine(file))
	if problems := backend.Check(file.Pipeline); len(problems) > 0 {
		return problems
	}
	var problems schema.Problems
	for _, b := range file.Batches {
		for _, p := range variants(file, []*spec.Batch{b}) {
			if p == file.Pipeline {
				continue
			}
			for _, problem := range backend.Check(p) {
				problem.Message = fmt.Sprintf("with node_input_overrides of batch %s: %s", b.Name, problem.Message)
				problems = append(problems, problem)
			}
		}
	}
	return problems
}

// ready tells whether pipelines can be run here and now: on their backend, and
// with the keys that are there. From here on the keys are hidden.
func (o *fileOptions) ready(file *spec.File, pipelines []*spec.Pipeline, std streams) error {
	if file.Run.Backend != "local" {
		return &exitError{exitUsage, fmt.Errorf("backend %s is not in this version of nightshift; backend local is", file.Run.Backend)}
	}
	backend := engine.New(o.engine(file))
	for _, p := range pipelines {
		if lacks := backend.Lacks(p); len(lacks) > 0 {
			return &exitError{exitUsage, lacks}
		}
		keys, _ := backend.Keys(p)
		file.Redactor = file.Redactor.WithKeys(keys)
	}
	std.err.redact = file.Redactor
	return nil
}

// backend makes the engine, with the kept answers of models where pipelines ask
// any; release closes them.
func (o *fileOptions) backend(file *spec.File, pipelines []*spec.Pipeline, say, warn func(string)) (backend *engine.Engine, release func(), err error) {
	options := o.engine(file)
	options.Log, options.Warn = say, warn
	release = func() {}
	asks := slices.ContainsFunc(pipelines, func(p *spec.Pipeline) bool {
		_, asks := engine.New(options).Keys(p)
		return asks
	})
	if asks && file.Run.Cache.Enabled {
		cache, err := llm.OpenCache(file.CachePath(o.env), file.Run.Cache.TTL)
		if err != nil {
			return nil, nil, &exitError{exitResults, err}
		}
		options.Cache = cache
		release = func() {
			if err := cache.Close(); err != nil {
				warn(err.Error())
			}
		}
	}
	return engine.New(options), release, nil
}
