package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightshift/schema"
	"nightshift/spec"
)

func newPlan(std streams) *cobra.Command {
	o := runOptions{planning: true}
	cmd := &cobra.Command{
		Use:               "plan FILE",
		Short:             "show what would be saved and run, and in which order",
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := o.load(args[0], std, std.err.warn)
			if err != nil {
				return err
			}
			return o.plan(file, file.Redactor.Writer(std.out), std)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringArrayVar(&o.batches, "batch", nil, "plan only the batch of this `name` (may be repeated)")
	return cmd
}

func (o *runOptions) plan(file *spec.File, out io.Writer, std streams) error {
	picked, err := batches(file, o.batches)
	if err != nil {
		return err
	}
	jobs, err := o.jobs(file, picked, time.Now(), std)
	if err != nil {
		return err
	}
	var b strings.Builder
	planPipeline(&b, file)
	r := file.Run
	fmt.Fprintf(&b, "\nrun on %s, %d at once, each for %v at the most", r.Backend, r.Concurrency, r.Timeout)
	if r.Deadline > 0 {
		fmt.Fprintf(&b, ", all within %v", r.Deadline)
	}
	b.WriteByte('\n')
	for _, j := range jobs {
		count := "an unknown number of items"
		if n := j.plan.Total; n >= 0 {
			count = fmt.Sprintf("%d %s", n, plural(n, "item", "items"))
		}
		fmt.Fprintf(&b, "  batch %s: %s from %s -> %s\n", j.plan.Batch.Name, count, j.plan.Batch.Source.Describe(), j.path)
		if item, ok := first(j.plan.Batch); ok {
			fmt.Fprintf(&b, "    first item: %s %s\n", item.ID, schema.Shorten(string(spec.AppendJSON(nil, item.Inputs)), 120))
		}
	}
	_, err = io.WriteString(out, b.String())
	return err
}

func planPipeline(b *strings.Builder, file *spec.File) {
	p := file.Pipeline
	if p.Nodes == nil {
		fmt.Fprintf(b, "run the saved pipeline %s%s\n", p.Name, p.ID)
		return
	}
	levels, _ := p.Levels()
	fmt.Fprintf(b, "save pipeline %s: %d nodes, run in this order\n", p.Name, len(p.Nodes))
	table := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	for i, level := range levels {
		for _, n := range level {
			needs := ""
			if sources := n.Sources(); sources != nil {
				needs = "after " + strings.Join(sources, ", ")
			}
			fmt.Fprintf(table, "  %d\t%s\t%s\t%s\n", i+1, n.Name, n.Type, needs)
		}
	}
	_ = table.Flush() // to a strings.Builder, which does not fail
}

// first gives the first item that can be run, without touching standard input.
func first(b *spec.Batch) (item spec.Item, ok bool) {
	if !b.Source.Rereadable() {
		return item, false
	}
	_ = b.Items(nil, func(it spec.Item) bool {
		if it.Err == nil {
			item, ok = it, true
		}
		return !ok
	})
	return item, ok
}
