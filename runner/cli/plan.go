package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
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
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validateWhich(cmd); err != nil {
				return err
			}
			file, err := o.load(args[0], std, std.err.warn)
			if err != nil {
				return err
			}
			return o.plan(cmd.Context(), file, std)
		},
	}
	o.flags(cmd)
	o.whichFlags(cmd)
	return cmd
}

func (o *runOptions) plan(ctx context.Context, file *spec.File, std streams) error {
	picked, err := batches(file, o.batches)
	if err != nil {
		return err
	}
	var saved runner.Saved
	if file.Run.Backend == "vectorshift" { // else nothing is saved yet, and no key is needed to look
		if saved, err = o.look(ctx, file, std); err != nil {
			return err
		}
	}
	jobs, err := o.jobs(file, picked, time.Now(), std)
	defer closeJobs(jobs)
	if err != nil {
		return err
	}
	var b strings.Builder
	planPipeline(&b, file, saved)
	r := file.Run
	fmt.Fprintf(&b, "\nrun on %s, %d at once, each for %v at the most", r.Backend, r.Concurrency, r.Timeout)
	if r.Deadline > 0 {
		fmt.Fprintf(&b, ", all within %v", r.Deadline)
	}
	b.WriteByte('\n')
	if r.Backend == "temporal" {
		fmt.Fprintf(&b, "hand over in shards of %d to task queue %s, by way of %s\n", r.Temporal.ShardSize, r.Temporal.TaskQueue, shownStore(file.StorePath(o.env)))
	}
	for _, j := range jobs {
		planBatch(&b, o, j)
	}
	_, err = io.WriteString(file.Redactor.Writer(std.out), b.String())
	return err
}

// look asks the backend what a save would do.
func (o *runOptions) look(ctx context.Context, file *spec.File, std streams) (runner.Saved, error) {
	target, err := o.ready(file, nil, nil, std)
	if err != nil {
		return runner.Saved{}, err
	}
	say := func(message string) { o.say(std, message) }
	backend, release, err := target.open(ctx, say, say)
	if err != nil {
		return runner.Saved{}, err
	}
	defer release()
	return save(ctx, backend, file, runner.SaveOptions{LookOnly: true}, say, say)
}

// planBatch says what would be run of a batch, and what of it has ended already.
func planBatch(b *strings.Builder, o *runOptions, j *job) {
	batch, g := j.plan.Batch, j.generation
	count := "an unknown number of items"
	if n := j.plan.Rows; n >= 0 {
		count = fmt.Sprintf("%d %s", n, plural(n, "item", "items"))
	} else if j.look.known {
		count = fmt.Sprintf("%d %s", j.look.done, plural(j.look.done, "item", "items"))
	}
	fmt.Fprintf(b, "  batch %s: %s from %s -> %s\n", batch.Name, count, batch.Source.Describe(), j.path)
	if item, ok := first(batch); ok {
		fmt.Fprintf(b, "    first item: %s %s\n", item.ID, schema.Shorten(string(spec.AppendJSON(nil, item.Inputs)), 120))
	}
	if !j.resumes() {
		return
	}
	if o.fresh {
		again := "everything is run again"
		if o.only != nil || o.limit > 0 {
			again = "only what is asked for is run again"
		}
		fmt.Fprintf(b, "    --fresh moves all %d results aside, and %s\n", g.Tally().Items, again)
		return
	}
	fmt.Fprintf(b, "    %s\n", j.standing())
	if g.Changed && o.acceptChanged {
		fmt.Fprintf(b, "    the pipeline has changed since; what is left is run as it is now\n")
	} else if g.Changed {
		fmt.Fprintf(b, "    the pipeline has changed since, so that run refuses: --accept-changed-pipeline keeps these results and runs what is left as it is now, --fresh runs everything\n")
	}
}

// planPipeline says what is saved and, where it was asked for, what becomes of the
// pipeline that is there.
func planPipeline(b *strings.Builder, file *spec.File, saved runner.Saved) {
	p := file.Pipeline
	if p.Nodes == nil {
		fmt.Fprintf(b, "run the saved pipeline %s%s\n", p.Name, p.ID)
		return
	}
	levels, _ := p.Levels()
	and, then := "", "then it is of "
	switch saved.Action {
	case "":
		fmt.Fprintf(b, "save pipeline %s", p.Name)
	case runner.Created:
		fmt.Fprintf(b, "create pipeline %s", p.Name)
	case runner.Updated:
		fmt.Fprintf(b, "update pipeline %s (%s)", p.Name, saved.PipelineID)
	case runner.Unchanged:
		fmt.Fprintf(b, "leave pipeline %s (%s) as it is saved", p.Name, saved.PipelineID)
		and, then = ", but not all that it runs", "it is of "
	}
	if saved.Changes == nil {
		b.WriteString(": ")
	} else {
		b.WriteString(and + ":\n")
		for _, change := range saved.Changes {
			fmt.Fprintf(b, "  %s\n", oneLine(shownChange(change, file.Redactor)))
		}
		b.WriteString(then)
	}
	fmt.Fprintf(b, "%d nodes, run in this order\n", len(p.Nodes))
	table := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	for i, level := range levels {
		for _, n := range level {
			needs := ""
			if sources := n.Sources(); sources != nil {
				needs = "after " + strings.Join(sources, ", ")
			}
			fmt.Fprintf(table, "  %d\t%s\t%s\t%s\n", i+1, n.Name, typeOf(n), needs)
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
