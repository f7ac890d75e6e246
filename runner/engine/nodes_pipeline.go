package engine

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// compilePipeline runs another pipeline: one that a file brings, or one of this
// engine by id or name, itself among them. It runs within the run of its node, which
// is suspended with it, and keeps what it has until then.
func compilePipeline(s *setup) step {
	find, sub := s.subPipeline()
	if find == nil {
		return nil
	}
	typed := *s.spec
	typed.Sub = sub
	s.spec = &typed
	inputs := s.subInputs()
	under := s.memo()
	outputs := map[string]int{}
	for key, info := range s.slots {
		if key[0] == s.spec.Name && info.slot != s.made.complete {
			outputs[key[1]] = info.slot
		}
	}
	return func(c *call) error {
		sub, _ := c.kept[under].(*run)
		if sub == nil {
			in := make(runner.Inputs, len(inputs))
			for _, input := range inputs {
				v, err := input.value(c)
				if err != nil {
					return err
				}
				in[input.name] = v
			}
			var err error
			if sub, err = c.run.inner(find, in); err != nil {
				return err
			}
			c.kept[under] = sub
		}
		status, err := sub.within(c)
		if err != nil {
			return err
		}
		c.kept[under] = nil
		for name, slot := range outputs {
			v, ok := status.Outputs[name]
			if !ok {
				return fmt.Errorf("pipeline %s has no output %q", sub.program.pipeline.Name, name)
			}
			c.set(slot, v)
		}
		return nil
	}
}

// subInput is an input of another pipeline. Only paths that the author has written are
// read as files; what a node gives is one already.
type subInput struct {
	input
	typ, dir string
}

func (in subInput) value(c *call) (any, error) {
	v := in.input.value(c)
	if v == nil || !spec.IsFileType(in.typ) {
		return v, nil
	}
	v, err := openFiles(v, in.typ, in.dir)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.name, err)
	}
	return v, nil
}

// subInputs are those that the node gives a value.
func (s *setup) subInputs() (inputs []subInput) {
	for _, name := range s.spec.InputNames {
		common := slices.ContainsFunc(schema.CommonInputs(), func(f schema.Field) bool { return f.Name == name })
		if common || name == "pipeline" || name == "pipeline_id" {
			continue
		}
		in := subInput{typ: s.spec.InputType(name), dir: s.engine.dir}
		if spec.IsFileType(in.typ) {
			in.input = s.fileIn(name).input
		} else {
			in.input = s.in(name)
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// subPipeline finds the pipeline that a node runs. By name or id that is the one that
// the node stands in, at any depth, or one that is saved: that may be saved anew, so it
// is looked up when it runs. The types of its inputs are those that it has now.
func (s *setup) subPipeline() (find func() (*program, error), now *spec.Pipeline) {
	ref, err := s.spec.PipelineRef()
	switch {
	case err != nil:
		s.refuse("pipeline", "node %s: %v", s.spec.Name, err)
		return nil, nil
	case s.spec.Sub != nil:
		made, problems := s.engine.compileIn(s.compiler, s.spec.Sub)
		s.problems = union(s.problems, problems)
		if len(problems) > 0 {
			return nil, nil
		}
		s.program.needs.add(made.needs)
		return func() (*program, error) { return made, nil }, s.spec.Sub
	}
	id := ref.ID
	if id == "" {
		id = pipelineID(ref.Name)
	}
	for around := s.compiler; around != nil; around = around.outer {
		if name := around.pipeline.Name; name != "" && id == pipelineID(name) {
			for inner := s.compiler; inner != around; inner = inner.outer {
				inner.open = true
			}
			made := around.program
			return func() (*program, error) { return made, nil }, around.pipeline
		}
	}
	engine := s.engine
	saved, err := engine.program(id, nil)
	if info, e := os.Stat(filepath.Join(engine.dir, ref.Name)); err != nil && ref.Name != "" && e == nil && info.Mode().IsRegular() {
		s.refuse("pipeline", "node %s: no pipeline is saved as %s; the file of that name is meant by pipeline: {file: %s}", s.spec.Name, ref.Name, ref.Name)
		return nil, nil
	}
	if err != nil {
		how, name := "--name "+ref.Name, "pipeline "+ref.Name
		if ref.ID != "" {
			how, name = "--id "+ref.ID, "pipeline "+ref.ID
		}
		s.refuse("pipeline", "node %s: %s is not on this machine; fetch it with nightshift pull %s > sub.yaml, and name it by its file: pipeline: {file: sub.yaml}", s.spec.Name, name, how)
		return nil, nil
	}
	s.program.needs.add(saved.needs)
	return func() (*program, error) { return engine.program(id, nil) }, saved.pipeline
}

// inner makes a run of a pipeline within this one.
func (r *run) inner(find func() (*program, error), in runner.Inputs) (*run, error) {
	if r.depth >= spec.MaxSubDepth {
		return nil, fmt.Errorf("pipelines run one another more than %d deep; a condition must stop that", spec.MaxSubDepth)
	}
	p, err := find()
	if err != nil {
		return nil, err
	}
	sub, err := newRun(p, in)
	if err != nil {
		return nil, fmt.Errorf("pipeline %s: %w", p.pipeline.Name, err)
	}
	sub.cancel() // it lives as long as what it runs in
	sub.depth, sub.answersSince, sub.log = r.depth+1, r.answersSince, r.log
	return sub, nil
}

// within works on a run as a part of a call. The error is that of a node in it; one
// that passes lets the run around it be suspended.
func (r *run) within(c *call) (runner.Status, error) {
	r.ctx, r.cancel = context.WithCancel(c.ctx)
	defer r.cancel()
	status := r.execute()
	if status.Usage != nil {
		c.usage = c.usage.Add(*status.Usage)
		r.usage = nil
	}
	switch {
	case status.Suspended != nil:
		return status, slices.MaxFunc(status.Suspended.Errs, func(a, b error) int { return cmp.Compare(patience(a), patience(b)) }) // one for all
	case status.State == runner.Cancelled:
		return status, c.ctx.Err()
	}
	return status, status.Err
}
