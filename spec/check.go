package spec

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// checkPipeline goes past the schema: what the parts of a pipeline say of one
// another.
func (d *document) checkPipeline(p *Pipeline) {
	backend := scalarText(valueOf(d.root, "run"), "backend")
	if d.checkPipelineForm(p, backend) {
		p.check(backend)
	}
	for _, f := range d.subs.all {
		if f.pipeline.at != p.at && f.checkForm() {
			f.pipeline.check(backend)
		}
	}
	p.checkSubNames(backend)
}

// check checks the nodes of a pipeline.
func (p *Pipeline) check(backend string) {
	p.checkVariables(backend)
	for _, n := range p.Nodes {
		n.doc.checkInputs(p, n, backend)
	}
	before := len(p.doc.problems)
	for _, n := range p.Nodes {
		n.doc.checkRefs(p, n, backend)
	}
	wrongRefs, _ := p.doc.problems[before:].Split()
	p.checkTypes(backend)
	levels, cycle := p.Levels()
	if cycle != nil {
		first := p.Node(cycle[0])
		p.doc.report(p.doc.problem(first.key, "nodes refer to one another in a circle: %s", arrows(cycle)))
	}
	if len(wrongRefs) == 0 {
		p.checkLoops(backend)
	}
	if levels != nil && len(wrongRefs) == 0 { // else it would warn of what a slip cut off
		p.checkUse()
	}
}

// checkPipelineForm tells whether there are nodes to look at.
func (d *document) checkPipelineForm(p *Pipeline, backend string) bool {
	n := valueOf(d.root, "pipeline")
	if n == nil || n.Kind != yaml.MappingNode {
		return false
	}
	if len(n.Content) == 0 {
		return false // the schema has said so
	}
	given := func(key string) bool { return valueOf(n, key) != nil }
	switch {
	case given("nodes") && given("file"):
		d.report(d.problem(keyOf(n, "file"), "pipeline has both nodes and file; one must go"))
	case given("id") && (given("nodes") || given("file") || given("name")):
		d.report(d.problem(keyOf(n, "id"), "pipeline has an id, so it runs what is saved: name, nodes and file must go"))
	case given("variables") && !given("nodes"):
		d.report(d.problem(keyOf(n, "variables"), "variables stand beside the nodes that use them, and there are none here"))
	case (given("nodes") || given("file")) && p.Name == "" && p.at != nil && p.at.Kind == yaml.MappingNode:
		p.doc.report(p.doc.problem(p.at, "\"name\" is missing in pipeline: it is saved under its name"))
	case !given("nodes") && !given("file") && backend != "vectorshift":
		d.report(d.problem(n, "pipeline has no nodes: only backend vectorshift runs pipelines that are saved elsewhere"))
	}
	return p.Nodes != nil
}

func (d *document) checkInputs(p *Pipeline, n *Node, backend string) {
	t := schema.LookupNodeType(n.Type)
	if t == nil {
		if typ := valueOf(n.at, "type"); backend != "vectorshift" && n.Type != "" && typ.ShortTag() == "!!str" {
			d.report(n.Problem("type", "there is no node type %q%s", n.Type, schema.DidYouMean(n.Type, schema.NodeTypes())))
		}
		return
	}
	inputs := n.inputsAt
	if inputs != nil && inputs.Kind != yaml.MappingNode {
		return // the schema has said so
	}
	if inputs == nil {
		inputs = &yaml.Node{Kind: yaml.MappingNode, Line: n.key.Line, Column: n.key.Column}
	}
	problems := n.validate(t, inputs)
	n.wrongInputs = len(problems) > 0
	d.report(problems...)
	if n.ExecutionMode == "batch" && t.NoBatch != "" {
		d.reportFor(backend, n.Problem("execution_mode", "node %s (%s) cannot be in batch mode: %s", n.Name, n.Type, t.NoBatch))
	}
	if backend == "vectorshift" {
		d.warnLocal(n, t)
	}
	switch {
	case n.Type == "pipeline":
		d.checkSub(p, n, backend)
	case n.CodeFile != "" && backend == "vectorshift":
		d.report(n.Problem("transformation", "backend vectorshift runs no code from files; save it as a transformation on the platform, and name that"))
	}
	for name := range n.CyclicInputs {
		if _, ok := t.Input(name); !ok && !t.OpenInputs {
			d.report(d.problem(keyOf(valueOf(n.at, "cyclic_inputs"), name), "node %s (%s) has no input %q%s", n.Name, n.Type, name, schema.DidYouMean(name, inputNames(t))))
		}
	}
}

