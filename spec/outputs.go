package spec

import (
	"cmp"
	"slices"
	"strings"

	"nightshift/schema"
)

// Outputs lists what a node gives, each with its type: in batch mode lists of
// what one call gives, of a node that runs a pipeline from a file the outputs of that.
// It is nil for a node type that the catalogue does not know.
func (n *Node) Outputs() []schema.Output {
	t := schema.LookupNodeType(n.Type)
	if t == nil {
		return nil
	}
	outs := t.OutputsOf(n.Inputs)
	if n.Sub != nil {
		outs = slices.Concat(n.Sub.published(), outs)
	}
	if n.ExecutionMode == "batch" {
		for i, o := range outs {
			if o.Type != "path" {
				outs[i].Type = "vec<" + whole(o.Type) + ">"
			}
		}
	}
	return outs
}

// published lists the outputs of a pipeline as those of a node that runs it, but for one
// that is named as an output of every node: checkSub says so.
func (p *Pipeline) published() []schema.Output {
	var outs []schema.Output
	for _, n := range p.Nodes {
		if n.Type == "output" && n.Name != "complete" {
			doc, _ := n.Inputs["description"].(string)
			outs = append(outs, schema.Output{Name: n.Name, Type: whole(n.InputType("value")), Doc: doc})
		}
	}
	return outs
}

// whole is the type of what comes piece by piece, once all of it is there.
func whole(typ string) string {
	if inner, ok := strings.CutPrefix(typ, "stream<"); ok {
		return inner[:len(inner)-1]
	}
	return typ
}

// InputType gives the type that an input of the node takes, in batch mode that of
// one call; any where it is not known.
func (n *Node) InputType(name string) string {
	t := schema.LookupNodeType(n.Type)
	if t == nil {
		return "any"
	}
	if n.Sub != nil {
		if in := n.Sub.Node(name); in != nil && in.Type == "input" {
			typ, _ := in.Inputs["input_type"].(string)
			return cmp.Or(typ, "string")
		}
	}
	return t.InputType(n.Inputs, name)
}

// open tells whether the node may have other outputs than those that are listed.
func (n *Node) open() bool {
	t := schema.LookupNodeType(n.Type)
	return t == nil || t.OpenOutputs && n.Sub == nil
}
