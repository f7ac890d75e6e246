package cli

import (
	"context"
	"fmt"
	"slices"

	"nightshift/runner"
	"nightshift/runner/engine"
	"nightshift/runner/engine/llm"
	"nightshift/schema"
	"nightshift/spec"
)

// variants are the pipelines that batches run: the file's and, where a batch
// overrides inputs of nodes, one of its own.
func variants(file *spec.File, batches []*spec.Batch) []variant {
	var list []variant
	if len(batches) == 0 || slices.ContainsFunc(batches, func(b *spec.Batch) bool { return len(b.NodeInputOverrides) == 0 }) {
		list = append(list, variant{pipeline: file.Pipeline})
	}
	for _, b := range batches {
		if len(b.NodeInputOverrides) == 0 {
			continue
		}
		if p, err := file.Pipeline.Override(b.NodeInputOverrides); err == nil { // spec has said what is wrong with it
			list = append(list, variant{b.Name, p})
		}
	}
	return list
}

// variant is a pipeline as a batch runs it; batch is "" for the file's own.
type variant struct {
	batch    string
	pipeline *spec.Pipeline
}

// where says of problems that they are those of what a batch overrides.
func (v variant) where(problems schema.Problems) schema.Problems {
	for i := range problems {
		if v.batch != "" {
			problems[i].Message = fmt.Sprintf("with node_input_overrides of batch %s: %s", v.batch, problems[i].Message)
		}
	}
	return problems
}

// check says what the engine cannot run of a file, also with what its batches
// override.
func (o *fileOptions) check(file *spec.File) schema.Problems {
	backend := engine.New(o.engine(file))
	if problems := backend.Check(file.Pipeline); len(problems) > 0 {
		return problems
	}
	var problems schema.Problems
	for _, v := range variants(file, file.Batches) {
		if v.batch != "" {
			problems = append(problems, v.where(backend.Check(v.pipeline))...)
		}
	}
	return problems
}

// asking is what pipelines have to do with models.
type asking struct {
	asked    bool
	unpriced schema.Problems // what has no known price
}

// ready tells whether pipelines can be run here and now: on their backend, and
// with the keys that are there. From here on the keys are hidden.
func (o *fileOptions) ready(file *spec.File, pipelines []variant, std streams) (m asking, err error) {
	if file.Run.Backend != "local" {
		return m, &exitError{exitUsage, fmt.Errorf("backend %s is not in this version of nightshift; backend local is", file.Run.Backend)}
	}
	backend := engine.New(o.engine(file))
	for _, v := range pipelines {
		needs := backend.Needs(v.pipeline)
		if len(needs.Missing) > 0 {
			return m, &exitError{exitUsage, v.where(needs.Missing)}
		}
		file.Redactor = file.Redactor.WithKeys(needs.Keys)
		m.asked = m.asked || needs.Models
		m.unpriced = append(m.unpriced, v.where(needs.Unpriced)...)
	}
	std.err.redact = file.Redactor
	return m, nil
}

// backend makes the engine, with the kept answers of models if it will ask any;
// release closes them.
func (o *fileOptions) backend(file *spec.File, asks bool, say, warn func(string)) (backend *engine.Engine, release func(), err error) {
	options := o.engine(file)
	options.Log, options.Warn = say, warn
	release = func() {}
	if asks && file.Run.Cache.Enabled {
		cache, err := llm.OpenCache(file.CachePath(o.env), file.Run.Cache.TTL)
		if err != nil {
			return nil, nil, &exitError{exitResults, fmt.Errorf("%w; or set run.cache: false, or run.cache.path to another file", err)}
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

// save saves the pipeline of a file.
func save(ctx context.Context, backend runner.Backend, file *spec.File) (runner.Saved, error) {
	saved, err := backend.Save(ctx, file.Pipeline, runner.SaveOptions{})
	if err != nil {
		return saved, &exitError{exitBackend, fmt.Errorf("cannot save pipeline %s: %w", file.Pipeline.Name, err)}
	}
	return saved, nil
}
