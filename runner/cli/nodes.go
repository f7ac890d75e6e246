package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"nightshift/runner/engine"
	"nightshift/schema"
	"nightshift/spec"
)

func newNodes(std streams) *cobra.Command {
	var types bool
	cmd := &cobra.Command{
		Use:   "nodes [TYPE]",
		Short: "list the node types, or say what one takes and gives",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return schema.NodeTypes(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if types {
				return listCoercions(std.out)
			}
			if len(args) == 0 {
				return listNodes(std.out)
			}
			t := schema.LookupNodeType(args[0])
			if t == nil {
				return &exitError{exitUsage, fmt.Errorf("there is no node type %q%s", args[0], schema.DidYouMean(args[0], schema.NodeTypes()))}
			}
			return describeNode(std.out, t)
		},
	}
	cmd.Flags().BoolVar(&types, "types", false, "say what is taken where another type is wanted")
	return cmd
}

func listCoercions(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "FROM\tTO\tHOW")
	for _, c := range spec.Coercions() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", strings.Join(c.From, ", "), strings.Join(c.To, ", "), c.Why)
	}
	return table.Flush()
}

func listNodes(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "TYPE\tCATEGORY\tLOCAL\tWHAT IT DOES")
	for _, name := range schema.NodeTypes() {
		t := schema.LookupNodeType(name)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, t.Category, yesNo(engine.Runs(name)), t.Summary)
	}
	return table.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func describeNode(out io.Writer, t *schema.NodeType) error {
	fmt.Fprintf(out, "%s: %s\n", t.Name, t.Summary)
	if !engine.Runs(t.Name) {
		fmt.Fprintf(out, "Not run by backend local: %s.\n", cmp.Or(t.Instead, "the engine does not know it"))
	}
	if t.NoBatch == "" {
		fmt.Fprintln(out, "With execution_mode: batch it runs once for each element of its list inputs, and its outputs are lists.")
	} else {
		fmt.Fprintf(out, "It has no batch mode: %s.\n", t.NoBatch)
	}
	if t.Element != "" {
		fmt.Fprintf(out, "T is the type that %s names.\n", t.Element)
	} else if generic(t) {
		fmt.Fprintln(out, "T is the type that the input type names; where it is left out, elements are not checked.")
	}
	fmt.Fprintln(out, "\nInputs")
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, f := range append(append([]schema.Field{}, t.Inputs...), schema.CommonInputs()...) {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", f.Name, f.Type, describeField(f))
	}
	if t.OpenInputs {
		fmt.Fprintln(table, "  ...\tany\tthe inputs of the saved object")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nOutputs")
	for _, o := range append(append([]schema.Output{}, t.Outputs...), schema.CommonOutputs()...) {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", o.Name, o.Type, describeField(schema.Field{Doc: o.Doc, When: o.When, Inferred: o.Inferred}))
	}
	for _, from := range t.OutputsFrom {
		how := map[string]string{"keys": "one for each key of " + from.Input, "items": "one for each item of " + from.Input, "paths": "path_0, path_1, ... one for each item of " + from.Input}[from.As]
		fmt.Fprintf(table, "  ...\t%s\t%s\n", from.Type, how)
	}
	if t.OpenOutputs {
		fmt.Fprintln(table, "  ...\tany\tthe outputs of the saved object")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(t.Notes) > 0 {
		fmt.Fprintln(out, "\nNotes")
	}
	for _, note := range t.Notes {
		fmt.Fprintf(out, "  %s\n", note)
	}
	return nil
}

// generic tells whether an input is of a type with T in it.
func generic(t *schema.NodeType) bool {
	return slices.ContainsFunc(t.Inputs, func(f schema.Field) bool { return strings.Trim(f.Type, "vec<>") == "T" })
}

// maxEnum is how many values of an enum are listed; more are hinted at.
const maxEnum = 40

func describeField(f schema.Field) string {
	doc := f.Doc
	var facts []string
	if f.Secret {
		facts = append(facts, "a secret: list its variable under secrets")
	}
	if f.Required {
		facts = append(facts, "required")
	}
	if len(f.When) > 0 {
		facts = append(facts, "when "+f.When.String())
	}
	if f.Default != nil && f.Default != "" {
		facts = append(facts, "default "+spec.Text(f.Default))
	}
	if len(f.Enum) > 0 && len(f.Enum) <= maxEnum {
		facts = append(facts, "one of "+strings.Join(f.Enum, ", "))
	} else if len(f.Enum) > 0 {
		facts = append(facts, fmt.Sprintf("one of %d values, such as %s", len(f.Enum), strings.Join(f.Enum[:3], ", ")))
	}
	if f.Inferred {
		facts = append(facts, "not documented by the platform")
	}
	if facts == nil {
		return doc
	}
	return strings.TrimSpace(doc + " (" + strings.Join(facts, "; ") + ")")
}
