package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/schema"
	"nightshift/spec"
)

// inputOptions are the flags of commands that run a pipeline once.
type inputOptions struct{ inputs []string }

func (o *inputOptions) inputFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&o.inputs, "input", "i", nil, "give the pipeline an input, as `name=value` (may be repeated)")
}

// given reads the --input flags: values have the types that the pipeline declares;
// without its nodes, any name will do, and values are text. With asFiles, those of
// files are {file: path}. Paths are relative to the working directory here, and
// absolute from here on.
func (o *inputOptions) given(p *spec.Pipeline, asFiles bool) (runner.Inputs, error) {
	declared := p.InputNodes()
	var names []string
	for _, in := range declared {
		names = append(names, in.Name)
	}
	inputs := runner.Inputs{}
	for _, text := range o.inputs {
		name, value, ok := strings.Cut(text, "=")
		_, twice := inputs[name]
		i := slices.Index(names, name)
		switch {
		case !ok || name == "":
			return nil, fmt.Errorf("--input %s: not of the form name=value", text)
		case twice:
			return nil, fmt.Errorf("--input %s is given twice", name)
		case p.Nodes == nil:
			inputs[name] = value
			continue
		case names == nil:
			return nil, fmt.Errorf("--input %s: the pipeline has no inputs", name)
		case i < 0:
			return nil, fmt.Errorf("--input %s: the pipeline has no input of that name%s", name, cmp.Or(schema.DidYouMean(name, names), "; it has "+strings.Join(names, ", ")))
		}
		converted, err := inputValue(value, declared[i].Type, asFiles)
		if err != nil {
			return nil, fmt.Errorf("--input %s: %w", name, err)
		}
		inputs[name] = converted
	}
	for _, in := range declared {
		if _, ok := inputs[in.Name]; !ok && !in.HasDefault {
			return nil, fmt.Errorf("input %s is missing; give it with --input %s=VALUE", in.Name, in.Name)
		}
	}
	return inputs, nil
}

// inputValue gives the text of a flag the type of its input.
func inputValue(text, typ string, asFiles bool) (any, error) {
	v, err := spec.Convert(text, typ)
	if err != nil {
		return nil, err
	}
	element := strings.TrimRight(strings.ReplaceAll(typ, "vec<", ""), ">")
	if element == "image" || asFiles && (element == "file" || element == "audio") {
		return paths(v, asFiles)
	}
	return v, nil
}

var isAddress = spec.Pattern(`(?i)^(https?|data):`)

// paths makes the paths in a value, or in a list of them, absolute; with asFiles, each
// becomes the file that it names.
func paths(v any, asFiles bool) (any, error) {
	switch v := v.(type) {
	case string:
		if v == "" && asFiles {
			return nil, errors.New("it is empty, but must be the path of a file")
		}
		if v == "" || isAddress().MatchString(v) {
			return v, nil
		}
		absolute, err := filepath.Abs(v)
		if err != nil || !asFiles {
			return absolute, err
		}
		return map[string]any{"file": absolute}, nil
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = paths(v[i], asFiles); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return v, nil
}

// declared is the pipeline whose inputs a run takes: that of the file or, where it
// names a saved one, what of that can be declared.
func (t *target) declared(ctx context.Context) (*spec.Pipeline, error) {
	p := t.file.Pipeline
	if p.Nodes != nil || t.platform == nil {
		return p, nil
	}
	saved, err := t.platform.Fetch(ctx, vectorshift.Which{ID: p.ID, Name: p.Name})
	if err != nil {
		return nil, saveError(p, fmt.Errorf("pipeline %s%s: %w", p.Name, p.ID, err), false)
	}
	if declared, _, err := saved.Spec(); err == nil {
		return declared, nil
	}
	return p, nil // its inputs are not checked here
}

// oneRun is what a run of a file's pipeline needs that belongs to no batch.
type oneRun struct {
	backend    runner.Backend
	release    func() // of the backend
	pipelineID string
	inputs     runner.Inputs
}

// prepare saves the pipeline, once the inputs are known to be right.
func (o *inputOptions) prepare(ctx context.Context, t *target, say func(string)) (*oneRun, error) {
	declared, err := t.declared(ctx)
	if err != nil {
		return nil, err
	}
	inputs, err := o.given(declared, t.platform != nil || t.cluster)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	backend, release, err := t.open(ctx, say, say)
	if err != nil {
		return nil, err
	}
	saved, err := save(ctx, backend, t.file, runner.SaveOptions{}, say, say)
	if err != nil {
		release()
		return nil, err
	}
	if written := t.written(saved); written != "" {
		say(written)
	}
	return &oneRun{backend, release, saved.PipelineID, inputs}, nil
}
