package spec

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var setStep = Pattern(`^([^.\[\]]+)((?:\[\d+\])*)$`)

// applySets puts the values of --set flags into the tree, before variables are
// filled in and before validation: a typo in a path is then an unknown key like
// any other, and is reported under the flag's own text.
func (d *document) applySets(sets []string) {
	d.sets = sets
	for i, set := range sets {
		if err := d.applySet(set, -1-i); err != nil {
			d.report(d.problem(&yaml.Node{Line: -1 - i}, "%v", err))
		}
	}
}

func (d *document) applySet(set string, line int) error {
	path, text, ok := strings.Cut(set, "=")
	if !ok {
		return fmt.Errorf("not of the form path=value, such as run.concurrency=4")
	}
	value, err := decodeYAML([]byte(text))
	// A dash is standard input or output and no list, a reference no map in a map.
	if err != nil || value == nil || text == "-" || strings.HasPrefix(text, "{{") {
		value = &yaml.Node{Kind: yaml.ScalarNode, Value: text}
		if text != "" {
			value.Tag = "!!str"
		}
	}
	mark(value, line)
	r := resolver{document: d, active: map[*yaml.Node]bool{}}
	value = r.resolve(value, 0)

	at := d.root
	steps := strings.Split(path, ".")
	for i, step := range steps {
		m := setStep().FindStringSubmatch(step)
		if m == nil {
			return fmt.Errorf("%q is not a path such as run.concurrency or batches.facts.inputs[0].input_0", path)
		}
		if at.Kind != yaml.MappingNode {
			return fmt.Errorf("%q is not a map, so %q cannot be set in it", strings.Join(steps[:i], "."), m[1])
		}
		last := i == len(steps)-1
		next := valueOf(at, m[1])
		if next == nil {
			next = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: line}
			at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: m[1], Line: line}, next)
		}
		if m[2] != "" {
			for index := range strings.SplitSeq(strings.Trim(m[2], "[]"), "][") {
				n, _ := strconv.Atoi(index)
				if next.Kind != yaml.SequenceNode || n >= len(next.Content) {
					return fmt.Errorf("there is no element [%s] in %q", index, strings.Join(steps[:i+1], "."))
				}
				next = next.Content[n]
			}
		}
		if last {
			*next = *value
			return nil
		}
		if emptyNode(next) { // `run:` with nothing below it
			*next = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: next.Line, Column: next.Column}
		}
		at = next
	}
	return nil
}

// mark gives every node of a value its flag's line.
func mark(n *yaml.Node, line int) {
	n.Line, n.Column = line, 0
	for _, c := range n.Content {
		mark(c, line)
	}
}
