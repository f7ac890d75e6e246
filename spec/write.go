package spec

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Write writes a batch file that declares a saved pipeline, to be run on backend
// vectorshift: its nodes, and one batch of the pipeline's name, whose inputs are to be
// filled in. The values of some variables, by name, are not to be read in the file:
// ${NAME} is written in their place. Parse gives the same pipeline, where they are set.
// The error names a value that no batch file can hold.
func Write(w io.Writer, p *Pipeline, variables map[string]string) error {
	pipeline := spread{{"name", p.Name}}
	if p.Description != "" {
		pipeline = append(pipeline, member{"description", p.Description})
	}
	if len(p.Variables) > 0 {
		pipeline = append(pipeline, member{"variables", ordered(p.Variables, p.VariableNames)})
	}
	nodes := spread{}
	for _, n := range p.Nodes {
		nodes = append(nodes, member{n.Name, n.members()})
	}
	pipeline = append(pipeline, member{"nodes", nodes})
	y := newYAMLWriter(variables)
	batch := batchName(y.escaped(p.Name))
	y.block(spread{
		{"version", one},
		{"pipeline", pipeline},
		{"run", members{{"backend", "vectorshift"}}},
		{"batches", spread{{batch, spread{{"inputs", []any{spread(p.placeholders())}}}}}},
	}, 0, false)
	if y.err != nil {
		return y.err
	}
	_, err := w.Write(y.text)
	return err
}

var notInBatchName = Pattern(`^[.-]|[^A-Za-z0-9_.-]`)

// maxBatchName keeps the name of a results file to what file systems take.
const maxBatchName = 100

// batchName makes the name of a batch of that of a pipeline.
func batchName(pipeline string) string {
	name := notInBatchName().ReplaceAllString(pipeline, "_")
	return cmp.Or(name[:min(len(name), maxBatchName)], "example")
}

// members are what a node consists of, in the usual order.
func (n *Node) members() members {
	all := members{{"type", n.Type}}
	if n.ExecutionMode != "" && n.ExecutionMode != "normal" {
		all = append(all, member{"execution_mode", n.ExecutionMode})
	}
	if len(n.Inputs) > 0 {
		all = append(all, member{"inputs", ordered(n.Inputs, n.InputNames)})
	}
	if len(n.CyclicInputs) > 0 {
		all = append(all, member{"cyclic_inputs", n.CyclicInputs})
	}
	return all
}

// ordered are the members of a map in the author's order; those without a place in it
// come last.
func ordered(m map[string]any, names []string) members {
	rank := func(name string) int {
		if i := slices.Index(names, name); i >= 0 {
			return i
		}
		return len(names)
	}
	all := sortedMembers(m)
	slices.SortStableFunc(all, func(a, b member) int { return rank(a.name) - rank(b.name) })
	return all
}

// placeholders are values for the inputs that a run has to be given.
func (p *Pipeline) placeholders() members {
	all := members{}
	for _, in := range p.InputNodes() {
		if !in.HasDefault {
			all = append(all, member{in.Name, in.placeholder()})
		}
	}
	return all
}

// placeholder is a value of the input's type.
func (in Input) placeholder() any {
	file := members{{"file", "path/to/" + in.Name}}
	switch in.Type {
	case "int32", "float":
		return one
	case "bool":
		return true
	case "timestamp":
		return "2026-01-31T12:00:00Z"
	case "vec<string>":
		return []any{"a text"}
	case "vec<vec<string>>":
		return []any{[]any{"a text"}}
	case "file", "image", "audio":
		return file
	case "vec<file>":
		return []any{file}
	case "vec<vec<file>>":
		return []any{[]any{file}}
	}
	return fmt.Sprintf("a value for %s", in.Name)
}