// validate holds inputs of the node against its type.
func (n *Node) validate(t *schema.NodeType, inputs *yaml.Node) []schema.Problem {
	if n.ExecutionMode == "batch" && t.NoBatch == "" {
		return schema.ValidateBatchInputs(t, inputs, "node "+n.Name)
	}
	return schema.ValidateInputs(t, inputs, "node "+n.Name)
}

func inputNames(t *schema.NodeType) []string {
	var names []string
	for _, f := range slices.Concat(t.Inputs, schema.CommonInputs()) {
		names = append(names, f.Name)
	}
	return names
}

func outputNames(n *Node) []string {
	if n.outputs != nil {
		return n.outputs
	}
	var names []string
	for _, o := range n.Outputs() {
		names = append(names, o.Name)
	}
	if names == nil {
		names = []string{"output"}
	}
	n.outputs = names
	return names
}

// checkUse warns of work that is thrown away.
func (p *Pipeline) checkUse() {
	used := map[string]bool{}
	var use func(n *Node)
	use = func(n *Node) {
		if n == nil || used[n.Name] {
			return
		}
		used[n.Name] = true
		for _, source := range n.Sources() {
			use(p.Node(source))
		}
		for _, v := range n.CyclicInputs {
			for ref := range ParseTemplate(v).Refs() {
				use(p.Node(ref.Node))
			}
		}
	}
	outputs := 0
	for _, n := range p.Nodes {
		if n.Type == "output" {
			outputs++
		}
		if n.Type == "output" || n.acts() {
			use(n)
		}
	}
	if outputs == 0 && p.doc.inside() {
		p.doc.warn(p.doc.problem(p.at, "the pipeline has no output node, so nodes that run it get nothing from it"))
		return
	}
	if outputs == 0 {
		p.doc.warn(p.doc.problem(p.at, "the pipeline has no output node, so results will hold no outputs"))
		return
	}
	for _, n := range p.Nodes {
		if !used[n.Name] {
			p.doc.warn(n.Problem("", "node %s is unreachable from every output: nothing uses what it makes", n.Name))
		}
	}
}

// checkStdin refuses a second reader of standard input: it would find nothing.
func (d *document) checkStdin(f *File) {
	var first *Batch
	for _, b := range f.Batches {
		for _, n := range b.Source.from {
			if n.Value != "-" {
				continue
			}
			if first != nil {
				d.report(d.problem(n, "standard input can be read once only, and batch %s does", first.Name))
			}
			first = b
		}
	}
}

func (d *document) checkResults(f *File) {
	at := valueOf(valueOf(d.root, "results"), "path")
	if at == nil {
		return
	}
	for _, m := range likeReference().FindAllStringSubmatch(f.Results, -1) {
		if m[1] != "date" && m[1] != "batch" {
			d.report(d.problem(at, "%s is not known in a results path; there are {{ date }} and {{ batch }}", m[0]))
		}
	}
	if len(f.Batches) > 1 && f.Results != "-" && !strings.Contains(FillResultsPath(f.Results, "", "\x00"), "\x00") {
		d.report(d.problem(at, "all batches would write to the same file; put {{ batch }} into the path"))
	}
}

// ResultsPath fills {{ date }} (as year-month-day) and {{ batch }} into the
// results path. It is relative to the batch file's folder; "-" is standard output.
func (f *File) ResultsPath(date, batch string) string {
	path := FillResultsPath(f.Results, date, batch)
	if path == "-" {
		return path
	}
	return f.besides(path)
}

// besides is a path that the batch file names, as seen from here.
func (f *File) besides(path string) string {
	d := document{file: f.Path}
	return d.path(path)
}

// FillResultsPath fills {{ date }} and {{ batch }} into a results path.
func FillResultsPath(path, date, batch string) string {
	return bareReference().ReplaceAllStringFunc(path, func(m string) string {
		switch strings.Trim(m, "{ }") {
		case "date":
			return date
		case "batch":
			return batch
		}
		return m
	})
}

// eachScalar walks the scalar values below n.
func eachScalar(n *yaml.Node, visit func(*yaml.Node)) {
	if n == nil {
		return
	}
	switch n.Kind {
	case yaml.ScalarNode:
		visit(n)
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			eachScalar(n.Content[i], visit)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			eachScalar(c, visit)
		}
	}
}
