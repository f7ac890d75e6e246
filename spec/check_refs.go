package spec

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// checkRefs reports references to what does not exist, each at its own text.
func (d *document) checkRefs(p *Pipeline, n *Node, backend string) {
	for key, value := range n.written() {
		d.checkInputRefs(p, n, key.Value, value, backend)
	}
}

// checkInputRefs looks for references in a value of an input, and for what may have
// been meant as one.
func (d *document) checkInputRefs(p *Pipeline, n *Node, input string, value *yaml.Node, backend string) {
	if schema.LookupNodeType(n.Type).Plain(input) {
		return
	}
	eachScalar(value, func(s *yaml.Node) {
		refs := nodeReferences(s.Value)
		d.checkScalarRefs(p, s)
		switch braces := strings.Count(s.Value, "{{"); {
		case input == "dependencies":
			d.checkDependency(p, s, backend)
		case braces == 0:
			if p.names(s.Value) {
				d.warn(d.problem(s, "%q is plain text; what node %s gives is written {{ %s }}", s.Value, nodeOf(s.Value), s.Value))
			}
		case braces > len(refs):
			d.checkBraces(p, s, n.Type == "code_execution" && input == "code")
		}
	})
}

// checkBraces looks at braces that are no references to outputs: some name variables.
// In code they are mostly nothing special.
func (d *document) checkBraces(p *Pipeline, s *yaml.Node, isCode bool) {
	if loose := looseBraces(s.Value, nodeReference(), likeReference()); loose != "" && !isCode {
		d.warn(d.problem(s, "%q is no reference to a node and stays as it is", loose))
	}
	for _, m := range likeReference().FindAllStringSubmatch(s.Value, -1) {
		if _, variable := p.Variables[m[1]]; variable || nodeReference().MatchString(m[0]) {
			continue
		}
		if target := p.Node(m[1]); target != nil {
			d.report(d.problem(s, "%s names a node, but no output of it; write {{ %s.%s }}", m[0], m[1], outputNames(target)[0]))
		} else if isCode {
			continue
		} else if hint := d.hint(m[1], p.VariableNames); hint != "" {
			d.report(d.problem(s, "%s: there is no variable %q%s", m[0], m[1], hint))
		} else {
			d.warn(d.problem(s, "%s is no reference to a node and stays as it is", m[0]))
		}
	}
}

// checkDependency wants one reference: nothing would wait for anything else.
func (d *document) checkDependency(p *Pipeline, s *yaml.Node, backend string) {
	text := strings.TrimSpace(s.Value)
	if _, alone := ParseTemplate(text).Whole(); alone {
		return
	}
	meant := strings.Trim(text, "{} \t\n")
	if p.Node(meant) != nil {
		meant += ".complete"
	}
	problem := d.problem(s, "%q is no reference; dependencies are such as {{ node.complete }}", text)
	switch {
	case len(nodeReferences(text)) > 1:
		problem = d.problem(s, "%s: each of the dependencies is one reference; write a list of them", text)
	case p.Node(nodeOf(meant)) != nil:
		problem = d.problem(s, "%s is no reference; write {{ %s }}", text, meant)
	}
	d.reportFor(backend, problem)
}

// names tells whether a text is the name of an output of a node, without braces.
func (p *Pipeline) names(text string) bool {
	n := p.Node(nodeOf(text))
	return n != nil && slices.Contains(outputNames(n), text[len(n.Name)+1:])
}

// nodeOf is what stands before the dot of a text that looks like node.output, or "".
func nodeOf(text string) string {
	if dot := skip(text, 0, isWord); dot+1 < len(text) && text[dot] == '.' {
		return text[:dot]
	}
	return ""
}

// hint is DidYouMean, as long as somebody may read it: it takes long where there are
// many names.
func (d *document) hint(word string, names []string) string {
	if len(d.problems) >= maxSnippets {
		return ""
	}
	return schema.DidYouMean(word, names)
}

// checkScalarRefs reports those in one value.
func (d *document) checkScalarRefs(p *Pipeline, s *yaml.Node) {
	for ref := range ParseTemplate(s.Value).Refs() {
		if message := d.wrong(p, ref); message != "" {
			d.report(d.problem(s, "{{ %s.%s }}: %s", ref.Node, ref.Output, message))
		}
	}
}

// noNode says that there is no node of a name.
func (d *document) noNode(p *Pipeline, name string) string {
	var names []string
	if len(d.problems) < maxSnippets {
		for _, n := range p.Nodes {
			names = append(names, n.Name)
		}
	}
	return fmt.Sprintf("there is no node %q%s", name, d.hint(name, names))
}

// wrong says why a reference leads nowhere, or "".
func (d *document) wrong(p *Pipeline, ref *Ref) string {
	target := p.Node(ref.Node)
	if target == nil {
		return d.noNode(p, ref.Node)
	}
	t := schema.LookupNodeType(target.Type)
	if target.open() {
		return ""
	}
	names := outputNames(target)
	if slices.Contains(names, ref.Output) {
		return ""
	}
	if target.wrongInputs && slices.ContainsFunc(t.Outputs, func(o schema.Output) bool { return o.Name == ref.Output }) {
		return ""
	}
	hint := d.hint(ref.Output, names)
	if hint == "" {
		hint = "; it has " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("node %s (%s) has no output %q%s", ref.Node, target.Type, ref.Output, hint)
}
