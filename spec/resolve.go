package spec

import (
	"slices"

	"gopkg.in/yaml.v3"
)

var knownTags = []string{"!!null", "!!bool", "!!int", "!!float", "!!str", "!!timestamp", "!!binary", "!!seq", "!!map", "!!merge"}

// resolver replaces aliases by what they stand for, applies merge keys, and
// reports duplicate keys (which yaml.v3 accepts when it decodes into a Node).
type resolver struct {
	*document
	active  map[*yaml.Node]bool // anchors being expanded, to find those that hold themselves
	aliased int                 // nodes that aliases added, and the bytes of their text
	copied  int
	tooMany bool
}

func (r *resolver) resolve(n *yaml.Node, depth int) *yaml.Node {
	if depth > maxDepth {
		r.once(n, "nested more than %d levels deep", maxDepth)
		return null(n)
	}
	if len(r.active) > 0 {
		r.aliased++
		if r.copied += len(n.Value); r.aliased > maxAliased || r.copied > maxCopied {
			r.once(n, "aliases (*name) expand to more than %d values, or %d MB of text", maxAliased, maxCopied>>20)
			return null(n)
		}
	}
	if tag := n.ShortTag(); n.Kind != yaml.AliasNode && !slices.Contains(knownTags, tag) {
		r.report(r.problem(n, "unknown YAML tag %s; leave it out, or put the value in quotes", tag))
	}
	switch n.Kind {
	case yaml.AliasNode:
		if r.active[n.Alias] {
			r.once(n, "anchor &%s holds itself", n.Value)
			return null(n)
		}
		r.active[n.Alias] = true
		defer delete(r.active, n.Alias)
		return r.resolve(n.Alias, depth+1)
	case yaml.ScalarNode:
		if len(n.Value) > maxScalar {
			r.once(n, "a value of %d bytes; the limit for one value is %d: put it into a file and name it with from", len(n.Value), maxScalar)
			return null(n)
		}
		clone := *n
		return &clone
	case yaml.SequenceNode:
		clone := *n
		clone.Content = make([]*yaml.Node, len(n.Content))
		for i, c := range n.Content {
			clone.Content[i] = r.resolve(c, depth+1)
		}
		return &clone
	case yaml.MappingNode:
		return r.mapping(n, depth)
	}
	return null(n)
}

func (r *resolver) mapping(n *yaml.Node, depth int) *yaml.Node {
	clone := *n
	clone.Content = make([]*yaml.Node, 0, len(n.Content))
	seen := map[string]*yaml.Node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		key = r.resolve(key, depth+1)
		if key.Kind != yaml.ScalarNode {
			hint := ""
			if key.Kind == yaml.MappingNode {
				hint = "; a value that begins with {{ must be in quotes"
			}
			r.report(r.problem(key, "a key must be plain text%s", hint))
			continue
		}
		if first := seen[key.Value]; first != nil {
			r.report(r.problem(key, "key %q is given twice; the first is on line %d", key.Value, first.Line))
			continue
		}
		seen[key.Value] = key
		clone.Content = append(clone.Content, key, r.resolve(value, depth+1))
	}
	for _, m := range merged {
		sources := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			sources = m.Content
		}
		for _, source := range sources {
			from := r.resolve(source, depth+1)
			if from.Kind != yaml.MappingNode {
				r.report(r.problem(source, "<< takes a map, or a list of maps"))
				continue
			}
			for i := 0; i+1 < len(from.Content); i += 2 {
				if key := from.Content[i]; seen[key.Value] == nil {
					seen[key.Value] = key
					clone.Content = append(clone.Content, key, from.Content[i+1])
				}
			}
		}
	}
	return &clone
}

// once reports the first trouble with expansion; the rest would repeat it.
func (r *resolver) once(n *yaml.Node, format string, args ...any) {
	if !r.tooMany {
		r.tooMany = true
		r.report(r.problem(n, format, args...))
	}
}

func null(n *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
}
