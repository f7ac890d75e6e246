package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/schema"
	"nightshift/spec"
)

func newGraph(std streams) *cobra.Command {
	var o fileOptions
	cmd := &cobra.Command{
		Use:               "graph FILE",
		Short:             "print the pipeline as a Mermaid flowchart",
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			file, problems, err := o.read(args[0], std)
			if err != nil {
				return err
			}
			if errs, _ := problems.Split(); len(errs) > 0 {
				return &exitError{exitUsage, errs}
			}
			if file.Pipeline.Nodes == nil {
				return &exitError{exitUsage, fmt.Errorf("%s runs a saved pipeline; its nodes are not in the file", args[0])}
			}
			_, err = io.WriteString(std.out, mermaid(file.Pipeline))
			return err
		},
	}
	o.flags(cmd)
	return cmd
}

// mermaid draws nodes as boxes (inputs and outputs rounded, logic as rhombs, pipelines
// with double sides)
// and references as arrows; dotted ones are branches, which carry no data.
func mermaid(p *spec.Pipeline) string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	for _, n := range p.Nodes {
		open, end := "[", "]"
		switch n.Type {
		case "pipeline":
			open, end = "[[", "]]"
		case "input", "output":
			open, end = "([", "])"
		case "condition", "ai_routing":
			open, end = "{", "}"
		}
		// The prefix keeps names such as "end" from being taken for keywords.
		fmt.Fprintf(&b, "    n_%s%s\"%s<br/><i>%s</i>\"%s\n", n.Name, open, n.Name, inLabel.Replace(typeOf(n)), end)
	}
	for _, n := range p.Nodes {
		drawn := map[string]bool{}
		for _, ref := range n.Refs() {
			arrow := fmt.Sprintf("    n_%s --> n_%s\n", ref.Node, n.Name)
			if isPath(p.Node(ref.Node), ref.Output) {
				arrow = fmt.Sprintf("    n_%s -. %s .-> n_%s\n", ref.Node, ref.Output, n.Name)
			}
			if !drawn[arrow] {
				b.WriteString(arrow)
			}
			drawn[arrow] = true
		}
	}
	return b.String()
}

// inLabel keeps what a file or a pipeline is called from ending the label that it is in.
var inLabel = strings.NewReplacer(`"`, "#quot;", "<", "#lt;", "#", "#35;", "\n", " ")

// typeOf is the type of a node and, of one that runs a pipeline, which.
func typeOf(n *spec.Node) string {
	if n.Type != "pipeline" {
		return n.Type
	}
	ref, err := n.PipelineRef()
	if err != nil { // only the platform knows
		return n.Type
	}
	return n.Type + " " + cmp.Or(ref.File, ref.Name, ref.ID)
}

func isPath(n *spec.Node, output string) bool {
	return slices.ContainsFunc(n.Outputs(), func(o schema.Output) bool { return o.Name == output && o.Type == "path" })
}
