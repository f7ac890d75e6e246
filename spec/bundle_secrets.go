package spec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// keyVariables are the variables that the keys of the file are made of.
func (f *File) keyVariables() map[string]bool {
	names := map[string]bool{}
	add := func(d *document, at *yaml.Node) {
		if at == nil || d == nil {
			return
		}
		_, _ = expandText(d.written[at], func(name string) (string, bool) { // which was without error once
			names[name] = true
			return hidden, true
		})
	}
	for p := range f.Pipeline.All() {
		for _, n := range p.Nodes {
			for input := range n.Inputs {
				if n.isKey(input) {
					add(n.doc, valueOf(n.inputsAt, input))
				}
			}
		}
	}
	for _, b := range f.Batches {
		for place := range b.NodeInputOverrides {
			name, input, _ := strings.Cut(place, ".")
			if n := f.Pipeline.Node(name); n != nil && n.isKey(input) {
				add(b.doc, valueOf(valueOf(b.at, "node_input_overrides"), place))
			}
		}
	}
	return names
}

// secretSearch looks for the places in which a bundle would hold secrets.
type secretSearch struct {
	*reading
	hide     *Redactor
	problems schema.Problems
}

func (s *secretSearch) found(file string, at *yaml.Node) {
	d := document{file: file, sets: s.sets, redact: s.hide}
	p := d.problem(at, "a secret stands here, and this goes to other machines: put it whole into a variable, and write ${VARIABLE}")
	p.Snippet = "" // it may show the secret in pieces, or escaped
	s.problems = append(s.problems, p)
}

// inValues looks at the values of the batch file and its pipeline files, where secrets
// may be escaped, or made of several variables. Those that come from secrets are right.
func (s *secretSearch) inValues(secrets []string) {
	known := func(name string) (string, bool) {
		if slices.Contains(secrets, name) {
			return hidden, true
		}
		value, set := s.variables[name]
		return value, set
	}
	for _, d := range s.docs {
		eachText(d.root, func(n *yaml.Node) {
			text := n.Value
			if written, filled := d.written[n]; filled {
				text, _ = expandText(written, known)
			}
			if s.hide.find(text) >= 0 {
				s.found(d.file, n)
			}
		})
	}
}

// inText looks at files and flags as they are: at comments, code, and what is not used.
func (s *secretSearch) inText() {
	for path, file := range s.files {
		if at := s.hide.find(string(file.content)); at >= 0 {
			before := file.content[:at]
			line := before[1+bytes.LastIndexByte(before, '\n'):]
			s.found(file.name, &yaml.Node{Line: 1 + bytes.Count(before, []byte("\n")), Column: 1 + utf8.RuneCount(line)})
		}
		if s.hide.find(path) >= 0 {
			s.problems = append(s.problems, schema.Problem{File: s.hide.Text(path), Message: "the path of this file holds a secret; give it another one"})
		}
	}
	for i, set := range s.sets {
		if s.hide.find(set) >= 0 {
			s.found("", &yaml.Node{Line: -1 - i})
		}
	}
}

// hiddenOtherwise finds variables of which another machine, which knows what is listed,
// would hide more or less than is hidden here: the digests of the pipeline would differ.
func (s *secretSearch) hiddenOtherwise(secrets []string) {
	values := map[string]string{}
	for _, name := range secrets {
		values[name] = s.variables[name]
	}
	there := s.redact.withSecrets(values)
	for _, name := range secrets {
		if s.hide.Text(values[name]) != there.Text(values[name]) {
			s.problems = append(s.problems, schema.Problem{File: s.files[s.path].name, Message: fmt.Sprintf("variable %s holds a key among other text: list %s under secrets", name, name)})
		}
	}
}

// eachText walks the scalar values below n, and the keys.
func eachText(n *yaml.Node, visit func(*yaml.Node)) {
	if n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode {
		visit(n)
	}
	for _, c := range n.Content {
		eachText(c, visit)
	}
}
