package cli

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"nightshift/runner"
	"nightshift/runner/engine"
	"nightshift/runner/engine/llm"
	"nightshift/runner/vectorshift"
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

// target is the backend that pipelines of a file are run on.
type target struct {
	*fileOptions
	file     *spec.File
	platform *vectorshift.Client // nil: elsewhere
	cluster  bool                // on a Temporal cluster; else, where there is no platform, in this process
	log      *slog.Logger        // may be nil
	std      streams
	asks     bool            // of the engine: models
	unpriced schema.Problems // of these, what has no known price
}

// ready tells whether pipelines can be run here and now: on their backend, and
// with the keys that are there; on a cluster it is its workers that need those. From
// here on the keys are hidden. A logger, which may be nil, takes what calls of the
// backend come to.
func (o *fileOptions) ready(file *spec.File, pipelines []variant, log *slog.Logger, std streams) (*target, error) {
	t := &target{fileOptions: o, file: file, log: log, std: std, cluster: file.Run.Backend == "temporal"}
	if file.Run.Backend == "vectorshift" {
		if problems := hiddenValues(file.Pipeline); len(problems) > 0 {
			return nil, &exitError{exitUsage, problems}
		}
		platform, err := newPlatform(o.env, log)
		if err != nil {
			return nil, err
		}
		t.platform = platform
		file.Redactor = file.Redactor.WithKeys([]string{platform.Key()})
		std.err.redact = file.Redactor
		return t, nil
	}
	if t.cluster {
		file.Redactor = file.Redactor.WithKeys([]string{o.connection.key(o.env)})
	}
	backend, stores := engine.New(o.engine(file)), false
	for _, v := range pipelines {
		needs := backend.Needs(v.pipeline)
		if len(needs.Missing) > 0 && !t.cluster {
			return nil, &exitError{exitUsage, v.where(needs.Missing)}
		}
		file.Redactor = file.Redactor.WithKeys(needs.Keys)
		t.asks, stores = t.asks || needs.Models, stores || needs.Stores
		t.unpriced = append(t.unpriced, v.where(needs.Unpriced)...)
	}
	std.err.redact = file.Redactor
	if stores && !o.rehearse && !t.cluster {
		if err := engine.TryFiles(context.Background(), o.fileArea(file)); err != nil { // before models are paid
			return nil, &exitError{exitResults, err}
		}
	}
	return t, nil
}

// hidden stands for secrets in all that nightshift prints.
const hidden = "[hidden]"

// hiddenValues finds inputs of nodes that were copied from where secrets are hidden:
// saved, they would take the place of the secret.
func hiddenValues(p *spec.Pipeline) (problems schema.Problems) {
	for sub := range p.All() {
		for _, n := range sub.Nodes {
			for input, value := range n.AllInputs() {
				if strings.Contains(string(spec.AppendJSON(nil, value)), hidden) {
					problems = append(problems, n.Problem(input, "node %s: %s holds %s, which was printed in place of a secret; write the secret as ${VARIABLE}", n.Name, input, hidden))
				}
			}
		}
	}
	return problems
}

// newPlatform makes the client of the hosted platform.
func newPlatform(env spec.Environment, log *slog.Logger) (*vectorshift.Client, error) {
	client, err := vectorshift.New(vectorshift.Options{Env: env, Log: log})
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return client, nil
}

// outlives tells whether runs of a backend go on when nightshift ends.
func outlives(backend string) bool { return backend != "local" }

// open makes the backend: the engine with the kept answers of models, if it will
// ask any; a cluster is connected to. release closes them.
func (t *target) open(ctx context.Context, say, warn func(string)) (backend runner.Backend, release func(), err error) {
	release = func() {}
	switch {
	case t.cluster:
		return t.openCluster(ctx, warn)
	case t.platform != nil:
		return vectorshift.NewBackend(t.platform, filepath.Dir(t.file.Path)), release, nil
	}
	options := t.engine(t.file)
	options.Log, options.Warn = say, warn
	if cached := t.file.Run.Cache; t.asks && cached.Enabled && options.Rehearse == nil {
		cache, err := llm.OpenCache(t.file.CachePath(t.env), cached.TTL)
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

// save saves the pipeline of a file, warns of others of its name, and tells what else
// is worth knowing.
func save(ctx context.Context, backend runner.Backend, file *spec.File, o runner.SaveOptions, tell, warn func(string)) (runner.Saved, error) {
	saved, err := backend.Save(ctx, file.Pipeline, o)
	if err != nil {
		return saved, saveError(file.Pipeline, err, o.LookOnly)
	}
	if len(saved.Others) > 0 {
		warn(severalNamed(file.Pipeline.Name, saved.PipelineID, saved.Others))
	}
	for _, note := range saved.Notes {
		tell(oneLine(note))
	}
	return saved, nil
}

// severalNamed says that a name is not one pipeline's alone.
func severalNamed(name, taken string, others []string) string {
	return fmt.Sprintf("there are %d pipelines named %s: the one that was changed last is taken, %s; the others are %s", 1+len(others), name, taken, strings.Join(others, ", "))
}

// written says what a save has written to the hosted platform, a line for each change
// of the pipelines that the file's runs, and one for its own; "": nothing.
func (t *target) written(saved runner.Saved) string {
	if t.platform == nil {
		return ""
	}
	var lines []string
	for _, change := range saved.Changes {
		if strings.HasPrefix(change, "pipeline ") {
			lines = append(lines, oneLine(shownChange(change, t.file.Redactor)))
		}
	}
	if saved.Action == runner.Created || saved.Action == runner.Updated {
		lines = append(lines, fmt.Sprintf("pipeline %s: %s as %s", t.file.Pipeline.Name, saved.Action, saved.PipelineID))
	}
	return strings.Join(lines, "\n")
}

// saveError gives an error of a save its exit code: a saved pipeline that is not
// there is a mistake in the file.
func saveError(p *spec.Pipeline, err error, lookOnly bool) error {
	if isUnknown(err) && p.Nodes == nil {
		return notFound("pipeline "+p.Name+p.ID, err)
	}
	what := "save"
	switch {
	case p.Nodes == nil:
		what = "find"
	case lookOnly:
		what = "look at"
	}
	return callError(fmt.Errorf("cannot %s pipeline %s%s: %w", what, p.Name, p.ID, err))
}
