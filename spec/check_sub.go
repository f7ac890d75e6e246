package spec

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// checkForm tells whether a pipeline file that nodes name has nodes to look at.
func (f *subFile) checkForm() bool {
	root := f.doc.root
	switch {
	case root == nil:
		return false
	case f.pipeline.Nodes == nil:
		if valueOf(root, "nodes") == nil && valueOf(root, "file") == nil && valueOf(root, "id") == nil {
			f.doc.report(f.doc.problem(root, "the pipeline file has no nodes"))
		}
		return false
	case f.unnamed:
		f.doc.report(f.doc.problem(root, "\"name\" is missing in the pipeline file; write it there, or beside the file: {name: ..., file: %s}", f.doc.file))
	}
	return true
}

// checkSub checks what a pipeline node says of the pipeline that it runs.
func (d *document) checkSub(p *Pipeline, n *Node, backend string) {
	v := n.Inputs[n.pipelineInput()]
	fields, isMap := v.(map[string]any)
	if _, file := fields["file"]; backend == "vectorshift" && !file && (isMap || ParseTemplate(v).holdsRefs()) {
		return // whatever the platform has written there
	}
	if _, err := n.PipelineRef(); err != nil {
		d.report(n.noPipeline(err))
		return
	}
	if n.Sub == nil {
		return // known to the backend only
	}
	if out := n.Sub.Node("complete"); out != nil && out.Type == "output" {
		d.reportFor(backend, n.Problem(n.pipelineInput(), "output complete of %s has the name of the output that every node has; rename it", n.Sub.doc.file))
	}
	var meant []string // by what is misspelt, and said there
	for _, name := range n.InputNames {
		if !n.hasInput(name) {
			meant = append(meant, schema.Nearest(name, n.subInputs()))
		}
	}
	for _, in := range n.Sub.InputNodes() {
		if _, given := n.Inputs[in.Name]; !given && !in.HasDefault && !slices.Contains(meant, in.Name) {
			d.report(n.Problem("", "node %s gives the pipeline %s no %q, which is an input of it without a default", n.Name, n.Sub.Name, in.Name))
		}
	}
	for key, value := range n.written() {
		d.checkSubInput(p, n, key.Value, key, value, backend)
	}
}

// checkSubNames finds different pipelines of one name. The platform saves each under
// its name, so there they cannot be; elsewhere it is a mistake to name one of them.
func (p *Pipeline) checkSubNames(backend string) {
	named, twice, walked := map[string]*Pipeline{}, map[string]*Pipeline{}, map[*yaml.Node]bool{}
	var refs []*Node // nodes that name a pipeline
	var walk func(p *Pipeline, by *Node)
	walk = func(p *Pipeline, by *Node) {
		switch other := named[p.Name]; {
		case p.Name == "" || p.at == nil:
		case other == nil:
			named[p.Name] = p
		case other.at != p.at:
			twice[p.Name] = p
			if backend == "vectorshift" {
				by.doc.report(by.Problem(by.pipelineInput(), "node %s runs %s, which would be saved as %s, and so would the pipeline in %s; give it another name: {name: ..., file: ...}",
					by.Name, p.doc.file, p.Name, other.doc.file))
			}
		}
		if walked[p.at] {
			return
		}
		walked[p.at] = true
		for _, n := range p.Nodes {
			if n.Sub != nil {
				walk(n.Sub, n)
			} else if n.Type == "pipeline" {
				refs = append(refs, n)
			}
		}
	}
	walk(p, nil)
	if backend == "vectorshift" {
		return
	}
	for _, n := range refs {
		if ref, err := n.PipelineRef(); err == nil && ref.File == "" && twice[ref.Name] != nil {
			n.doc.report(n.Problem(n.pipelineInput(), "node %s runs the pipeline %s, and both %s and %s hold one of that name; give one of them another name: {name: ..., file: ...}",
				n.Name, ref.Name, named[ref.Name].doc.file, twice[ref.Name].doc.file))
		}
	}
}

