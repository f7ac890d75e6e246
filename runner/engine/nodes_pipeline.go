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
	outputs := s.outs()
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
	typ  string
	disk disk
}

func (in subInput) value(c *call) (any, error) {
	v := in.input.value(c)
	if v == nil || !spec.IsFileType(in.typ) {
		return v, nil
	}
	v, err := openFiles(v, in.typ, in.disk)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.name, err)
	}
	return v, nil
}

// subInputs are those that the node gives a value.
func (s *setup) subInputs() (inputs []subInput) {
	for _, name := range s.openInputs() {
		if name == "pipeline_id" { // which older pipelines have
			continue
		}
		in := subInput{typ: s.spec.InputType(name), disk: s.engine.disk}
		if spec.IsFileType(in.typ) {
			in.input = s.fileIn(name).input
		} else {
			in.input = s.in(name)
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// finder finds what a node runs when it does so, from the run that the node is in, and
// the run that it stands in: nil where it stands in none.
type finder func(r *run) (p *program, outer *run, err error)

// named is a node that says by name or id which pipeline it runs.
type named struct {
	node *spec.Node
	ref  spec.PipelineRef
	id   string
}

// subPipeline finds the pipeline that a node runs. By name or id that is the one that
// the node stands in, at any depth, or one that is saved: either is looked up when it
// runs, as a file may stand in several, and a saved one may be saved anew. The types of
// its inputs are those that it has now.
func (s *setup) subPipeline() (find finder, now *spec.Pipeline) {
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
		return func(r *run) (*program, *run, error) { return made, r, nil }, s.spec.Sub
	}
	by := named{s.spec, ref, ref.ID}
	if by.id == "" {
		by.id = spec.PipelineID(ref.Name)
	}
	if around := s.around(by); around != nil {
		if around != s.compiler {
			s.outward = union(s.outward, []named{by})
		}
		now = around.pipeline
	} else {
		saved, problem := s.engine.named(by)
		if saved == nil {
			s.problems = append(s.problems, problem)
			return nil, nil
		}
		s.program.needs.add(saved.needs)
		now = saved.pipeline
	}
	if out := now.Node("complete"); out != nil && out.Type == "output" {
		s.refuse("pipeline", "output complete of pipeline %s has the name of the output that every node has; rename it", now.Name)
		return nil, nil
	}
	return s.engine.finder(by), now
}

// around finds the pipeline that a node names among this one and those that it stands
// in; nil where it is none of them.
func (c *compiler) around(by named) *compiler {
	for c != nil && c.id != by.id {
		c = c.outer
	}
	return c
}

// finder looks a pipeline up as around does, and then among those that are saved.
func (e *Engine) finder(by named) finder {
	return func(r *run) (*program, *run, error) {
		for ; r != nil; r = r.outer {
			if r.program.id == by.id {
				return r.program, r.outer, nil
			}
		}
		saved, err := e.program(by.id, nil)
		if err != nil {
			err = fmt.Errorf("pipeline %s is neither on this machine nor around this one", cmp.Or(by.ref.Name, by.ref.ID))
		}
		return saved, nil, err
	}
}

// named finds the saved pipeline that a node names; nil where there is none, which is
// the problem.
func (e *Engine) named(by named) (*program, schema.Problem) {
	saved, err := e.program(by.id, nil)
	if err == nil {
		return saved, schema.Problem{}
	}
	node, name := by.node, by.ref.Name
	if info, err := os.Stat(filepath.Join(e.disk.dir, name)); name != "" && err == nil && info.Mode().IsRegular() {
		return nil, node.Problem("pipeline", "node %s: no pipeline is saved as %s; the file of that name is meant by pipeline: {file: %s}", node.Name, name, name)
	}
	how := "--name " + name
	if by.ref.ID != "" {
		how, name = "--id "+by.ref.ID, by.ref.ID
	}
	return nil, node.Problem("pipeline", "node %s: pipeline %s is not on this machine; fetch it with nightshift pull %s > sub.yaml, and name it by its file: pipeline: {file: sub.yaml}", node.Name, name, how)
}

// inner makes a run of a pipeline within this one.
func (r *run) inner(find finder, in runner.Inputs) (*run, error) {
	if r.depth >= spec.MaxSubDepth {
		return nil, fmt.Errorf("pipelines run one another more than %d deep; a condition must stop that", spec.MaxSubDepth)
	}
	p, outer, err := find(r)
	if err != nil {
		return nil, err
	}
	sub, err := newRun(p, in)
	if err != nil {
		return nil, fmt.Errorf("pipeline %s: %w", p.pipeline.Name, err)
	}
	sub.cancel() // it lives as long as what it runs in
	sub.outer = outer
	sub.around, sub.depth, sub.answersSince, sub.log = r, r.depth+1, r.answersSince, r.log
	return sub, nil
}

// within works on a run as a part of a call. The error is that of a node in it; one
// that passes lets the run around it be suspended.
func (r *run) within(c *call) (runner.Status, error) {
	r.ctx, r.cancel = context.WithCancel(c.ctx)
	defer r.cancel()
	r.turns, r.begin, r.listed = c.run.turns, c.begin, c.element || c.run.listed
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
