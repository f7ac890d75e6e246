package engine

import (
	"slices"

	"nightshift/schema"
	"nightshift/spec"
)

// Needs is what the runs of a pipeline need.
type Needs struct {
	Missing  schema.Problems // what is not there, such as keys, each at the node that needs it
	Unpriced schema.Problems // models without a known price, each at the node that asks it: no budget can be kept with them
	Keys     []string        // that are sent, and must not be written anywhere
	Files    []string        // paths of files that nodes name, as they are written
	Models   bool            // whether models are asked
	Stores   bool            // whether files are stored
}

// add takes over what a part needs; what is known of already is not said twice.
func (n *Needs) add(part Needs) {
	n.Missing = union(n.Missing, part.Missing)
	n.Unpriced = union(n.Unpriced, part.Unpriced)
	n.Keys = union(n.Keys, part.Keys)
	n.Files = union(n.Files, part.Files)
	n.Models = n.Models || part.Models
	n.Stores = n.Stores || part.Stores
}

func union[S ~[]E, E comparable](known, more S) S {
	for _, e := range more {
		if !slices.Contains(known, e) {
			known = append(known, e)
		}
	}
	return known
}

// Needs says what a pipeline needs that Check has found to be one that can be run.
func (e *Engine) Needs(p *spec.Pipeline) Needs {
	g, _ := e.compile(p)
	if g == nil {
		return Needs{}
	}
	return g.needs
}
