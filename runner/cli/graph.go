package cli

import (
	"fmt"
	"io"
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

// mermaid draws nodes as boxes (inputs and outputs rounded, logic as rhombs)
// and references as arrows; dotted ones are branches, which carry no data.
func mermaid(p *spec.Pipeline) string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	for _, n := range p.Nodes {
		open, end := "[", "]"
		switch n.Type {
		case "input", "output":
			open, end = "([", "])"
		case "condition", "ai_routing":
			open, end = "{", "}"
		}
		// The prefix keeps names such as "end" from being taken for keywords.
		fmt.Fprintf(&b, "    n_%s%s\"%s<br/><i>%s</i>\"%s\n", n.Name, open, n.Name, n.Type, end)
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

func isPath(n *spec.Node, output string) bool {
	t := schema.LookupNodeType(n.Type)
	if t == nil {
		return false
	}
	for _, o := range t.OutputsOf(n.Inputs) {
		if o.Name == output {
			return o.Type == "path"
		}
	}
	return false
}
