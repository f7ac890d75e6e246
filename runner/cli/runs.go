package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/spec"
)

type runsOptions struct {
	runOptions
	orphans, terminate, adopt bool
}

func newRuns(std streams) *cobra.Command {
	o := runsOptions{runOptions: runOptions{onInterrupt: onInterruptDetach, fsync: string(runner.FsyncGroup)}}
	cmd := &cobra.Command{
		Use:   "runs FILE",
		Short: "list the runs that the journal knows to be begun, and how they stand",
		Long: `Runs lists the background runs of a file's batches that some nightshift has begun, and
whose end none has seen, with one look at each: a JSON object a line. status is one of
ours, or unknown where the platform does not know the run or does not answer; orphan
says whether its item is gone from the source or was edited since (null where the rows
cannot be read twice). On backend temporal these are not single runs, but batches that
were handed over. Nothing is changed, but

  --terminate  ends those of them that are running
  --adopt      waits for those whose items are there and writes their results, as run
               would, but starts nothing; on backend temporal, nightshift attach does

Exit codes: 0 also where there is none; with --adopt, as run · 2 wrong usage or an
invalid batch file · 4 backend unreachable, or it refused · 5 another nightshift writes
these results · 6 results cannot be written · 130 and 143 interrupted: runs go on.`,
		Example: `  nightshift runs batch.yaml
  nightshift runs batch.yaml --orphans --terminate`,
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(cmd); err != nil {
				return err
			}
			file, err := o.loadHosted(cmd, args[0], &o.logOptions, std)
			if err != nil {
				return err
			}
			return o.runs(cmd.Context(), file, std)
		},
	}
	o.flags(cmd)
	o.passFlags(cmd)
	cmd.Flags().BoolVar(&o.orphans, "orphans", false, "only runs whose items are gone or were edited")
	cmd.Flags().BoolVar(&o.terminate, "terminate", false, "terminate those that are running")
	cmd.Flags().BoolVar(&o.adopt, "adopt", false, "wait for those whose items are there, and write their results")
	cmd.Flags().BoolVar(&o.acceptChanged, "accept-changed-pipeline", false, "with --adopt: keep results of the pipeline as it was")
	return cmd
}

// validate holds the rules between flags.
func (o *runsOptions) validate(cmd *cobra.Command) error {
	switch {
	case o.terminate && o.adopt:
		return errors.New("--terminate and --adopt exclude each other")
	case o.orphans && o.adopt:
		return errors.New("--adopt is for runs whose items are there, which orphans have not; --terminate ends them")
	case o.acceptChanged && !o.adopt:
		return errors.New("--accept-changed-pipeline goes with --adopt")
	case o.output == "" && cmd.Flags().Changed("output"), o.output == "-":
		return errors.New("--output must name a file")
	}
	return o.validateLog()
}

// begunBatch is a batch of which runs are begun.
type begunBatch struct {
	*job
	runs []*begunRun
	held *runner.HeldJournal // nil: nobody keeps others from writing it
}

func (o *runsOptions) runs(ctx context.Context, file *spec.File, std streams) (err error) {
	picked, err := batches(file, o.batches)
	if err != nil {
		return err
	}
	if file.Run.Backend == "temporal" {
		return o.handedRuns(ctx, file, picked, std)
	}
	var found []*begunBatch
	defer func() {
		for _, b := range found {
			if closeErr := b.held.Close(); err == nil && closeErr != nil {
				err = exitFor(closeErr)
			}
		}
	}()
	began, count := time.Now(), 0
	for _, batch := range picked {
		b, err := o.begun(file, batch, began, std)
		if err != nil {
			return err
		}
		found = append(found, b)
		count += len(b.runs)
	}
	if count == 0 {
		o.notice(std, "no runs are begun whose end is not known")
		return nil
	}
	target, err := o.ready(file, nil, o.logger(std), std)
	if err != nil {
		return err
	}
	perMinute := file.Run.Rate.RequestsPerMinute
	callErr := lookAtRuns(ctx, target.platform, perMinute, found)
	o.tellDoubted(found, std)
	if o.terminate {
		callErr = cmp.Or(callErr, endRuns(ctx, target.platform, perMinute, found))
	}
	for _, b := range found {
		for _, r := range b.runs {
			if err := r.print(b.batch.Name, std); err != nil {
				return err
			}
		}
	}
	if callErr != nil || !o.adopt {
		return callErr
	}
	return o.wait(ctx, target, found, began, std)
}

// begun finds the runs that a batch has begun.
func (o *runsOptions) begun(file *spec.File, batch *spec.Batch, began time.Time, std streams) (_ *begunBatch, err error) {
	j, err := o.placeCurrent(file, batch, began)
	if err != nil {
		return nil, err
	}
	b := &begunBatch{job: j}
	if b.path == "-" || isDevice(b.path) {
		return b, nil
	}
	if o.terminate {
		if b.held, err = runner.HoldJournal(b.path); err != nil {
			return nil, exitFor(err)
		}
		defer func() {
			if err != nil {
				_ = b.held.Close() // nothing was noted
			}
		}()
	}
	unended, err := unended(file, j)
	if err != nil {
		return nil, exitFor(err)
	}
	orphan := o.orphan(batch, unended, file.Redactor, std)
	for _, begun := range unended {
		r := &begunRun{Begun: begun, orphan: orphan(begun), status: stateUnknown}
		if !o.orphans || r.orphan == true {
			b.runs = append(b.runs, r)
		}
	}
	return b, nil
}

// orphan tells of runs whether their items are gone from a batch, or have other inputs
// now: true or false, or nil where rows cannot be read that may be those of the item.
func (o *runsOptions) orphan(batch *spec.Batch, runs []runner.Begun, redact *spec.Redactor, std streams) func(runner.Begun) any {
	digests, whole := map[string]string{}, true
	for _, r := range runs {
		digests[r.ID] = ""
	}
	unread := func(why any) {
		whole = false
		o.notice(std, fmt.Sprintf("%s: not all of its rows can be read, so which items are gone is not known: %v", batch.Name, why))
	}
	switch {
	case len(runs) == 0:
	case !batch.Source.Rereadable():
		unread("they come from standard input, or a pipe")
	default:
		scan := batch.Scan(func(it *spec.Item) {
			id := redact.ID(it.ID)
			if _, begun := digests[id]; begun {
				digests[id] = cmp.Or(it.Digest, "none")
			}
		})
		if empty := scan.Rows == 0 && scan.Fatal && scan.Problems[0] == batch.Empty(); scan.Bad > 0 || scan.Fatal && !empty {
			unread(scan.Problems[0])
		}
	}
	return func(b runner.Begun) any {
		if digests[b.ID] == "" && !whole {
			return nil
		}
		return digests[b.ID] != b.Digest
	}
}