// noPipeline is the problem of a node that does not say which pipeline it runs.
func (n *Node) noPipeline(err error) schema.Problem {
	input := n.pipelineInput()
	if _, given := n.Inputs[input]; given {
		return n.Problem(input, "%s: %v", input, err)
	}
	for _, name := range n.InputNames {
		if schema.Nearest(name, []string{input}) != "" {
			return n.doc.problem(keyOf(n.inputsAt, name), "node %s names no pipeline; did you mean %q by %q?", n.Name, input, name)
		}
	}
	return n.Problem(input, "%s: %v", input, err)
}

// subInputs are the names of what a node that runs a pipeline from a file takes: the
// inputs of that first, then those of every node.
func (n *Node) subInputs() []string {
	var names []string
	for _, in := range n.Sub.InputNodes() {
		names = append(names, in.Name)
	}
	return append(names, inputNames(schema.LookupNodeType(n.Type))...)
}

// hasInput tells whether a node that runs a pipeline from a file has an input.
func (n *Node) hasInput(name string) bool {
	if in := n.Sub.Node(name); in != nil && in.Type == "input" {
		return true
	}
	_, own := schema.LookupNodeType(n.Type).Input(name)
	return own || name == n.pipelineInput()
}

// checkSubInput checks an input of a node that runs a pipeline from a file: whether that
// has it, and whether a value that is written out is of its type.
func (d *document) checkSubInput(p *Pipeline, n *Node, name string, key, value *yaml.Node, backend string) {
	if !n.hasInput(name) {
		d.report(d.problem(key, "%s", n.noInput(name)))
		return
	}
	in := n.Sub.Node(name)
	v, err := schema.Value(value)
	if in == nil || in.Type != "input" || err != nil {
		return
	}
	typ := n.InputType(name)
	for _, one := range n.calls(v, typ) {
		if _, literal := p.Template(one).Literal(); !literal {
			continue
		}
		if _, err := Convert(one, typ); err != nil {
			d.reportFor(backend, d.problem(value, "node %s: input %q of the pipeline %s (%s): %v", n.Name, name, n.Sub.Name, typ, err))
		}
	}
}

// calls gives the values that the calls of a node find in what is written for an input: in
// batch mode the elements of a list that is deeper than the type.
func (n *Node) calls(v any, typ string) []any {
	list, written := v.([]any)
	if n.ExecutionMode != "batch" || !written {
		return []any{v}
	}
	flat := func(v any) bool { _, is := v.([]any); return !is && !ParseTemplate(v).holdsRefs() }
	if _, wanted := schema.Element(typ); wanted && slices.ContainsFunc(list, flat) {
		return []any{v}
	}
	return list
}

// noInput says that a node which runs a pipeline from a file has no input of a name.
func (n *Node) noInput(name string) string {
	hint := schema.DidYouMean(name, n.subInputs())
	if hint == "" {
		var names []string
		for _, in := range n.Sub.InputNodes() {
			names = append(names, in.Name)
		}
		if hint = "; it has none"; names != nil {
			hint = "; it has " + strings.Join(names, ", ")
		}
	}
	return fmt.Sprintf("the pipeline %s has no input %q%s", n.Sub.Name, name, hint)
}

// checkFileOverride checks the override of an input of a node that names a file. What
// the file is cannot be overridden: it was read with the batch file.
func (d *document) checkFileOverride(p *Pipeline, n *Node, input string, key, value *yaml.Node, backend string) {
	if n.Sub == nil && input == "transformation" || n.Sub != nil && input == n.pipelineInput() {
		d.report(d.problem(key, "the file of node %s cannot be overridden", n.Name))
	} else if n.Sub != nil {
		d.checkSubInput(p, n, input, key, value, backend)
	}
}

// acts tells whether a node does more than to give outputs.
func (n *Node) acts() bool {
	t := schema.LookupNodeType(n.Type)
	switch {
	case t == nil:
		return true
	case n.Type != "pipeline":
		return t.Effects
	case n.Sub == nil:
		return true // for all that is known
	}
	for p := range n.Sub.All() {
		for _, inner := range p.Nodes {
			// Variables are the pipeline's own; what stands in a file is walked itself.
			if inner.Type != "set_variable" && inner.Sub == nil && inner.acts() {
				return true
			}
		}
	}
	return false
}
